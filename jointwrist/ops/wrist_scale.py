"""Estimate the pixel spacing of a radiograph that does not state it, from the size of the carpus."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import bone_index
from jointwrist.errors import DataError

#: Carpal bones, which every radiograph of a wrist shows whole, and the area of their union in mm² (mean of phantoms).
CARPALS = tuple(
    bone_index(name)
    for name in ("Capitate", "Hamate", "Lunate", "TriquetrumPisiform", "Scaphoid", "Trapezium", "Trapezoid")
)
CARPUS_MM2 = 1250.0


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
