"""Every scan backend against the loop in float64."""

from __future__ import annotations

import itertools

import pytest
import torch

from jointwrist.ops.scan import available_backends, selective_scan
from jointwrist.ops.scan.dispatch import choose_backend, why_not

DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


def every_backend(dtype: torch.dtype = torch.float32):
    """Parametrise a test with the backends that can scan this dtype, on each device of this machine."""
    pairs = [(name, device) for device in DEVICES for name in available_backends(device, dtype) if name != "reference"]
    ids = ["-".join(pair) for pair in pairs]
    return pytest.mark.parametrize(("backend", "device"), pairs, ids=ids, indirect=["device"])


def arguments(
    length: int, groups: int | None, extras: bool, dtype=torch.float64, channels: int = 8, state: int = 4, softplus=True
) -> dict[str, torch.Tensor]:
    """Random arguments, the same for a length; without softplus the steps are positive, so that nothing grows."""
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
    if not softplus:
        values |= {name: values[name].abs() for name in {"delta", "delta_bias"} & values.keys()}
    return {name: value.to(dtype).requires_grad_() for name, value in values.items()}


def leaves(values: dict[str, torch.Tensor], *, device="cpu", dtype=torch.float64) -> dict[str, torch.Tensor]:
    return {name: value.detach().to(device, dtype).requires_grad_() for name, value in values.items()}


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    difference = ours.detach().cpu().double() - theirs.detach()
    return float(difference.norm() / theirs.detach().norm().clamp_min(1e-12))


def outputs(values, backend, softplus, last: bool = True) -> tuple[torch.Tensor, ...]:
    found = selective_scan(**values, delta_softplus=softplus, return_last_state=last, backend=backend)
    return found if last else (found,)


def bounds(dtype) -> tuple[float, float]:
    """Relative errors of values and gradients: of float32, and of rounding them to a narrower dtype.

    A result is rounded once, a gradient perhaps twice: that of z is a product with the result.
    """
    if dtype == torch.float32:
        return 1e-5, 1e-4
    return 1.01 * torch.finfo(dtype).eps / 2, torch.finfo(dtype).eps


def assert_equals_the_loop(values, backend, device, softplus):
    """Hold values and gradients of a backend against the loop in float64 on the same, perhaps rounded, arguments."""
    dtype = values["u"].dtype
    last = why_not(backend, device, dtype, last_gradient=True) is None
    exact = leaves(values)
    expected = outputs(exact, "reference", softplus, last)
    ours = {name: value.detach().to(device).requires_grad_() for name, value in values.items()}
    found = outputs(ours, backend, softplus, last)
    weights = [torch.randn(value.shape).to(mine.dtype) for value, mine in zip(expected, found, strict=True)]
    gradients = torch.autograd.grad(found, list(ours.values()), [weight.to(device) for weight in weights])
    oracle = torch.autograd.grad(expected, list(exact.values()), [weight.double() for weight in weights])
    assert found[0].dtype == dtype and all(state.dtype == torch.float32 for state in found[1:])
    value_bound, gradient_bound = bounds(dtype)
    assert relative(found[0], expected[0]) < value_bound
    assert all(relative(mine, theirs) < 1e-5 for mine, theirs in zip(found[1:], expected[1:], strict=True))
    for name, mine, theirs in zip(exact, gradients, oracle, strict=True):
        assert mine.dtype == values[name].dtype
        assert relative(mine, theirs) < (gradient_bound if mine.dtype == dtype else 1e-4), name


@every_backend()
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("softplus", [False, True], ids=["plain", "softplus"])
@pytest.mark.parametrize("extras", [False, True], ids=["bare", "extras"])
@pytest.mark.parametrize("groups", [1, 4])
@pytest.mark.parametrize("length", [1, 7, 63, 64, 65, 1000])
def test_values_and_gradients_equal_the_loop(backend, device, length, groups, extras, softplus, dtype):
    values = arguments(length, groups, extras, dtype=dtype, softplus=softplus)
    # as under autocast: sequences in half precision, parameters in single
    values |= {name: values[name].float() for name in {"A", "D", "delta_bias"} & values.keys()}
    assert_equals_the_loop(values, backend, device, softplus)


