"""Find a bright frame around the exposed field, as left by a scanner, or by collimation without a stated shutter."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import binary_dilation, distance_transform_cdt, label

from jointwrist.data.shapes.fill import fill_through_centres

#: The frame is sought on about this many pixels along the longer side.
_COARSE = 512
#: A frame covers at least this share of the picture, and leaves at least this share.
_FRAME, _FIELD = 0.01, 0.1
#: Least grey of a frame, and largest deviation from the grey of its corners, as shares of the range.
_BRIGHT, _EVEN = 0.6, 0.05
#: Least share of a frame that is bright; the rest may be text and specks.
_FULL = 0.9
#: Least share of the field that is not as bright as the frame.
_CONVEX = 0.9
#: The field beside the frame, at these distances in coarse pixels, is darker than this share of the range, at least
#: half of it. On a negative, the hand beside the background is brighter.
_BESIDE, _DARK = (2, 5), 0.6


def bright_frame(pixels: np.ndarray) -> np.ndarray | None:
    """Return the (H, W) bool pixels of a bright frame, or None if there is none.

    A frame is even, holds a corner of the picture, and leaves a convex field: a rectangle, upright or rotated, a circle
    or a polygon. So bones that are as bright and touch it belong to the field, and the bright background of a negative
    is not a frame.
    """
    step = max(-(-max(pixels.shape) // _COARSE), 1)
    coarse = pixels[::step, ::step]
    low, high = float(coarse.min()), float(coarse.max())
    corners = coarse[[0, 0, -1, -1], [0, -1, 0, -1]]
    bright_corners = corners[corners > low + _BRIGHT * (high - low)]
    if not len(bright_corners):
        return None
    level = float(np.median(bright_corners)) - low
    bright = np.abs(coarse - low - level) <= _EVEN * (high - low)
    field = _hull(_largest_piece(~bright))
    if field is None:
        return None
    frame = ~field
    distance = distance_transform_cdt(field, "chessboard")
    beside = coarse[(distance >= _BESIDE[0]) & (distance < _BESIDE[1])]
    if (
        not _FRAME <= frame.mean() <= 1 - _FIELD
        or bright[frame].mean() < _FULL
        or (~bright)[field].mean() < _CONVEX
        or not len(beside)
        or np.median(beside) > low + _DARK * (high - low)
    ):
        return None
    # with the pixels in between, which are as bright as neither
    wide = binary_dilation(frame, np.ones((3, 3), bool))
    return wide.repeat(step, 0).repeat(step, 1)[: pixels.shape[0], : pixels.shape[1]]


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    pieces, count = label(mask)
    return pieces == 1 + np.argmax(np.bincount(pieces.ravel())[1:]) if count else mask


def _hull(mask: np.ndarray) -> np.ndarray | None:
    """Return the (H, W) convex hull of a mask, or None if it has no area."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) < 3 or len(columns) < 3:
        return None
    first, last = mask[rows].argmax(1), mask.shape[1] - 1 - mask[rows, ::-1].argmax(1)
    ends = np.column_stack([np.concatenate([first, last]), np.concatenate([rows, rows])])
    if len(np.unique(ends[:, 0])) < 2:
        return None
    from scipy.spatial import ConvexHull  # takes a tenth of a second, and few radiographs have bright corners

    return fill_through_centres(ends[ConvexHull(ends).vertices].astype(np.float64), mask.shape)
