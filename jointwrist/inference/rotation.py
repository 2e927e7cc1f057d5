"""Rotations by quarter turns, of pixels and of boxes on them."""

from __future__ import annotations

from numbers import Integral

import numpy as np

#: Degrees clockwise by which a radiograph may have to be rotated for the fingers to point upwards.
ROTATIONS = (0, 90, 180, 270)


def known_rotation(degrees: int | None) -> int | None:
    """Return the rotation of all radiographs, or None where it is found for each.

    Raises:
        ValueError: It is no multiple of 90 degrees from 0 to 270.
    """
    if degrees is not None and not (isinstance(degrees, Integral) and degrees in ROTATIONS):
        raise ValueError(f"a rotation is 0, 90, 180 or 270 degrees clockwise, or None, not {degrees!r}")
    return degrees


def rotated(pixels: np.ndarray, degrees: int) -> np.ndarray:
    """Rotate (..., H, W) pixels clockwise by a multiple of 90 degrees."""
    if degrees % 360 == 0:
        return np.ascontiguousarray(pixels)
    return np.rot90(pixels, -degrees // 90, axes=(-2, -1)).copy()  # a strip with negative strides counts as contiguous


def rotated_boxes(boxes: np.ndarray, degrees: int, shape: tuple[int, int]) -> np.ndarray:
    """Rotate (..., 4) boxes x0, y0, x1, y1 as `rotated` rotates the (H, W) pixels that they lie on."""
    height, width = shape
    for _ in range(degrees % 360 // 90):
        x0, y0, x1, y1 = np.moveaxis(boxes, -1, 0)
        boxes = np.stack([height - y1, x0, height - y0, x1], axis=-1)
        height, width = width, height
    return boxes