@pytest.mark.skipif("cpu" not in available_backends("cpu", torch.float32), reason="the CPU kernel cannot be compiled")
@pytest.mark.parametrize("steps", [16, 128])
@pytest.mark.parametrize("length", [15, 16, 17, 127, 128, 129, 300])
def test_the_number_of_steps_between_stored_states_changes_no_result(length, steps, monkeypatch):
    monkeypatch.setattr("jointwrist.ops.scan.cpu.CHUNK", steps)
    assert_equals_the_loop(arguments(length, 2, True, dtype=torch.float32), "cpu", "cpu", True)


@every_backend()
@pytest.mark.parametrize("present", list(itertools.product((False, True), repeat=4)), ids=str)
def test_every_combination_of_extras(backend, device, present):
    *given, softplus = present
    left_out = {name for name, there in zip(("D", "z", "delta_bias"), given, strict=True) if not there}
    values = arguments(65, None, True, dtype=torch.float32, softplus=softplus)
    values = {name: value for name, value in values.items() if name not in left_out}
    assert_equals_the_loop(values, backend, device, softplus)


@every_backend()
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_steps_in_single_beside_an_input_in_half_keep_their_digits(backend, device, dtype):
    values = arguments(257, 2, True, dtype=torch.float32)
    values |= {name: values[name].to(dtype) for name in ("u", "z")}
    assert_equals_the_loop(values, backend, device, True)


@every_backend()
def test_the_last_state_without_gradients(backend, device):
    values = arguments(1000, 2, True)
    with torch.no_grad():
        expected = outputs(values, "reference", True)
        found = outputs({name: value.float().to(device) for name, value in values.items()}, backend, True)
    assert [relative(mine, theirs) < 1e-5 for mine, theirs in zip(found, expected, strict=True)] == [True, True]


@every_backend(torch.float64)
@pytest.mark.parametrize("extras", [False, True], ids=["bare", "extras"])
@pytest.mark.parametrize("groups", [1, 2])
def test_gradcheck(backend, device, groups, extras):
    values = leaves(arguments(9, groups, extras, channels=4, state=2), device=device)
    assert torch.autograd.gradcheck(
        lambda *given: outputs(dict(zip(values, given, strict=True)), backend, True), tuple(values.values())
    )


def test_a_kernel_in_single_precision_says_so_and_auto_goes_round_it():
    assert "it computes in float32" in why_not("cpu", "cpu", torch.float64)
    assert choose_backend("auto", torch.device("cpu"), torch.float64) == "torch"
    with pytest.raises(ValueError, match="'cpu' is not available here: it computes in float32"):
        selective_scan(**arguments(3, None, False), backend="cpu")


@pytest.mark.parametrize("needed", [("u", "delta", "A", "B", "C"), ("delta", "C")])
def test_gradients_of_gradients(needed):
    values = {name: value.detach() for name, value in arguments(5, 2, False, channels=4, state=2).items()}
    values["delta"] = values["delta"].abs()

    def scan(*chosen):
        return selective_scan(**(values | dict(zip(needed, chosen, strict=True))), backend="torch")

    chosen = tuple(values[name].clone().requires_grad_() for name in needed)
    assert torch.autograd.gradgradcheck(scan, chosen)


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
    flags = {"delta_softplus": True}
    expected = selective_scan(**values, **flags, backend="reference")
    found = selective_scan(**{name: tensor.to(device) for name, tensor in values.items()}, **flags, backend=backend)
    assert torch.equal(found.isfinite().cpu(), expected.isfinite())


def test_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="not available"):
        selective_scan(**arguments(3, None, False), backend="fpga")
