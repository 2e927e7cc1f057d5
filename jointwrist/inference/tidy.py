"""What anatomy and film say of a mask: a bone is one piece without holes, and nothing is seen under a black bar."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_fill_holes, find_objects, label

#: Range of grey, of 1, that a row or column of a bar does not exceed.
FLAT = 0.01


def exposed_window(pixels: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of (H, W) pixels that lie between bars: rows and columns of one grey at the edges."""
    rows = np.flatnonzero(np.ptp(pixels, axis=1) > FLAT)
    columns = np.flatnonzero(np.ptp(pixels, axis=0) > FLAT)
    if len(rows) == 0 or len(columns) == 0:
        return slice(None), slice(None)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def tidy_mask(mask: np.ndarray, smallest: float = 0.1) -> np.ndarray:
    """Fill the holes of a bone's mask and drop stray islands.

    The contour stays as it is, so that erosions, which are dents of the contour, are kept.

    Args:
        mask: (H, W) bool.
        smallest: Pieces smaller than this share of the largest one are dropped; a piece that is larger may be the
            pisiform beside the triquetrum, or a broken styloid.

    Returns:
        (H, W) bool.
    """
    tidied = np.zeros_like(mask)
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return tidied
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    pieces, _ = label(mask[box])
    sizes = np.bincount(pieces.ravel())[1:]
    for index, window in enumerate(find_objects(pieces)):
        if sizes[index] >= smallest * sizes.max():
            tidied[box][window] |= binary_fill_holes(pieces[window] == index + 1)
    return tidied
