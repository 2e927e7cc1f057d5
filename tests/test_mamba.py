"""The Mamba blocks against mambapy, against the published equations written as loops, and under symmetries."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from jointwrist.models import mamba
from jointwrist.models.mamba import SS2D, MambaBlock, VSSBlock


def silu(x):
    return x / (1 + np.exp(-x))


def softplus(x):
    return np.log1p(np.exp(x))


def scan_by_definition(u, delta, A, B, C, D):
    """One sequence: u and delta (L, D), A (D, N), B and C (L, N)."""
    state, y = np.zeros_like(A), np.empty_like(u)
    for t in range(len(u)):
        state = np.exp(delta[t, :, None] * A) * state + (delta[t] * u[t])[:, None] * B[t]
        y[t] = state @ C[t] + D * u[t]
    return y


def numpy_parameters(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().double().numpy() for name, value in module.named_parameters()}


def random_parameters(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Move every parameter off its initial value, so that a swapped or ignored one is seen."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return module


@pytest.mark.parametrize(("states", "taps", "expand"), [(16, 4, 2), (3, 2, 1)])
def test_mixer_loads_and_computes_what_mambapy_does(states, taps, expand):
    reference = pytest.importorskip("mambapy.mamba")
    torch.manual_seed(0)
    config = reference.MambaConfig(
        d_model=24, n_layers=1, d_state=states, d_conv=taps, expand_factor=expand, pscan=False
    )
    theirs = random_parameters(reference.MambaBlock(config)).double()
    ours = MambaBlock(24, d_state=states, d_conv=taps, expand=expand).double()
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 13, 24, dtype=torch.float64, requires_grad=True)
    expected, found = theirs(x), ours(x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)  # both take A in float32
    weight = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad((found * weight).sum(), [x, *ours.parameters()]),
        torch.autograd.grad(
            (expected * weight).sum(), [x, *(theirs.get_parameter(n) for n, _ in ours.named_parameters())]
        ),
        strict=True,
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_mixer_has_the_parameters_of_mamba_ssm():
    # shapes of mamba_ssm.Mamba(d_model=40, d_state=16, d_conv=4, expand=2): dt_rank is ceil(40 / 16)
    expected = {
        "in_proj.weight": (160, 40),
        "conv1d.weight": (80, 1, 4),
        "conv1d.bias": (80,),
        "x_proj.weight": (3 + 32, 80),
        "dt_proj.weight": (80, 3),
        "dt_proj.bias": (80,),
        "A_log": (80, 16),
        "D": (80,),
        "out_proj.weight": (40, 80),
    }
    assert {name: tuple(value.shape) for name, value in MambaBlock(40).state_dict().items()} == expected


def test_mixer_computes_the_published_equations():
    torch.manual_seed(1)
    block = random_parameters(MambaBlock(16, d_state=4)).double()
    p, x = numpy_parameters(block), torch.randn(2, 9, 16, dtype=torch.float64)
    for found, sequence in zip(block(x).detach().numpy(), x.numpy(), strict=True):
        u, z = np.split(sequence @ p["in_proj.weight"].T, 2, axis=1)
        padded = np.concatenate([np.zeros((3, 32)), u])
        u = silu(
            np.stack([(padded[t : t + 4] * p["conv1d.weight"][:, 0].T).sum(0) for t in range(9)]) + p["conv1d.bias"]
        )
        low, inputs, outputs = np.split(u @ p["x_proj.weight"].T, [1, 5], axis=1)
        delta = softplus(low @ p["dt_proj.weight"].T + p["dt_proj.bias"])
        y = scan_by_definition(u, delta, -np.exp(p["A_log"]), inputs, outputs, p["D"])
        np.testing.assert_allclose(found, (y * silu(z)) @ p["out_proj.weight"].T, rtol=1e-4, atol=1e-5)


def test_mixer_is_causal():
    block, x = MambaBlock(8), torch.randn(1, 20, 8)
    changed = x.clone()
    changed[:, 12:] += 1
    before, after = block(x), block(changed)
    torch.testing.assert_close(before[:, :12], after[:, :12])
    assert not torch.allclose(before[:, 12:], after[:, 12:])


def test_first_steps_and_rates_are_the_published_ones():
    torch.manual_seed(0)
    block = MambaBlock(512)
    step = torch.nn.functional.softplus(block.dt_proj.bias.detach())
    assert step.min() >= 0.99e-3 and step.max() <= 1.01e-1
    assert float(step.log10().mean()) == pytest.approx(-2, abs=0.1)  # log-uniform
    torch.testing.assert_close(block.A_log.exp()[3], torch.arange(1.0, 17.0))


@pytest.mark.parametrize(("states", "expand"), [(1, 1.0), (16, 1.0), (2, 2.0)])
def test_four_way_scan_computes_the_published_equations(states, expand):
    torch.manual_seed(2)
    dim, height, width = 6, 3, 4
    inner = int(dim * expand)
    block = random_parameters(SS2D(dim, states, expand)).double()
    p, x = numpy_parameters(block), torch.randn(1, height, width, dim, dtype=torch.float64)
    image = x[0].numpy() @ p["in_proj.weight"].T
    padded = np.pad(image, ((1, 1), (1, 1), (0, 0)))
    mixed = sum(
        padded[i : i + height, j : j + width] * p["conv2d.weight"][:, 0, i, j] for i in range(3) for j in range(3)
    )
    mixed = silu(mixed)
    total = np.zeros_like(mixed)
    rows = [(i, j) for i in range(height) for j in range(width)]
    columns = [(i, j) for j in range(width) for i in range(height)]
    rank = math.ceil(dim / 16)
    for k, path in enumerate([rows, columns, rows[::-1], columns[::-1]]):
        u = np.stack([mixed[place] for place in path])
        low, inputs, outputs = np.split(u @ p["x_proj_weight"][k].T, [rank, rank + states], axis=1)
        delta = softplus(low @ p["dt_projs_weight"][k].T + p["dt_projs_bias"][k])
        own = slice(k * inner, (k + 1) * inner)
        y = scan_by_definition(u, delta, -np.exp(p["A_logs"][own]), inputs, outputs, p["Ds"][own])
        for place, value in zip(path, y, strict=True):
            total[place] += value
    centred = total - total.mean(-1, keepdims=True)
    normed = centred / np.sqrt(total.var(-1, keepdims=True) + 1e-5) * p["out_norm.weight"] + p["out_norm.bias"]
    np.testing.assert_allclose(block(x)[0].detach().numpy(), normed @ p["out_proj.weight"].T, rtol=1e-4, atol=1e-5)


def moved(block: SS2D, order: list[int], kernel) -> SS2D:
    """The block with its directions in another order and its convolution kernel moved by `kernel`."""
    other = SS2D(block.in_proj.in_features, block.d_state)
    state = {name: value.clone() for name, value in block.state_dict().items()}
    for name in ("x_proj_weight", "dt_projs_weight", "dt_projs_bias"):
        state[name] = state[name][order]
    for name in ("A_logs", "Ds"):
        state[name] = state[name].unflatten(0, (4, -1))[order].flatten(0, 1)
    state["conv2d.weight"] = kernel(state["conv2d.weight"])
    other.load_state_dict(state)
    return other


@pytest.mark.parametrize("states", [1, 16])
def test_transposed_image_with_rows_and_columns_exchanged(states):
    torch.manual_seed(3)
    block, x = random_parameters(SS2D(8, states)), torch.randn(2, 5, 7, 8)
    other = moved(block, [1, 0, 3, 2], lambda kernel: kernel.transpose(2, 3))
    torch.testing.assert_close(other(x.transpose(1, 2)).transpose(1, 2), block(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("states", [1, 16])
def test_image_turned_by_half_a_turn_with_directions_reversed(states):
    torch.manual_seed(4)
    block, x = random_parameters(SS2D(8, states)), torch.randn(2, 5, 7, 8)
    other = moved(block, [2, 3, 0, 1], lambda kernel: kernel.flip(2, 3))
    torch.testing.assert_close(other(x.flip(1, 2)).flip(1, 2), block(x), rtol=1e-4, atol=1e-5)


def test_every_pixel_sees_every_other():
    torch.manual_seed(5)
    x = torch.randn(1, 6, 5, 4, requires_grad=True)
    SS2D(4)(x)[0, 2, 3].sum().backward()
    assert (x.grad[0].abs().sum(-1) > 0).all()


@pytest.mark.parametrize("block", [MambaBlock(16), SS2D(16), SS2D(16, 16, 2.0), VSSBlock(16)])
def test_autocast_scans_in_float32_and_stays_close(block, monkeypatch):
    torch.manual_seed(6)
    x = torch.randn(2, 12, 16) if isinstance(block, MambaBlock) else torch.randn(2, 6, 7, 16)
    expected = block(x)
    last_states = []

    def watched(*arguments, **options):
        y, last = original(*arguments, **options, return_last_state=True)
        last_states.append(last)
        assert arguments[2].dtype == torch.float32
        return y

    original = mamba.selective_scan
    monkeypatch.setattr(mamba, "selective_scan", watched)
    with torch.autocast("cpu", torch.bfloat16):
        found = block(x)
    assert {last.dtype for last in last_states} == {torch.float32}
    found.float().sum().backward()
    assert all(p.grad.dtype == torch.float32 and p.grad.isfinite().all() for p in block.parameters())
    assert (found.float() - expected).norm() < 0.03 * expected.norm()


@pytest.mark.parametrize("backend", ["reference", "torch", "auto"])
def test_backends_share_parameters_and_results(backend):
    torch.manual_seed(7)
    block, x = SS2D(8, backend="reference"), torch.randn(1, 6, 5, 8)
    other = SS2D(8, backend=backend)
    other.load_state_dict(block.state_dict())
    torch.testing.assert_close(other(x), block(x), rtol=1e-4, atol=1e-5)


def test_dropped_paths_leave_the_residual():
    torch.manual_seed(8)
    block, x = VSSBlock(8, drop_path=0.5), torch.randn(64, 2, 2, 8)
    unchanged = (block.train()(x) == x).flatten(1).all(1).float().mean()
    assert 0.05 < unchanged < 0.5  # both branches dropped: a quarter
    assert not (block.eval()(x) == x).flatten(1).all(1).any()
