"""Find the exposed part of a radiograph, without uniform bars of collimation or padding along its edges."""

from __future__ import annotations

import numpy as np

#: Largest range of grey values within a row or column of a bar.
FLAT = 0.01


def exposed_window(pixels: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of (H, W) pixels between the bars of uniform grey along the edges."""
    rows = np.flatnonzero(np.ptp(pixels, axis=1) > FLAT)
    columns = np.flatnonzero(np.ptp(pixels, axis=0) > FLAT)
    if len(rows) == 0 or len(columns) == 0:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
