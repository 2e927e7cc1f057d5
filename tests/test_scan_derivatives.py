"""Derivatives beyond the first gradient, where delta, B, C and z depend on u as they do in a Mamba block."""

from __future__ import annotations

import pytest
import torch
from test_scan import every_backend, relative
from torch import func
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

from jointwrist.models.mamba import SS2D, MambaBlock, VSSBlock
from jointwrist.ops.scan import selective_scan
from jointwrist_baselines.classification.medmamba import Block
from jointwrist_baselines.layers.ss2d_v1 import SS2D as FirstSS2D
from jointwrist_baselines.segmentation.swin_umamba import VSSBlock as SwinUMambaBlock
from jointwrist_baselines.segmentation.umamba import MambaLayer

CHANNELS, STATES = 4, 2


def problem(length, groups=2, device="cpu", dtype=torch.float64):
    """One tensor from which all sequences are computed, and the parameters."""
    generator = torch.Generator().manual_seed(length)
    shapes = {
        "x": (2, CHANNELS, length), "A": (CHANNELS, STATES), "D": (CHANNELS,), "delta_bias": (CHANNELS,),
        "weight": (2 * CHANNELS + 2 * (groups or 1) * STATES, CHANNELS),
    }  # fmt: skip
    values = {name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()}
    values["A"] = -values["A"].abs()
    return [value.to(device, dtype).requires_grad_() for value in values.values()]


def dependent_scan(x, A, D, delta_bias, weight, backend="reference", groups=2, gated=True):
    """Scan as a Mamba block does; y and the last state in one number."""
    u = x.tanh()
    sizes = [CHANNELS, CHANNELS, *[(groups or 1) * STATES] * 2]
    delta, z, B, C = torch.einsum("oc,bcl->bol", 0.5 * weight, u).split(sizes, 1)
    if groups:
        B, C = (value.unflatten(1, (groups, STATES)) for value in (B, C))
    y, last = selective_scan(
        u, delta, A, B, C, D, z if gated else None, delta_bias, True, return_last_state=True, backend=backend
    )
    return y.sin().sum() + last.sin().sum()


def orders(function, values, count=3):
    """Gradients of first, second and higher orders, the last without a graph."""
    found, value = [], function(*values)
    for order in range(count):
        gradients = torch.autograd.grad(value, values, create_graph=order < count - 1)
        found.append(gradients)
        value = sum(gradient.sin().sum() for gradient in gradients)
    return found


def assert_same(found, expected, bound):
    for mine, theirs in zip(found, expected, strict=True):
        for one, other in zip(mine, theirs, strict=True):
            assert relative(one, other.double()) < bound


@every_backend()
@pytest.mark.parametrize("groups", [None, 2], ids=["plain", "grouped"])
@pytest.mark.parametrize("length", [1, 9, 70])
def test_higher_gradients_equal_those_of_the_loop(backend, device, length, groups):
    expected = orders(lambda *v: dependent_scan(*v, groups=groups), problem(length, groups))
    values = problem(length, groups, device, torch.float32)
    found = orders(lambda *v: dependent_scan(*v, backend, groups), values)
    assert_same(found, expected, 2e-3)  # of single precision, in which the third loses digits
    assert_same(found[:1], expected[:1], 1e-5)


@every_backend()
def test_a_graph_changes_no_digit_of_the_first_gradient(backend, device):
    values = problem(70, device=device, dtype=torch.float32)
    y = dependent_scan(*values, backend)
    without = torch.autograd.grad(y, values, retain_graph=True)
    for one, other in zip(torch.autograd.grad(y, values, create_graph=True), without, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-7)


@every_backend(torch.float64)
@pytest.mark.parametrize("only", range(5))
def test_gradients_by_one_value_alone(backend, device, only):
    """Also of a single step, which A does not touch but by the state that is none."""
    for length in (1, 5):
        values = [v.detach().requires_grad_(i == only) for i, v in enumerate(problem(length, device=device))]
        scan = lambda value: dependent_scan(*values[:only], value, *values[only + 1 :], backend)  # noqa: B023, E731
        assert torch.autograd.gradcheck(scan, values[only], fast_mode=True)
        assert torch.autograd.gradgradcheck(scan, values[only], fast_mode=True)


