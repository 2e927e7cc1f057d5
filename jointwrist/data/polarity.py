"""Negatives: radiographs whose bones are dark on a bright ground."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.ndimage import binary_dilation

from jointwrist.data.collimation import exposed_window
from jointwrist.data.radiograph import Radiograph

#: Width of the strips along the edges, as a share of the sides.
_STRIP = 1 / 32
#: Width of the rim around bones that counts as next to them, as a share of the height.
_BESIDE = 1 / 16
#: Grey, of 1 between the percentiles 1 and 99, above which the ground is bright. Along the edges beside the hand it is
#: at most 0.08 on 16 real wrists and 29 phantoms, and at least 0.92 on their negatives; along those that the hand
#: crosses it is 0.27 to 0.73 on both.
_BRIGHT = 0.8


def has_bright_ground(pixels: np.ndarray) -> bool:
    """Whether the ground of (H, W) pixels is bright along the left and right edges, or along the upper and lower ones.

    So it is on a negative, but also on a radiograph in a ragged white frame: what bones are darker than tells the two
    apart. Bars of one grey along the edges have no say.
    """
    pixels = pixels[exposed_window(pixels)]
    low, high = np.percentile(pixels, [1, 99])
    height, width = pixels.shape
    rows, columns = max(round(height * _STRIP), 1), max(round(width * _STRIP), 1)
    pairs = ((pixels[:, :columns], pixels[:, -columns:]), (pixels[:rows], pixels[-rows:]))
    return any(
        np.median(np.concatenate([edge.ravel() for edge in pair])) > low + _BRIGHT * (high - low) for pair in pairs
    )


def contrast(pixels: np.ndarray, masks: np.ndarray) -> float:
    """Return how much brighter than what is next to them the bones of (14, H, W) masks are on (H, W) pixels."""
    bones = masks.any(0)
    beside = binary_dilation(bones, iterations=max(round(_BESIDE * len(bones)), 1)) & ~bones
    return float(pixels[bones].mean() - pixels[beside].mean()) if bones.any() and beside.any() else 0.0


def negative(radiograph: Radiograph) -> Radiograph:
    """Return a radiograph with dark and bright exchanged."""
    return replace(radiograph, pixels=radiograph.pixels.max() + radiograph.pixels.min() - radiograph.pixels)
