"""TransUNet, Swin-Unet and U-KAN against sampled outputs of the authors' code, and their parts against references."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from authors_rule import assert_output_equals, rule, seeded
from scipy.interpolate import BSpline

from baselines.layers.spline import NUM_BASIS, cubic_basis
from baselines.official import load_official_state
from baselines.segmentation.ukan import KANLinear
from jointwrist.registry import create_model, model_spec

#: For each model: an input size, and of the output of the authors' code its shape, mean, deviation and 64 samples, all
#: parameters being set by `rule`.
OFFICIAL = json.loads((Path(__file__).parent / "data" / "official_outputs_transformers.json").read_text())


def build(name, size):
    return create_model(name, img_size=size if model_spec(name).size_dependent else None)


@pytest.mark.parametrize("name", OFFICIAL)
def test_outputs_equal_the_authors(name):
    expected = OFFICIAL[name]
    model = build(name, expected["input"][-1]).eval()
    state = {
        name: torch.zeros_like(value) if name.endswith("num_batches_tracked") else rule(name, value.shape)
        for name, value in model.state_dict().items()
    }
    assert load_official_state(model, state) == []
    with torch.no_grad():
        output = model(torch.rand(expected["input"], generator=seeded("input")))
    assert_output_equals(output, expected)


@pytest.mark.parametrize("name", OFFICIAL)
def test_parameter_count(name):
    with torch.device("meta"):
        model = create_model(name)
    assert sum(parameter.numel() for parameter in model.parameters()) == model_spec(name).parameters


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_gradient_reaches_every_parameter_at_another_size(name):
    torch.manual_seed(0)
    model = build(name, 64)
    output = model(torch.rand(2, 1, 64, 64))
    assert output.shape == (2, 14, 64, 64)
    output.square().sum().backward()
    assert not [key for key, parameter in model.named_parameters() if parameter.grad is None]
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("name", ["ukan"])
def test_a_grey_image_counts_as_three_equal_channels(name):
    torch.manual_seed(0)
    model = build(name, 64).eval()
    grey = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(grey), model(grey.repeat(1, 3, 1, 1)))


def test_ukan_takes_oblong_images_and_other_classes():
    with torch.no_grad():
        assert create_model("ukan", num_classes=3).eval()(torch.rand(1, 1, 64, 96)).shape == (1, 3, 64, 96)


def test_cubic_basis_equals_scipys():
    x = np.linspace(-2.5, 2.5, 401)
    knots = -2.2 + 0.4 * np.arange(12)
    expected = [BSpline.basis_element(knots[j : j + 5], extrapolate=False)(x) for j in range(NUM_BASIS)]
    np.testing.assert_allclose(cubic_basis(torch.from_numpy(x)), np.nan_to_num(expected).T, atol=1e-6)


def test_cubic_basis_keeps_float32_for_half_precision_inputs():
    x = torch.linspace(-2, 2, 9, dtype=torch.bfloat16)
    torch.testing.assert_close(cubic_basis(x), cubic_basis(x.float()))


def test_kan_splines_start_between_small_bounds_at_the_knots():
    torch.manual_seed(0)
    layer = KANLinear(20, 30)
    at_knots = layer.spline_weight.detach() @ cubic_basis(torch.linspace(-1, 1, 6)).T
    assert 0.0099 < at_knots.abs().max() <= 0.01 + 1e-6
    assert at_knots.mean().abs() < 5e-4
    bound = 20**-0.5
    assert 0.98 * bound < layer.base_weight.abs().max() <= bound
    assert 0.98 * bound < layer.spline_scaler.abs().max() <= bound


def test_kan_linear_is_a_sum_of_functions_of_one_input_each():
    torch.manual_seed(0)
    layer = KANLinear(3, 2)
    x = torch.randn(5, 3)
    spline = torch.zeros(5, 2)
    for i in range(3):
        for j in range(NUM_BASIS):
            coefficient = layer.spline_weight[:, i, j] * layer.spline_scaler[:, i]
            spline += cubic_basis(x[:, i])[:, j, None] * coefficient
    base = torch.nn.functional.silu(x) @ layer.base_weight.T
    torch.testing.assert_close(layer(x), base + spline)
