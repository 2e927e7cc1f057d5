"""Parts of ConvKAN against references."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.interpolate import BSpline
from torch import nn
from torch.nn import functional

from jointwrist_baselines.classification.convkan import ConvKAN, KANConv


def test_every_edge_is_a_gelu_and_a_spline_and_nothing_beyond_the_border():
    torch.manual_seed(0)
    layer = KANConv(2, 1, stride=1).eval()
    x = 1.5 * torch.randn(2, 5, 5)
    knots = -2.2 + 0.4 * np.arange(12)
    elements = [BSpline.basis_element(knots[j : j + 5], extrapolate=False) for j in range(8)]
    basis = torch.from_numpy(np.stack([np.nan_to_num(element(x)) for element in elements])).float()
    total = torch.zeros(5, 5)
    with torch.no_grad():
        for channel, row, column in itertools.product(range(2), range(3), range(3)):
            base = layer.base_conv[0].weight[0, channel, row, column]
            spline = layer.spline_conv[0].weight[0, 8 * channel : 8 * channel + 8, row, column]
            edge = base * functional.gelu(x[channel]) + torch.einsum("j,jhw->hw", spline, basis[:, channel])
            total += functional.pad(edge, (1, 1, 1, 1))[row : row + 5, column : column + 5]
        expected = functional.leaky_relu(total / (1 + 1e-5) ** 0.5, 0.25)
        torch.testing.assert_close(layer(x[None])[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_weights_start_uniform_with_gain_one():
    torch.manual_seed(0)
    layer = KANConv(64, 128, stride=2)
    for conv, fan_in in ((layer.base_conv[0], 9 * 64), (layer.spline_conv[0], 72 * 64)):
        bound = (3 / fan_in) ** 0.5
        assert 0.99 * bound < conv.weight.abs().max() <= bound
        assert conv.weight.std().item() == pytest.approx(fan_in**-0.5, rel=0.01)


def test_dropout_stands_where_the_authors_put_it():
    drops = {
        name: (type(module), module.p)
        for name, module in ConvKAN().named_modules()
        if isinstance(module, (nn.Dropout, nn.Dropout2d))
    }
    stages = {f"layers.{stage}.dropout": (nn.Dropout2d, 0.25) for stage in (1, 2, 3)}
    assert drops == stages | {"output.0": (nn.Dropout, 0.5)}
