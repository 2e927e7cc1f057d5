"""Pixels that a display shutter hides (PS3.3, C.7.6.11), as it hides the bright edge round a collimated field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.dicom.elements import element_numbers, element_text
from jointwrist.data.shapes.fill import fill_through_centres

if TYPE_CHECKING:
    from pydicom import Dataset

_EDGES = (
    *("ShutterUpperHorizontalEdge", "ShutterLowerHorizontalEdge"),
    *("ShutterLeftVerticalEdge", "ShutterRightVerticalEdge"),
)


def hidden_pixels(dataset: Dataset, shape: tuple[int, int], padding: np.ndarray | None) -> np.ndarray | None:
    """Return the (H, W) bool pixels that are padding or outside the shutter, or None if there are none.

    Edges, centre and vertices are counted from 1, rows before columns. Of several shapes the intersection is shown. A
    shutter that is not valid, or leaves no pixel, is ignored.
    """
    shown = np.ones(shape, bool) if padding is None else ~padding
    for name in element_text(dataset, "ShutterShape").upper().split("\\"):
        match name.strip():
            case "RECTANGULAR":
                shown = shown & _rectangle(dataset, shape)
            case "CIRCULAR":
                shown = shown & _circle(dataset, shape)
            case "POLYGONAL":
                shown = shown & _polygon(dataset, shape)
    return ~shown if shown.any() and not shown.all() else padding


def _rectangle(dataset: Dataset, shape: tuple[int, int]) -> np.ndarray:
    edges = [element_numbers(dataset, name) or [] for name in _EDGES]
    if any(len(edge) != 1 for edge in edges):
        return np.ones(shape, bool)
    upper, lower, left, right = (edge[0] for edge in edges)
    row, column = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return (row >= upper) & (row <= lower) & (column >= left) & (column <= right)


def _circle(dataset: Dataset, shape: tuple[int, int]) -> np.ndarray:
    centre = element_numbers(dataset, "CenterOfCircularShutter") or []
    radius = element_numbers(dataset, "RadiusOfCircularShutter") or []
    if len(centre) != 2 or len(radius) != 1:
        return np.ones(shape, bool)
    row, column = np.ogrid[1 : shape[0] + 1, 1 : shape[1] + 1]
    return (row - centre[0]) ** 2 + (column - centre[1]) ** 2 <= radius[0] ** 2


def _polygon(dataset: Dataset, shape: tuple[int, int]) -> np.ndarray:
    numbers = element_numbers(dataset, "VerticesOfThePolygonalShutter") or []
    if len(numbers) < 6 or len(numbers) % 2:
        return np.ones(shape, bool)
    return fill_through_centres(np.array(numbers).reshape(-1, 2)[:, ::-1] - 1, shape)
