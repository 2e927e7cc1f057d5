"""Estimate the pixel spacing of a radiograph from the size of the carpus, where none or a wrong one is stated."""

from __future__ import annotations

import math

import numpy as np

from jointwrist.anatomy import bone_index
from jointwrist.errors import DataError

#: Carpal bones, which every radiograph of a wrist shows whole, and the area of their union in mm² (mean of phantoms).
CARPALS = tuple(
    bone_index(name)
    for name in ("Capitate", "Hamate", "Lunate", "TriquetrumPisiform", "Scaphoid", "Trapezium", "Trapezoid")
)
CARPUS_MM2 = 1250.0
#: Factor between a stated and the estimated spacing from which the statement is doubted; phantoms have 0.86 to 1.07.
_DOUBTED = 1.5


def pixel_mm_of(masks: np.ndarray) -> float:
    """Estimate the side of a pixel in mm from the area of the carpus.

    Bones of women and men differ, so lengths of one wrist are uncertain by about 10 %.

    Args:
        masks: (14, H, W) bool.

    Raises:
        DataError: There are no carpal bones.
    """
    area = np.count_nonzero(masks[list(CARPALS)].any(0))
    if area == 0:
        raise DataError("no carpal bone was found, from which the scale is estimated; state the pixel spacing")
    return float(np.sqrt(CARPUS_MM2 / area))


def spacing_doubt(masks: np.ndarray, pixel_mm: tuple[float, float] | None) -> str | None:
    """Say how far a stated pixel spacing is from the size of the carpus; None where it may be right.

    A wrong unit makes a carpus too large or too small, and so does the spacing of the original on a resized copy.

    Args:
        masks: (14, H, W) bool; without a mask of every carpal bone nothing is said.
        pixel_mm: Height and width of a pixel in mm, as stated; None if they are unknown.
    """
    if pixel_mm is None or not masks[list(CARPALS)].any((1, 2)).all():
        return None
    factor = math.sqrt(pixel_mm[0] * pixel_mm[1]) / pixel_mm_of(masks)
    if 1 / _DOUBTED <= factor <= _DOUBTED:
        return None
    return f"with a pixel spacing of {pixel_mm[1]:.3g} mm the carpus would be {factor:.2g} times as long as an adult's"
