"""The small network in the metadata of a weight file: NumPy computes what PyTorch computes, and damage is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from jointwrist.weights.small_network import Convolution, SmallNetwork


def layer(rng: np.random.Generator, out: int, before: int, size: int, stride: int, dilation: int) -> Convolution:
    weights = rng.normal(size=(out, before, size, size)).astype(np.float32)
    return Convolution(weights, rng.normal(size=out).astype(np.float32), stride, dilation)


@pytest.fixture
def network() -> SmallNetwork:
    rng = np.random.default_rng(0)
    return SmallNetwork((layer(rng, 5, 2, 3, 2, 1), layer(rng, 4, 5, 3, 1, 2), layer(rng, 1, 4, 1, 1, 1)), 3, 0.25)


@pytest.mark.parametrize(("size", "stride", "dilation"), [(1, 1, 1), (3, 1, 1), (3, 2, 1), (3, 1, 2), (5, 2, 1)])
@pytest.mark.parametrize("shape", [(16, 22), (17, 9)])
def test_a_convolution_is_that_of_pytorch(size, stride, dilation, shape) -> None:
    rng = np.random.default_rng(1)
    one = layer(rng, 4, 3, size, stride, dilation)
    planes = rng.normal(size=(3, *shape)).astype(np.float32)
    weights, bias, image = map(torch.from_numpy, (one.weights, one.bias, planes[None]))
    expected = F.conv2d(image, weights, bias, stride, dilation * (size // 2), dilation)[0]
    np.testing.assert_allclose(one(planes), expected.numpy(), atol=1e-5)


def test_the_logit_is_the_mean_of_the_largest_cells(network) -> None:
    planes = np.random.default_rng(2).normal(size=(2, 12, 10)).astype(np.float32)
    cells = network.cell_logits(planes)
    assert cells.shape == (6, 5)
    assert network(planes) == pytest.approx(np.sort(cells, axis=None)[-3:].mean(), abs=1e-6)


def test_an_image_of_fewer_cells_has_their_mean(network) -> None:
    planes = np.zeros((2, 1, 2), np.float32)
    assert network(planes) == pytest.approx(network.cell_logits(planes).mean())


def test_it_survives_json(network) -> None:
    entry = network.to_dict()
    read = SmallNetwork.of(json.loads(json.dumps(entry)))
    assert read.to_dict() == entry
    planes = np.random.default_rng(3).normal(size=(2, 8, 8)).astype(np.float32)
    assert read(planes) == pytest.approx(network(planes), abs=1e-2)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("shape", [5, 2, 3]), ("shape", [5, 2, 4, 4]), ("shape", [5, 2, 3, 1]), ("shape", [5, 2, 3, 3.0]),
        ("shape", [10**6, 2, 3, 3]), ("stride", 0), ("stride", True), ("dilation", 99), ("weights", [0.0]),
        ("weights", [float("nan")] * 90), ("weights", ["1"] * 90), ("bias", [1.0]), ("bias", None),
    ],
)  # fmt: skip
def test_a_damaged_layer_is_refused(network, key, value) -> None:
    entry = network.to_dict()
    entry["layers"][0][key] = value
    with pytest.raises(ValueError, match="scope"):
        SmallNetwork.of(entry)


@pytest.mark.parametrize(
    "change",
    [
        {"layers": []}, {"layers": None}, {"layers": [3]}, {"cells": 0}, {"cells": 2.0}, {"threshold": None},
        {"threshold": float("inf")},
    ],
)  # fmt: skip
def test_a_damaged_network_is_refused(network, change) -> None:
    with pytest.raises(ValueError, match="scope"):
        SmallNetwork.of(network.to_dict() | change)


def test_layers_that_do_not_fit_are_refused(network) -> None:
    entry = network.to_dict()
    for layers in (entry["layers"][1:][::-1], entry["layers"][:2], entry["layers"][::2]):
        with pytest.raises(ValueError, match="channel"):
            SmallNetwork.of({**entry, "layers": layers})
