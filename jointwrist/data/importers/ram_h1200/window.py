"""The part of a radiograph that is written: a square around the wrist, or all of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jointwrist.anatomy import bone_index
from jointwrist.ops.outlines import bounding_box
from jointwrist.renamed_names import former_names

#: Side of the square, about that of the radiographs of RAM-W600 (600 px of 0.15 mm), with a margin.
WINDOW_MM = 95.0
#: Pixel spacing of most released radiographs, for those whose own is not known.
USUAL_MM = 0.175
CARPUS = tuple(
    bone_index(name)
    for name in ("Capitate", "Hamate", "Lunate", "TriquetrumPisiform", "Scaphoid", "Trapezium", "Trapezoid")
)


@dataclass(frozen=True)
class Window:
    """A rectangle on a radiograph.

    Attributes:
        top: First row; negative if the rectangle reaches beyond the radiograph.
        left: First column.
        size: Height and width.
        spacing: Pixel spacing in mm that its size was computed with.
        padded: Whether it reaches beyond the radiograph.
    """

    top: int
    left: int
    size: tuple[int, int]
    spacing: float
    padded: bool

    def cut(self, planes: np.ndarray) -> np.ndarray:
        """Crop (..., H, W) planes; values outside the radiograph are 0."""
        height, width = planes.shape[-2:]
        cut = np.zeros((*planes.shape[:-2], *self.size), planes.dtype)
        top, left = max(self.top, 0), max(self.left, 0)
        part = planes[..., top : min(self.top + self.size[0], height), left : min(self.left + self.size[1], width)]
        down, right = top - self.top, left - self.left
        cut[..., down : down + part.shape[-2], right : right + part.shape[-1]] = part
        return cut


def whole_radiograph(masks: np.ndarray, spacing: float | None) -> Window:
    """Return the rectangle of the whole radiograph; arguments as for `wrist_window`."""
    return Window(0, 0, masks.shape[1:], spacing or USUAL_MM, False)


def wrist_window(masks: np.ndarray, spacing: float | None) -> Window | None:
    """Place a square around the middle of the carpal bones, shifted to lie within the radiograph if it fits.

    Args:
        masks: (14, H, W) bool bone masks of the radiograph.
        spacing: Pixel spacing in mm, or None for the usual one.

    Returns:
        The square, or None if no carpal bone is drawn.
    """
    carpus = masks[list(CARPUS)].any(0)
    if not carpus.any():
        return None
    spacing = spacing or USUAL_MM
    side = round(WINDOW_MM / spacing)
    corner = []
    for part, length in zip(bounding_box(carpus), carpus.shape, strict=True):
        first = round((part.start + part.stop - side) / 2)
        corner.append(min(max(first, 0), length - side) if side <= length else (length - side) // 2)
    return Window(*corner, (side, side), spacing, side > min(carpus.shape))


__getattr__ = former_names(__name__, whole_film="whole_radiograph")
