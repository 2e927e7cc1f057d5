"""Arguments that do not fit each other are refused by name, whatever the backend: kernels get bare addresses."""

from __future__ import annotations

import re

import pytest
import torch
from test_scan import arguments

from jointwrist.ops.scan import selective_scan

#: What is done to the arguments of (2, 8, 9) sequences, 2 groups and 4 states, and what is said of it.
WRONG = {
    "u of two dimensions": ("u", lambda u: u[0], "u must have the shape (B, D, L), not (8, 9)"),
    "delta shorter": ("delta", lambda v: v[..., 1:], "delta must have the shape (2, 8, 9) like the others, not (2"),
    "delta of one sequence": ("delta", lambda v: v[:1], "delta must have"),
    "A of fewer channels": ("A", lambda v: v[1:], "A must have the shape (8, 4) like the others, not (7, 4)"),
    "A of one dimension": ("A", lambda v: v[0], "A must have"),
    "A of other states": ("A", lambda v: v[:, 1:], "B must have the shape (2, 2, 3, 9)"),
    "B shorter": ("B", lambda v: v[..., :8], "B must have the shape (2, 2, 4, 9) like the others, not (2, 2, 4, 8)"),
    "B of one sequence, without groups": ("B", lambda v: v[:1, 0], "B must have the shape (2, 4, 9)"),
    "B of two dimensions": ("B", lambda v: v[0, 0], "B must have"),
    "B of five dimensions": ("B", lambda v: v[None], "B must have"),
    "C of other states": ("C", lambda v: v[:, :, :3], "C must have the shape (2, 2, 4, 9)"),
    "C of other groups": ("C", lambda v: v[:, :1], "C has 1 groups, B 2"),
    "D of fewer channels": ("D", lambda v: v[:7], "D must have the shape (8,)"),
    "z shorter": ("z", lambda v: v[..., :8], "z must have the shape (2, 8, 9)"),
    "delta_bias of one": ("delta_bias", lambda v: v[:1], "delta_bias must have the shape (8,)"),
    "B elsewhere": ("B", lambda v: v.to("meta"), "B is on meta, u on cpu"),
    "A complex": ("A", lambda v: v.to(torch.complex64), "A must be real and floating point, not torch.complex64"),
    "u of integers": ("u", lambda v: v.long(), "u must be real and floating point, not torch.int64"),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_what_does_not_fit_is_named(what):
    name, change, message = WRONG[what]
    values = {key: value.detach() for key, value in arguments(9, 2, True, dtype=torch.float32).items()}
    selective_scan(**values)
    with pytest.raises(ValueError, match=re.escape(message)):
        selective_scan(**values | {name: change(values[name])})


@pytest.mark.parametrize("groups", [3, 0])
def test_channels_that_the_groups_cannot_share_are_refused(groups):
    values = arguments(9, groups, False, dtype=torch.float32)
    with pytest.raises(ValueError, match=f"B has {groups} groups, which 8 channels"):
        selective_scan(**values)


@pytest.mark.parametrize("backend", ["reference", "torch", "auto"])
def test_b_and_c_may_come_with_and_without_a_group(backend):
    values = {key: value.detach() for key, value in arguments(9, 1, True, dtype=torch.float32).items()}
    torch.testing.assert_close(
        selective_scan(**values | {"B": values["B"][:, 0]}, delta_softplus=True, backend=backend),
        selective_scan(**values, delta_softplus=True, backend="reference"),
    )
