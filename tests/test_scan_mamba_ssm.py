"""The adapter to mamba-ssm's kernel, with the loop in the kernel's place: arguments, dtypes, gradients and refusals."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
import torch
from test_scan import arguments, assert_equals_the_loop, leaves, relative

from jointwrist.ops.scan import dispatch, mamba_ssm_scan, selective_scan
from jointwrist.ops.scan.dispatch import choose_backend, why_not

GPU = torch.device("cuda")


def checked(u, delta, A, B, C, D, z, delta_bias):
    """Refuse what the kernel refuses."""
    sequences = [value for value in (u, delta, B, C, z) if value is not None]
    weights = [value for value in (A, D, delta_bias) if value is not None]
    assert all(value.dtype == u.dtype and value.stride(-1) == 1 for value in sequences)
    assert all(value.dtype == torch.float32 and value.stride(-1) == 1 for value in weights)


def fwd(u, delta, A, B, C, D, z, delta_bias, delta_softplus):
    """Return y before the gate, states in chunks of 2048 steps, and y after the gate if there is one."""
    checked(u, delta, A, B, C, D, z, delta_bias)
    arguments = (u, delta, A, B, C, D, None, delta_bias, delta_softplus)
    y, last = selective_scan(*arguments, return_last_state=True, backend="reference")
    states = torch.full((*last.shape[:2], -(-u.shape[-1] // 2048), 2 * last.shape[2]), torch.nan)
    states[:, :, -1, 1::2] = last
    return [y, states] if z is None else [y, states, y * torch.nn.functional.silu(z)]


def bwd(u, delta, A, B, C, D, z, delta_bias, dy, states, y, dz, delta_softplus, recompute):
    """Return gradients of u, delta, A, B, C, D, delta_bias and z, None for what is absent."""
    checked(u, delta, A, B, C, D, z, delta_bias)
    assert dy.dtype == u.dtype and dy.stride(-1) == 1 and dz is None and not recompute
    expected, found, *_ = fwd(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
    torch.testing.assert_close(states, found, equal_nan=True)
    assert y is None if z is None else torch.equal(y, expected)
    given = [u, delta, A, B, C, D, delta_bias, z]
    inputs = [None if value is None else value.detach().requires_grad_() for value in given]
    with torch.enable_grad():
        u, delta, A, B, C, D, delta_bias, z = inputs
        result = selective_scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus, backend="reference")
    gradients = iter(torch.autograd.grad(result, [value for value in inputs if value is not None], dy))
    found = [None if value is None else next(gradients) for value in inputs]
    return found if z is not None else found[:-1]


@pytest.fixture
def kernel(monkeypatch):
    """mamba-ssm's extension module, and a GPU on which it works."""
    module = ModuleType("selective_scan_cuda")
    module.fwd, module.bwd = fwd, bwd
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(mamba_ssm_scan, "_failure", lambda device: None)
    return module


@pytest.fixture
def here(kernel, monkeypatch):
    """The same, called with tensors on the CPU."""
    monkeypatch.setattr(mamba_ssm_scan, "why_not", lambda device, dtype: None)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("extras", [False, True], ids=["bare", "extras"])
@pytest.mark.parametrize("length", [1, 33, 2049])
def test_values_and_gradients_equal_the_loop(here, length, extras, dtype):
    values = arguments(length, 2, extras, dtype=dtype)
    values["u"] = values["u"].transpose(1, 2).contiguous().transpose(1, 2)
    assert_equals_the_loop(values, "mamba_ssm", "cpu", True)


