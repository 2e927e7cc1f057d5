"""The Triton scan under Triton's interpreter, which must be chosen before Triton is imported: in other processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

CASES = [
    # length, groups, extras, softplus, states, dtype
    (1, None, False, False, 4, torch.float32),
    (18, 2, True, True, 16, torch.float32),
    (7, 1, True, True, 4, torch.float32),
    (15, 4, True, False, 1, torch.float32),
    (16, None, True, True, 3, torch.float32),
    (17, 4, False, True, 4, torch.float32),
    (17, 2, True, True, 16, torch.bfloat16),
]


def compare(length, groups, extras, softplus, states, dtype):
    """Return the relative errors of values and of gradients against the loop in float64 on the same rounded inputs."""
    from test_scan import arguments, relative

    from jointwrist.ops.scan import selective_scan, triton_scan

    # the interpreter goes through a tile number by number: small ones, and so several chunks, the last one not full
    triton_scan.tile = lambda states: triton_scan.Tile(4, 8, 4)
    rounded = arguments(length, groups, extras, dtype=dtype, channels=12, state=states)
    exact = {name: value.detach().double().requires_grad_() for name, value in rounded.items()}
    flags = {"delta_softplus": softplus, "return_last_state": True}
    if not softplus:
        for values in (rounded, exact):
            for name in {"delta", "delta_bias"} & set(values):  # a negative step would let the state grow
                values[name] = values[name].detach().abs().requires_grad_()
    y, last = selective_scan(**exact, **flags, backend="reference")
    weight, weight_last = torch.randn_like(y), torch.randn_like(last)
    expected = torch.autograd.grad((y * weight).sum() + (last * weight_last).sum(), list(exact.values()))
    ours, ours_last = selective_scan(**rounded, **flags, backend="triton")
    loss = (ours.double() * weight).sum() + (ours_last.double() * weight_last).sum()
    gradients = torch.autograd.grad(loss, list(rounded.values()))
    assert ours.dtype == dtype and all(g.dtype == dtype for g in gradients)
    if length < 10:  # the interpreter is slow
        compare_second(exact, rounded, flags)
    return (
        max(relative(ours, y), relative(ours_last, last)),
        max(relative(g, e) for g, e in zip(gradients, expected, strict=True)),
    )


def compare_second(exact, rounded, flags):
    """Hold gradients of gradients, where the step depends on u, against those of the loop."""
    from test_scan import relative

    from jointwrist.ops.scan import selective_scan

    found = {}
    for values, backend in ((exact, "reference"), (rounded, "triton")):
        given = values | {"delta": values["delta"] * values["u"].abs()}
        y, last = selective_scan(**given, **flags, backend=backend)
        leaves = [value for value in values.values() if value.requires_grad]
        first = torch.autograd.grad(y.sin().sum() + last.sin().sum(), leaves, create_graph=True)
        found[backend] = [*first, *torch.autograd.grad(sum(gradient.sin().sum() for gradient in first), leaves)]
    assert all(relative(ours, theirs) < 1e-4 for ours, theirs in zip(found["triton"], found["reference"], strict=True))


def test_values_and_gradients_equal_the_loop():
    folder = Path(__file__).parent
    paths = os.pathsep.join([str(folder), str(folder.parent), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=480)
    assert done.returncode == 0, done.stderr[-2000:]
    for case, line in zip(CASES, done.stdout.splitlines(), strict=True):
        value, gradient = map(float, line.split())
        exact = case[-1] == torch.float32
        assert value < (1e-5 if exact else 1e-2) and gradient < (1e-4 if exact else 1e-2), case


def test_without_a_gpu_it_says_why():
    from jointwrist.ops.scan import selective_scan

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    values = {name: torch.ones(1, 2, 3) for name in ("u", "delta", "B", "C")}
    with pytest.raises(ValueError, match="'triton' is not available here: the tensors are on cpu"):
        selective_scan(**values, A=-torch.ones(2, 2), backend="triton")


if __name__ == "__main__":
    for case in CASES:
        print(*compare(*case))
