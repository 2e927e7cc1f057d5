"""A small convolutional network in the metadata of a weight file, evaluated by NumPy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

#: Largest number of layers, of channels, and of pixels by which a layer can move on or reach.
_LAYERS, _CHANNELS, _STEP = 8, 32, 4


class Convolution(NamedTuple):
    """A convolution of an odd number of pixels, with zeros beyond the edge.

    Attributes:
        weights: (O, I, K, K) float32.
        bias: (O,) float32.
        stride: Pixels from one output to the next.
        dilation: Pixels from one weight to the next.
    """

    weights: np.ndarray
    bias: np.ndarray
    stride: int
    dilation: int

    def __call__(self, planes: np.ndarray) -> np.ndarray:
        """Return (O, H', W') of (I, H, W) float32 planes, as `torch.nn.functional.conv2d` does."""
        size = self.weights.shape[2]
        margin = self.dilation * (size // 2)
        padded = np.pad(planes, ((0, 0), (margin, margin), (margin, margin)))
        height, width = ((side - 1) // self.stride + 1 for side in planes.shape[1:])
        shifts = [
            padded[
                :, row : row + self.stride * height : self.stride, column : column + self.stride * width : self.stride
            ]
            for row in range(0, self.dilation * size, self.dilation)
            for column in range(0, self.dilation * size, self.dilation)
        ]
        columns = np.stack(shifts, 1).reshape(-1, height * width)
        values = self.weights.reshape(len(self.bias), -1) @ columns + self.bias[:, None]
        return values.reshape(-1, height, width)


@dataclass(frozen=True)
class SmallNetwork:
    """Convolutions with rectification between them, which give each cell of an image a logit.

    Attributes:
        layers: The convolutions; the last has one channel.
        cells: The logit of the image is the mean over this many cells, those with the largest logits.
        threshold: Logit from which the finding is called.
    """

    layers: tuple[Convolution, ...]
    cells: int
    threshold: float

    @property
    def inputs(self) -> int:
        """Number of planes that it takes."""
        return self.layers[0].weights.shape[1]

    def cell_logits(self, planes: np.ndarray) -> np.ndarray:
        """Return the (H', W') logits of the cells of (C, H, W) float32 planes."""
        for layer in self.layers[:-1]:
            planes = np.maximum(layer(planes), 0)
        return self.layers[-1](planes)[0]

    def __call__(self, planes: np.ndarray) -> float:
        """Return the logit of (C, H, W) float32 planes."""
        logits = self.cell_logits(planes).ravel()
        count = min(self.cells, len(logits))
        return float(np.partition(logits, -count)[-count:].mean())

    @classmethod
    def of(cls, entry: Any) -> SmallNetwork:
        """Read plain values.

        Raises:
            ValueError: The values do not describe such a network.
        """
        if not isinstance(entry, Mapping):
            raise ValueError("networks of scope must be mappings")
        layers, cells, threshold = entry.get("layers"), entry.get("cells"), entry.get("threshold")
        if not isinstance(layers, list) or not 0 < len(layers) <= _LAYERS or not _whole(cells, 1000):
            raise ValueError(f"networks of scope must have up to {_LAYERS} layers, and a number of cells")
        read = tuple(map(_convolution, layers))
        if any(len(one.bias) != after.weights.shape[1] for one, after in pairwise(read)):
            raise ValueError("layers of scope must take the channels of the layer before")
        if len(read[-1].bias) != 1:
            raise ValueError("the last layer of scope must have one channel")
        return cls(read, cells, float(_numbers(threshold, ())))

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, the inverse of `of`."""
        layers = [
            {
                "shape": list(layer.weights.shape),
                "weights": [round(float(value), 4) for value in layer.weights.ravel()],
                "bias": [round(float(value), 4) for value in layer.bias],
                "stride": layer.stride,
                "dilation": layer.dilation,
            }
            for layer in self.layers
        ]
        return {"layers": layers, "cells": self.cells, "threshold": round(self.threshold, 5)}


def _convolution(entry: Any) -> Convolution:
    if not isinstance(entry, Mapping):
        raise ValueError("layers of scope must be mappings")
    shape, stride, dilation = entry.get("shape"), entry.get("stride"), entry.get("dilation")
    if not (isinstance(shape, list) and len(shape) == 4 and all(_whole(side, _CHANNELS) for side in shape)):
        raise ValueError(f"layers of scope must have a shape of four numbers up to {_CHANNELS}")
    if shape[2] != shape[3] or shape[2] % 2 == 0 or not _whole(stride, _STEP) or not _whole(dilation, _STEP):
        raise ValueError(f"layers of scope must be square and odd, with stride and dilation of 1 to {_STEP}")
    weights = _numbers(entry.get("weights"), (math.prod(shape),)).reshape(shape)
    return Convolution(weights, _numbers(entry.get("bias"), (shape[0],)), stride, dilation)


def _whole(value: Any, most: int) -> bool:
    return type(value) is int and 0 < value <= most


def _numbers(values: Any, shape: tuple[int, ...]) -> np.ndarray:
    """Return finite float32 numbers of a shape of at most one axis."""
    listed = values if shape else [values]
    if not isinstance(listed, list) or (shape and len(listed) != shape[0]):
        raise ValueError("layers of scope must have as many weights and biases as their shape says")
    if not all(type(value) in (int, float) and math.isfinite(value) and abs(value) < 1e6 for value in listed):
        raise ValueError("weights of scope must be finite numbers")
    return np.array(listed, np.float32).reshape(shape)
