"""The part of a radiograph that was exposed: what lies between bars of one grey."""

from __future__ import annotations

import numpy as np

#: Range of grey, of 1, that a row or column of a bar does not exceed.
FLAT = 0.01


def exposed_window(pixels: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of (H, W) pixels that lie between bars: rows and columns of one grey at the edges."""
    rows = np.flatnonzero(np.ptp(pixels, axis=1) > FLAT)
    columns = np.flatnonzero(np.ptp(pixels, axis=0) > FLAT)
    if len(rows) == 0 or len(columns) == 0:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
