"""Scans from the last step to the first, and the two ways in which SS2D runs its four directions."""

from __future__ import annotations

import pytest
import torch
from test_scan import arguments, every_backend, leaves

from jointwrist.models.mamba import SS2D
from jointwrist.ops.scan import selective_scan
from jointwrist.ops.scan.dispatch import why_not

SEQUENCES = ("u", "delta", "B", "C", "z")
LAYOUTS = {"channel first": lambda v: v, "channel last": lambda v: v.transpose(1, -1).contiguous().transpose(1, -1)}


def reversed_by_hand(values, **options):
    flipped = {name: value.flip(-1) if name in SEQUENCES else value for name, value in values.items()}
    y, last = selective_scan(**flipped, **options)
    return y.flip(-1), last


@every_backend()
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("length", [1, 37])
def test_reverse_equals_the_reversed_sequences(backend, device, layout, length):
    values = arguments(length, 2, True, channels=48)
    given = leaves(values, device=device, dtype=torch.float32)
    shaped = {name: LAYOUTS[layout](value) if name in SEQUENCES else value for name, value in given.items()}
    options = {"delta_softplus": True, "return_last_state": True}
    ours = selective_scan(**shaped, **options, backend=backend, reverse=True)
    exact = reversed_by_hand(values, **options, backend="reference")
    weights = [torch.randn(value.shape) for value in ours]
    gradients = torch.autograd.grad(ours, list(given.values()), [weight.to(device) for weight in weights])
    expected = torch.autograd.grad(exact, list(values.values()), [weight.double() for weight in weights])
    for found, wanted in zip((*ours, *gradients), (*exact, *expected), strict=True):
        torch.testing.assert_close(found.cpu().double(), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(why_not("cpu") is not None, reason="needs the compiled kernel")
@pytest.mark.parametrize("states", [1, 4])
def test_four_scans_equal_one_scan_of_all_directions(states):
    torch.manual_seed(0)
    block, x = SS2D(24, states, backend="cpu"), torch.randn(2, 24, 7, 10, requires_grad=True)
    results = []
    for scan in (block._scan_each, block._scan_all):
        y = scan(x)
        parameters = [p for name, p in block.named_parameters() if name.split("_")[0] in {"x", "dt", "A", "Ds"}]
        results.append((y, *torch.autograd.grad((y * torch.linspace(0, 1, 24)).sum(), [x, *parameters])))
    for found, wanted in zip(*results, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(why_not("cpu") is not None, reason="needs the compiled kernel")
def test_second_derivatives_of_a_reversed_scan():
    values = arguments(9, 1, True, channels=4)

    def second(values, backend):
        y = selective_scan(**values, delta_softplus=True, backend=backend, reverse=True)
        first = torch.autograd.grad(y.square().sum(), list(values.values()), create_graph=True)
        return torch.autograd.grad(sum(value.square().sum() for value in first), list(values.values()))

    found = second(leaves(values, dtype=torch.float32), "cpu")
    for ours, exact in zip(found, second(values, "reference"), strict=True):
        assert (ours.double() - exact).norm() < 1e-4 * exact.norm()
