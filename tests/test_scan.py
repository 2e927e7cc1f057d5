"""Every scan backend against the loop in float64."""

from __future__ import annotations

import pytest
import torch

from jointwrist.ops.scan import available_backends, selective_scan

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def every_backend(dtype: torch.dtype = torch.float32):
    """Parametrise a test with the backends that can scan this dtype, on each device of this machine."""
    pairs = [(name, device) for device in DEVICES for name in available_backends(device, dtype) if name != "reference"]
    ids = ["-".join(pair) for pair in pairs]
    return pytest.mark.parametrize(("backend", "device"), pairs, ids=ids, indirect=["device"])


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


def leaves(values: dict[str, torch.Tensor], *, device="cpu", dtype=torch.float64) -> dict[str, torch.Tensor]:
    return {name: value.detach().to(device, dtype).requires_grad_() for name, value in values.items()}


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    difference = ours.detach().cpu().double() - theirs.detach()
    return float(difference.norm() / theirs.detach().norm().clamp_min(1e-12))


@every_backend()
@pytest.mark.parametrize("extras", [False, True])
@pytest.mark.parametrize("groups", [None, 1, 4])
@pytest.mark.parametrize("length", [1, 7, 63, 64, 65, 1000])
def test_values_and_gradients_equal_the_loop(backend, device, length, groups, extras):
    exact = arguments(length, groups, extras)
    y, last = selective_scan(**exact, delta_softplus=True, return_last_state=True, backend="reference")
    weight = torch.randn_like(y)
    gradients = torch.autograd.grad((y * weight).sum() + last.sum(), list(exact.values()))
    single = leaves(exact, device=device, dtype=torch.float32)
    y32, last32 = selective_scan(**single, delta_softplus=True, return_last_state=True, backend=backend)
    gradients32 = torch.autograd.grad((y32 * weight.float().to(device)).sum() + last32.sum(), list(single.values()))
    assert relative(y32, y) < 1e-5 and relative(last32, last) < 1e-5
    for name, ours, theirs in zip(exact, gradients32, gradients, strict=True):
        assert relative(ours, theirs) < 1e-4, name


@every_backend(torch.float64)
def test_gradcheck(backend, device):
    values = leaves(arguments(9, 2, True, channels=4, state=2), device=device)
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


@every_backend()
@pytest.mark.parametrize("present", ["", "D", "z", "delta_bias", "softplus", "D z", "z softplus", "D delta_bias"])
def test_every_combination_of_extras(backend, device, present):
    exact = arguments(65, 1, True)
    exact = {name: value for name, value in exact.items() if name in "u delta A B C" or name in present.split()}
    flags = {"delta_softplus": "softplus" in present}
    if not flags["delta_softplus"]:  # a negative step would grow without bound
        exact = {k: v.detach().abs().requires_grad_() if "delta" in k else v for k, v in exact.items()}
    y = selective_scan(**exact, **flags, backend="reference")
    gradients = torch.autograd.grad(y.square().sum(), list(exact.values()))
    single = leaves(exact, device=device, dtype=torch.float32)
    y32 = selective_scan(**single, **flags, backend=backend)
    assert relative(y32, y) < 1e-5
    for name, ours, theirs in zip(
        exact, torch.autograd.grad(y32.square().sum(), list(single.values())), gradients, strict=True
    ):
        assert relative(ours, theirs) < 1e-4, name


@every_backend()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_goes_in_and_comes_out_and_is_computed_in_single(backend, device, dtype):
    half = {name: value.detach().to(dtype) for name, value in arguments(1000, 1, True).items()}
    half |= {name: half[name].float() for name in ("A", "D", "delta_bias")}
    exact = selective_scan(**leaves(half), delta_softplus=True, backend="reference")
    half = {name: value.to(device).requires_grad_() for name, value in half.items()}
    y = selective_scan(**half, delta_softplus=True, backend=backend)
    assert y.dtype == dtype
    # nothing but the rounding of the result
    assert relative(y, exact) < torch.finfo(dtype).eps
    gradients = torch.autograd.grad(y.sum(), list(half.values()))
    assert [g.dtype for g in gradients] == [value.dtype for value in half.values()]


@every_backend()
@pytest.mark.parametrize(
    "step, rate", [(1e-6, 1.0), (0.1, 100.0), (3.9, 32.0), (4.1, 32.0), (20.0, 1000.0), (0.5, 0.0)]
)
def test_weak_and_strong_decay_over_a_long_sequence(backend, device, step, rate):
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
    single = leaves(values, device=device, dtype=torch.float32)
    y32 = selective_scan(**single, backend=backend)
    assert relative(y32, y) < 1e-5
    for name, ours, theirs in zip(
        exact, torch.autograd.grad(y32.square().sum(), list(single.values())), expected, strict=True
    ):
        assert ours.isfinite().all() and relative(ours, theirs) < 1e-4, name


@every_backend()
@pytest.mark.parametrize("value", [float("nan"), float("inf"), torch.tensor(0x7FC00001, dtype=torch.int32)])
@pytest.mark.parametrize("name", ["u", "delta", "A", "B"])
def test_what_is_not_finite_stays_so(backend, device, name, value):
    value = value.view(torch.float32).item() if isinstance(value, torch.Tensor) else value
    values = {key: tensor.detach().float() for key, tensor in arguments(70, 1, False).items()}
    values[name].view(-1)[0] = value
    expected = selective_scan(**values, backend="reference")
    found = selective_scan(**{name: tensor.to(device) for name, tensor in values.items()}, backend=backend)
    assert torch.equal(found.isfinite().cpu(), expected.isfinite())


def test_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="not available"):
        selective_scan(**arguments(3, None, False), backend="fpga")