def parameters_apart(module, x):
    """A function of x and the parameters, and its arguments; but for the rates, which are taken in single precision."""
    names = [name for name, _ in module.named_parameters() if not name.startswith("A_log")]
    values = [dict(module.named_parameters())[name].detach().requires_grad_() for name in names]
    return lambda x, *values: func.functional_call(module, dict(zip(names, values, strict=True)), (x,)), [x, *values]


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (lambda: MambaBlock(4, d_state=2, d_conv=2, expand=1, backend="torch"), (1, 4, 4)),
        (lambda: MambaBlock(4, d_state=2, d_conv=2, expand=1, backend="torch"), (1, 1, 4)),
        (lambda: SS2D(4, backend="torch"), (1, 2, 2, 4)),
    ],
    ids=["MambaBlock", "MambaBlock of one token", "SS2D"],
)
def test_blocks_pass_the_checks_of_gradients_and_of_their_gradients(block, shape):
    torch.manual_seed(0)
    function, values = parameters_apart(block().double(), torch.randn(shape, dtype=torch.float64, requires_grad=True))
    assert torch.autograd.gradcheck(function, values, fast_mode=True)
    assert torch.autograd.gradgradcheck(function, values, fast_mode=True)


@pytest.mark.parametrize("backend", ["torch", "auto"])
@pytest.mark.parametrize(
    ("block", "shape"),
    [
        (lambda: MambaBlock(8, d_state=4), (2, 6, 8)),
        (lambda: SS2D(8, d_state=2), (2, 3, 2, 8)),
        (lambda: VSSBlock(8), (2, 3, 2, 8)),
        (lambda: FirstSS2D(8, 4), (2, 3, 2, 8)),
        (lambda: MambaLayer(8), (2, 8, 3, 2)),
        (lambda: SwinUMambaBlock(8, 0.0), (2, 3, 2, 8)),
        (lambda: Block(16, 0.0).eval(), (2, 3, 2, 16)),
    ],
    ids=["MambaBlock", "SS2D", "VSSBlock", "SS2D v1", "U-Mamba", "Swin-UMamba", "MedMamba"],
)
def test_every_block_has_the_derivatives_of_the_loop(block, shape, backend, monkeypatch):
    torch.manual_seed(0)
    module = block()
    x, tangent = torch.randn(shape, requires_grad=True), torch.randn(shape)

    def square(*values):
        return module(values[0]).square().sum()

    values, found = [x, *module.parameters()], {}
    for name in (backend, "reference"):
        monkeypatch.setenv("JOINTWRIST_SCAN", name)
        found[name] = orders(square, values, 2)
        found[name].append([func.jvp(module, (x,), (tangent,))[1]])
    assert_same(found[backend], found["reference"], 1e-4)
    assert found[backend][-1][0].norm() > 0


def finite_difference(function, x, tangent, step=1e-6):
    return (function(x + step * tangent) - function(x - step * tangent)) / (2 * step)


@every_backend()
@pytest.mark.parametrize("length", [1, 70])
def test_forward_derivatives_are_finite_differences(backend, device, length):
    exact = [value.detach() for value in problem(length)]
    tangents = [torch.randn_like(value) for value in exact]
    expected = finite_difference(
        lambda t: dependent_scan(*(v + t * d for v, d in zip(exact, tangents, strict=True))), torch.zeros(()).double(),
        torch.ones(()).double(),
    )  # fmt: skip
    values, tangents = ([v.to(device, torch.float32) for v in given] for given in (exact, tangents))
    _, found = func.jvp(lambda *v: dependent_scan(*v, backend), tuple(values), tuple(tangents))
    assert relative(found, expected) < 1e-4
    with forward_ad.dual_level():
        duals = [forward_ad.make_dual(v, t) for v, t in zip(values, tangents, strict=True)]
        assert relative(forward_ad.unpack_dual(dependent_scan(*duals, backend)).tangent, expected) < 1e-4


