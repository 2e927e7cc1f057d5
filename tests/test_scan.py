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


@pytest.mark.parametrize("needed", [("u", "delta", "A", "B", "C"), ("delta", "C")])
def test_gradients_of_gradients(needed):
    values = {name: value.detach() for name, value in arguments(5, 2, False, channels=4, state=2).items()}
    values["delta"] = values["delta"].abs()

    def scan(*chosen):
        return selective_scan(**(values | dict(zip(needed, chosen, strict=True))), backend="torch")

    chosen = tuple(values[name].clone().requires_grad_() for name in needed)
    assert torch.autograd.gradgradcheck(scan, chosen)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("present", ["", "D", "z", "delta_bias", "softplus", "D z", "z softplus", "D delta_bias"])
def test_every_combination_of_extras(backend, present):
    exact = arguments(65, 1, True)
    exact = {name: value for name, value in exact.items() if name in "u delta A B C" or name in present.split()}
    flags = {"delta_softplus": "softplus" in present}
    if not flags["delta_softplus"]:  # a negative step would grow without bound
        exact = {k: v.detach().abs().requires_grad_() if "delta" in k else v for k, v in exact.items()}
    y = selective_scan(**exact, **flags, backend="reference")
    gradients = torch.autograd.grad(y.square().sum(), list(exact.values()))
    single = {name: value.detach().float().requires_grad_() for name, value in exact.items()}
    y32 = selective_scan(**single, **flags, backend=backend)
    assert relative(y32, y) < 1e-5
    for name, ours, theirs in zip(
        exact, torch.autograd.grad(y32.square().sum(), list(single.values())), gradients, strict=True
    ):
        assert relative(ours, theirs) < 1e-4, name


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_goes_in_and_comes_out_and_is_computed_in_single(backend, dtype):
    half = {name: value.detach().to(dtype) for name, value in arguments(1000, 1, True).items()}
    half |= {name: half[name].float() for name in ("A", "D", "delta_bias")}
    exact = selective_scan(**{k: v.double() for k, v in half.items()}, delta_softplus=True, backend="reference")
    y = selective_scan(**half, delta_softplus=True, backend=backend)
    assert y.dtype == dtype
    # nothing but the rounding of the result
    assert relative(y, exact) < torch.finfo(dtype).eps
    half = {name: value.requires_grad_() for name, value in half.items()}
    gradients = torch.autograd.grad(selective_scan(**half, delta_softplus=True, backend=backend).sum(), half.values())
    assert [g.dtype for g in gradients] == [value.dtype for value in half.values()]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "step, rate", [(1e-6, 1.0), (0.1, 100.0), (3.9, 32.0), (4.1, 32.0), (20.0, 1000.0), (0.5, 0.0)]
)
def test_weak_and_strong_decay_over_a_long_sequence(backend, step, rate):
    torch.manual_seed(0)
    length, channels, state = 2500, 3, 4
    values = {
        "u": torch.randn(1, channels, length),
        "delta": step * (0.5 + 0.5 * torch.rand(1, channels, length)),
        "A": -rate * torch.rand(channels, state),
        "B": torch.randn(1, 1, state, length),
        "C": torch.randn(1, 1, state, length),
    }
    exact = {name: value.double().requires_grad_() for name, value in values.items()}
    y = selective_scan(**exact, backend="reference")
    expected = torch.autograd.grad(y.square().sum(), list(exact.values()))
    single = {name: value.requires_grad_() for name, value in values.items()}
    y32 = selective_scan(**single, backend=backend)
    assert relative(y32, y) < 1e-5
    for name, ours, theirs in zip(
        exact, torch.autograd.grad(y32.square().sum(), list(single.values())), expected, strict=True
    ):
        assert ours.isfinite().all() and relative(ours, theirs) < 1e-4, name


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(0x7FC00001, dtype=torch.int32)])
@pytest.mark.parametrize("name", ["u", "delta", "A", "B"])
def test_what_is_not_finite_stays_so(backend, name, value):
    value = value.view(torch.float32).item() if isinstance(value, torch.Tensor) else value
    values = {key: tensor.detach().float() for key, tensor in arguments(70, 1, False).items()}
    values[name].view(-1)[0] = value
    expected = selective_scan(**values, backend="reference")
    found = selective_scan(**values, backend=backend)
    assert torch.equal(found.isfinite(), expected.isfinite())


def test_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="not available"):
        selective_scan(**arguments(3, None, False), backend="fpga")
