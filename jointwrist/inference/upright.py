"""What a network sees of a radiograph, and back: the field, with square pixels and the fingers upwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from jointwrist.data.images import MAX_SIDE
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.rotation import rotated, rotated_boxes

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult


def upright(radiograph: Radiograph) -> Radiograph:
    """Return the field of a radiograph with square pixels and the fingers upwards, as a radiograph of its own."""
    wrist = squared(radiograph.cropped())
    return replace(wrist, pixels=rotated(wrist.pixels, radiograph.turn), turn=0) if radiograph.turn else wrist


def squared(radiograph: Radiograph) -> Radiograph:
    """Return a radiograph with square pixels: its own if they are, else as wide as their shorter side.

    The coarser direction is interpolated linearly; where that would make a side longer than `MAX_SIDE`, both are
    made smaller.
    """
    if radiograph.aspect == 1:
        return radiograph
    height, width = radiograph.pixels.shape
    high, wide = height * max(radiograph.aspect, 1), width * max(1 / radiograph.aspect, 1)
    fit = min(1, MAX_SIDE / max(high, wide))
    size = (max(round(high * fit), 1), max(round(wide * fit), 1))
    pixels = _resized(torch.from_numpy(radiograph.pixels), size).numpy()
    return replace(
        radiograph,
        pixels=pixels,
        spacing_mm=radiograph.spacing_mm and radiograph.spacing_mm * width / size[1],
        aspect=1.0,
        field=radiograph.field and scaled_field(radiograph.field, (height, width), size),
    )


def scaled_field(field: Sequence[float], shape: tuple[int, int], new: tuple[int, int]) -> tuple[int, int, int, int]:
    """Bring a field x0, y0, x1, y1 from a radiograph of `shape` (H, W) to the whole pixels of one of `new`."""
    down, across = new[0] / shape[0], new[1] / shape[1]
    left, top, right, bottom = field
    return round(left * across), round(top * down), round(right * across), round(bottom * down)


def square_result(result: WristResult) -> WristResult:
    """Return a result on a radiograph with square pixels, on which lengths and areas can be measured."""
    radiograph = squared(result.radiograph)
    masks, boxes = resampled(result.masks, result.boxes, radiograph.pixels.shape)
    return replace(result, radiograph=radiograph, masks=masks, boxes=boxes)


def as_stored(radiograph: Radiograph, masks: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring masks and boxes from what `upright` makes of a radiograph to the pixels of the radiograph.

    Args:
        radiograph: As it was taken.
        masks: (14, h, w) bool on the upright radiograph.
        boxes: (6, 4) x0, y0, x1, y1 on the upright radiograph, in pixels.

    Returns:
        (14, H, W) bool and (6, 4) boxes on the radiograph.
    """
    boxes = rotated_boxes(boxes, -radiograph.turn, masks.shape[1:])
    masks, boxes = resampled(rotated(masks, -radiograph.turn), boxes, radiograph.wrist.shape)
    if radiograph.field:
        left, top, right, bottom = radiograph.field
        within = masks
        masks = np.zeros((len(within), *radiograph.pixels.shape), bool)
        masks[:, top:bottom, left:right] = within
        boxes = boxes + np.array([left, top, left, top], boxes.dtype)
    return masks, boxes


def resampled(masks: np.ndarray, boxes: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Bring (14, h, w) masks and (6, 4) boxes to a image of another (H, W); a pixel is a bone's where half of it is."""
    before = masks.shape[1:]
    if before == tuple(shape):
        return masks, boxes
    scale = np.array([shape[1] / before[1], shape[0] / before[0]] * 2, boxes.dtype)
    planes = [(_resized(torch.from_numpy(mask).float(), shape) > 0.5).numpy() for mask in masks]
    return np.stack(planes), boxes * scale


def _resized(plane: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(plane[None, None], tuple(size), mode="bilinear", align_corners=False, antialias=True)[0, 0]