def test_the_last_state_is_that_of_the_loop(here):
    values = {name: value.detach() for name, value in arguments(2049, 2, True, dtype=torch.float32).items()}
    for one, other in zip(
        selective_scan(**values, delta_softplus=True, return_last_state=True, backend="mamba_ssm"),
        selective_scan(**values, delta_softplus=True, return_last_state=True, backend="reference"),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
def test_steps_in_single_beside_an_input_in_half_keep_their_digits(here, dtype):
    values = arguments(257, 2, True, dtype=torch.float32)
    values |= {name: values[name].to(dtype) for name in ("u", "z")}
    assert_equals_the_loop(values, "mamba_ssm", "cpu", True)


def test_gradients_of_gradients_and_forward_derivatives_are_those_of_the_loop(here):
    u, delta, *weights = leaves(arguments(33, 2, True), dtype=torch.float32).values()

    def derivatives(backend):
        def scan(u):
            B, C, D, z, bias = weights[1:]
            return selective_scan(
                u, delta * u, weights[0], B * u[:, :1, None], C, D, z + u, bias, True, backend=backend
            )

        values = [u, delta, *weights]
        first = torch.autograd.grad(scan(u).sin().sum(), values, create_graph=True)
        second = torch.autograd.grad(sum(gradient.sin().sum() for gradient in first), values)
        return [*first, *second, torch.func.jvp(scan, (u,), (torch.ones_like(u),))[1]]

    for one, other in zip(derivatives("mamba_ssm"), derivatives("reference"), strict=True):
        assert relative(one, other.double()) < 1e-4


def test_it_says_why_it_cannot_run(kernel):
    assert "not on a GPU" in why_not("mamba_ssm", "cpu")
    assert "float64" in why_not("mamba_ssm", GPU, torch.float64)
    assert "up to 256 states, not 257" in why_not("mamba_ssm", GPU, states=257)
    assert "cannot backpropagate through the last state" in why_not("mamba_ssm", GPU, last_gradient=True)
    assert why_not("mamba_ssm", GPU, torch.bfloat16, states=256) is None


def test_auto_goes_round_what_it_cannot_do(kernel, monkeypatch):
    monkeypatch.setitem(dispatch._PREFERRED, "cuda", ("mamba_ssm",))
    assert choose_backend("auto", GPU, torch.float32, states=256) == "mamba_ssm"
    assert choose_backend("auto", GPU, torch.float32, states=257) == "torch"
    assert choose_backend("auto", GPU, torch.float32, last_gradient=True) == "torch"


def test_a_gradient_by_the_last_state_is_an_error_where_it_was_asked_for(here):
    values = arguments(5, 1, False, dtype=torch.float32)
    with pytest.raises(
        ValueError, match="'mamba_ssm' is not available here: it cannot backpropagate through the last state"
    ):
        selective_scan(**values, return_last_state=True, backend="mamba_ssm")
    with torch.no_grad():
        selective_scan(**values, return_last_state=True, backend="mamba_ssm")


@pytest.mark.parametrize("error", [ImportError("undefined symbol: _ZN3c10"), RuntimeError("no kernel image")])
def test_a_kernel_that_does_not_work_is_gone_round_and_tried_once(monkeypatch, error):
    tried = []

    def fail():
        tried.append(error)
        raise error

    monkeypatch.setattr(mamba_ssm_scan, "_kernel", fail)
    monkeypatch.setattr(torch, "ones", lambda *shape, device: torch.zeros(shape))
    monkeypatch.setitem(dispatch._PREFERRED, "cuda", ("mamba_ssm",))
    mamba_ssm_scan._failure.cache_clear()
    for _ in range(2):
        assert choose_backend("auto", GPU, torch.float32) == "torch"
        assert str(error) in why_not("mamba_ssm", GPU)
    assert len(tried) == 1
    mamba_ssm_scan._failure.cache_clear()


def test_without_the_kernel_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "selective_scan_cuda", None)
    monkeypatch.setattr(torch, "ones", lambda *shape, device: torch.zeros(shape))
    mamba_ssm_scan._failure.cache_clear()
    reason = why_not("mamba_ssm", GPU)
    assert "selective_scan_cuda is not installed" in reason and "--no-build-isolation mamba-ssm" in reason
    mamba_ssm_scan._failure.cache_clear()