TRANSFORMS = {
    "grad": lambda f, x: func.grad(f)(x),
    "hessian": lambda f, x: func.hessian(f)(x),
    "forward twice": lambda f, x: func.jacfwd(func.jacfwd(f))(x),
    "backward twice": lambda f, x: func.jacrev(func.jacrev(f))(x),
    "one gradient a sample": lambda f, x: func.vmap(func.grad(f))(torch.stack([x, 2 * x])),
    "batched gradients": lambda f, x: torch.autograd.functional.hessian(f, x, vectorize=True),
    "backward in rows": lambda f, x: torch.autograd.functional.hessian(f, x),
    "double backward for forward": lambda f, x: torch.autograd.functional.jvp(f, x, torch.ones_like(x))[1],
    "forward over backward": lambda f, x: torch.autograd.functional.hessian(
        f, x, vectorize=True, outer_jacobian_strategy="forward-mode"
    ),
}


@every_backend()
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transforms_see_the_whole_derivative(backend, device, transform):
    def found(backend, values):
        x, *others = (value.detach() for value in values)
        return TRANSFORMS[transform](lambda x: dependent_scan(x, *others, backend), x[:1])

    expected = found("reference", problem(5))
    assert relative(found(backend, problem(5, device=device, dtype=torch.float32)), expected) < 1e-5


@every_backend()
def test_a_tangent_that_enters_in_the_backward_pass(backend, device):
    def tangent(backend, values):
        x, *others = values
        y = dependent_scan(x, *others, backend, gated=False)  # SiLU's gradient has no forward derivative in PyTorch
        with forward_ad.dual_level():
            weight = forward_ad.make_dual(torch.ones_like(y), 3 * torch.ones_like(y))
            return forward_ad.unpack_dual(torch.autograd.grad(y, x, weight)[0]).tangent

    expected = tangent("reference", problem(5))
    assert relative(tangent(backend, problem(5, device=device, dtype=torch.float32)), expected) < 1e-5


@every_backend()
def test_through_checkpoints(backend, device):
    expected = orders(dependent_scan, problem(9), 2)
    values = problem(9, device=device, dtype=torch.float32)
    scan = lambda *v: checkpoint(dependent_scan, *v, backend, use_reentrant=False)  # noqa: E731
    assert_same(orders(scan, values, 2), expected, 1e-5)
    checkpoint(dependent_scan, *values, backend, use_reentrant=True).backward()
    assert_same([[value.grad for value in values]], expected[:1], 1e-5)


@every_backend()
def test_gradients_taken_under_autocast_are_those_of_the_scan_in_single_precision(backend, device):
    sequences = [torch.randn(shape) for shape in ((2, 4, 9), (2, 4, 9), (4, 2), (2, 2, 9), (2, 2, 9))]

    def gradients(autocast):
        values = [value.to(device).requires_grad_() for value in sequences]
        y = selective_scan(*values, delta_softplus=True, backend=backend).sin().sum()
        with torch.autocast(device.type, torch.bfloat16, enabled=autocast):
            first = torch.autograd.grad(y, values, create_graph=True)
            return [*first, *torch.autograd.grad(sum(gradient.sin().sum() for gradient in first), values)]

    torch.testing.assert_close(gradients(True), gradients(False))


def test_forward_derivatives_of_what_is_compiled():
    x, *others = (value.detach() for value in problem(5, dtype=torch.float32))
    tangent = torch.ones_like(x)

    def scan(x):
        return dependent_scan(x, *others, "auto")

    expected = func.jvp(scan, (x,), (tangent,))[1].double()
    torch.compiler.reset()
    compiled = torch.compile(scan, backend="eager")
    torch.testing.assert_close(compiled(x), scan(x))
    assert relative(func.jvp(compiled, (x,), (tangent,))[1], expected) < 1e-5
    inside = torch.compile(lambda x: func.jvp(scan, (x,), (tangent,))[1], backend="eager")
    assert relative(inside(x), expected) < 1e-5
