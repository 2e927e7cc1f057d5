"""Resampling between the stored pixels of a radiograph, which may be oblong, and square pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from jointwrist.data.images import MAX_SIDE
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import resample


def square_shape(shape: tuple[int, int], aspect: float) -> tuple[int, int]:
    """Return height and width in square pixels of (H, W) pixels whose height over width is `aspect`.

    The square pixels have the shorter side of the stored ones. Where that would make a side longer than `MAX_SIDE`,
    both sides are reduced.
    """
    if aspect == 1:
        return shape
    high, wide = shape[0] * max(aspect, 1), shape[1] * max(1 / aspect, 1)
    fit = min(1, MAX_SIDE / max(high, wide))
    return max(round(high * fit), 1), max(round(wide * fit), 1)


def with_square_pixels(radiograph: Radiograph) -> Radiograph:
    """Resample a radiograph to square pixels, linearly along its coarser direction; unchanged if they are square."""
    if radiograph.aspect == 1:
        return radiograph
    width = radiograph.pixels.shape[1]
    shape = square_shape(radiograph.pixels.shape, radiograph.aspect)
    pixels = resample(radiograph.pixels, shape)
    spacing_mm = radiograph.spacing_mm and radiograph.spacing_mm * width / shape[1]
    return replace(radiograph, pixels=pixels, spacing_mm=spacing_mm, aspect=1.0)


def resample_mask(mask: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resample an (h, w) bool mask to (H, W): a pixel is set where more than half of it is covered."""
    return mask if mask.shape == tuple(shape) else resample(mask.astype(np.float32), shape) > 0.5


def scale_boxes(boxes: np.ndarray, before: tuple[int, int], after: tuple[int, int]) -> np.ndarray:
    """Scale (..., 4) boxes x0, y0, x1, y1 on (h, w) pixels to the same image of (H, W) pixels."""
    if tuple(before) == tuple(after):
        return boxes
    return boxes * np.array([after[1] / before[1], after[0] / before[0]] * 2, boxes.dtype)


def scale_crop(crop: Sequence[float], before: tuple[int, int], after: tuple[int, int]) -> tuple[int, int, int, int]:
    """Scale a crop left, top, right, bottom on (h, w) pixels to whole pixels of the same image of (H, W) pixels."""
    down, across = after[0] / before[0], after[1] / before[1]
    left, top, right, bottom = crop
    return round(left * across), round(top * down), round(right * across), round(bottom * down)
