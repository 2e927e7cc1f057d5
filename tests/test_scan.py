"""Every scan backend against the loop in float64."""

from __future__ import annotations

import pytest
import torch

from jointwrist.ops.scan import available_backends, selective_scan

BACKENDS = [name for name in available_backends() if name != "reference"]


def arguments(length: int, groups: int | None, extras: bool, dtype=torch.float64, channels: int = 8, state: int = 4):
    torch.manual_seed(length)
    shape = (2, state, length) if groups is None else (2, groups, state, length)
    values = {
        "u": torch.randn(2, channels, length),
        "delta": torch.randn(2, channels, length),
        "A": -torch.rand(channels, state) * 4,
        "B": torch.randn(shape),
        "C": torch.randn(shape),
    }
    if extras:
        values |= {
            "D": torch.randn(channels),
            "z": torch.randn(2, channels, length),
            "delta_bias": torch.randn(channels),
        }
    return {name: value.to(dtype).requires_grad_() for name, value in values.items()}


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    return float((ours.detach().double() - theirs.detach()).norm() / theirs.detach().norm().clamp_min(1e-12))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("groups", [None, 1, 4])
@pytest.mark.parametrize("length", [1, 7, 63, 64, 65, 1000])
def test_values_and_gradients_equal_the_loop(backend, length, groups, extras):
    exact = arguments(length, groups, extras)
    y, last = selective_scan(**exact, delta_softplus=True, return_last_state=True, backend="reference")
    weight = torch.randn_like(y)
    gradients = torch.autograd.grad((y * weight).sum() + last.sum(), list(exact.values()))
    single = {name: value.detach().float().requires_grad_() for name, value in exact.items()}
    y32, last32 = selective_scan(**single, delta_softplus=True, return_last_state=True, backend=backend)
    gradients32 = torch.autograd.grad((y32 * weight.float()).sum() + last32.sum(), list(single.values()))
    assert relative(y32, y) < 1e-5 and relative(last32, last) < 1e-5
    for name, ours, theirs in zip(exact, gradients32, gradients, strict=True):
        assert relative(ours, theirs) < 1e-4, name


@pytest.mark.parametrize("backend", ["torch"])
def test_gradcheck(backend):
    values = arguments(9, 2, True, channels=4, state=2)
    torch.autograd.gradcheck(
        lambda *a: selective_scan(*a[:5], D=a[5], z=a[6], delta_bias=a[7], delta_softplus=True, backend=backend),
        tuple(values.values()),
    )


def test_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="not available"):
        selective_scan(**arguments(3, None, False), backend="fpga")
