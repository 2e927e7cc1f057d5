"""What a network sees of a film, and back: the field, with square pixels and the fingers upwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from jointwrist.data.dicom import Radiograph
from jointwrist.data.images import MAX_SIDE
from jointwrist.inference.turns import turned, turned_boxes

if TYPE_CHECKING:
    from jointwrist.inference.result import WristResult


def upright(film: Radiograph) -> Radiograph:
    """Return the field of a film with square pixels and the fingers upwards, as a film of its own."""
    wrist = squared(film.cropped())
    return replace(wrist, pixels=turned(wrist.pixels, film.turn), turn=0) if film.turn else wrist


def squared(film: Radiograph) -> Radiograph:
    """Return a film with square pixels: its own if they are, else as wide as their shorter side.

    The coarser direction is interpolated linearly; where that would make a side longer than `MAX_SIDE`, both are
    made smaller.
    """
    if film.aspect == 1:
        return film
    height, width = film.pixels.shape
    high, wide = height * max(film.aspect, 1), width * max(1 / film.aspect, 1)
    fit = min(1, MAX_SIDE / max(high, wide))
    size = (max(round(high * fit), 1), max(round(wide * fit), 1))
    pixels = _resized(torch.from_numpy(film.pixels), size).numpy()
    return replace(
        film,
        pixels=pixels,
        spacing_mm=film.spacing_mm and film.spacing_mm * width / size[1],
        aspect=1.0,
        field=film.field and scaled_field(film.field, (height, width), size),
    )


def scaled_field(field: Sequence[float], shape: tuple[int, int], new: tuple[int, int]) -> tuple[int, int, int, int]:
    """Bring a field x0, y0, x1, y1 from a film of `shape` (H, W) to the whole pixels of one of `new`."""
    down, across = new[0] / shape[0], new[1] / shape[1]
    left, top, right, bottom = field
    return round(left * across), round(top * down), round(right * across), round(bottom * down)


def square_result(result: WristResult) -> WristResult:
    """Return a result on a film with square pixels, on which lengths and areas can be measured."""
    film = squared(result.film)
    masks, boxes = resampled(result.masks, result.boxes, film.pixels.shape)
    return replace(result, film=film, masks=masks, boxes=boxes)


def as_stored(film: Radiograph, masks: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Bring masks and boxes from what `upright` makes of a film to the pixels of the film.

    Args:
        film: As it was taken.
        masks: (14, h, w) bool on the upright film.
        boxes: (6, 4) x0, y0, x1, y1 on the upright film, in pixels.

    Returns:
        (14, H, W) bool and (6, 4) boxes on the film.
    """
    boxes = turned_boxes(boxes, -film.turn, masks.shape[1:])
    masks, boxes = resampled(turned(masks, -film.turn), boxes, film.wrist.shape)
    if film.field:
        left, top, right, bottom = film.field
        within = masks
        masks = np.zeros((len(within), *film.pixels.shape), bool)
        masks[:, top:bottom, left:right] = within
        boxes = boxes + np.array([left, top, left, top], boxes.dtype)
    return masks, boxes


def resampled(masks: np.ndarray, boxes: np.ndarray, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Bring (14, h, w) masks and (6, 4) boxes to a film of another (H, W); a pixel is a bone's where half of it is."""
    before = masks.shape[1:]
    if before == tuple(shape):
        return masks, boxes
    scale = np.array([shape[1] / before[1], shape[0] / before[0]] * 2, boxes.dtype)
    planes = [(_resized(torch.from_numpy(mask).float(), shape) > 0.5).numpy() for mask in masks]
    return np.stack(planes), boxes * scale


def _resized(plane: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    return F.interpolate(plane[None, None], tuple(size), mode="bilinear", align_corners=False, antialias=True)[0, 0]
