"""Outlines of bone masks, and distances to them with sub-pixel accuracy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt, map_coordinates


def outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Trace a mask halfway between its pixels and their neighbours.

    There is no outline where the frame cuts a bone, because the bone does not end there.

    Args:
        mask: (H, W) bool.

    Returns:
        One (N, 2) float64 line of x, y in pixels (centre of the first pixel at 0, 0) for every piece.
    """
    from contourpy import contour_generator

    if not mask.any():
        return []
    window = tuple(slice(max(side.start - 1, 0), side.stop + 1) for side in bounding_box(mask))
    corner = np.array([window[1].start, window[0].start])
    return [line + corner for line in contour_generator(z=mask[window].astype(np.float32)).lines(0.5)]


def closed_outlines(mask: np.ndarray) -> list[np.ndarray]:
    """Trace a mask all round, also along the frame that cuts it, without points on straight runs.

    Args:
        mask: (H, W) bool.

    Returns:
        One (N, 2) float64 closed line of x, y as `outlines` for every piece and every hole; first and last point agree.
    """
    if not mask.any():
        return []
    window = bounding_box(mask)
    corner = np.array([window[1].start - 1, window[0].start - 1])
    lines = (line + corner for line in outlines(np.pad(mask[window], 1)))
    return [np.concatenate([corners, corners[:1]]) for corners in map(_corners, lines)]


def bounding_box(mask: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns of the smallest box around a (H, W) bool mask that is not empty."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _corners(line: np.ndarray) -> np.ndarray:
    """Leave out the points of a closed line in which it goes straight on, and its repeated last one."""
    line = line[:-1]
    before, after = line - np.roll(line, 1, 0), np.roll(line, -1, 0) - line
    turns = before[:, 0] * after[:, 1] != before[:, 1] * after[:, 0]
    return line[turns] if turns.sum() >= 3 else line


def outline_points(mask: np.ndarray, step: float = 1.0) -> np.ndarray:
    """Return (N, 2) points x, y about `step` pixels apart on the outlines of a mask."""
    parts = [_resample(line, step) for line in outlines(mask)]
    return np.concatenate(parts) if parts else np.empty((0, 2))


def _resample(line: np.ndarray, step: float) -> np.ndarray:
    length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    at = np.linspace(0, length[-1], max(round(length[-1] / step), 1), endpoint=False)
    return np.stack([np.interp(at, length, line[:, axis]) for axis in range(2)], axis=1)


class SignedDistance:
    """Distance in pixels from any point to the outline of a mask; negative inside.

    Args:
        mask: (H, W) bool with at least one pixel set and one not.
    """

    def __init__(self, mask: np.ndarray):
        # from a pixel centre to the outline is half a pixel less than to the nearest centre beyond it
        self._map = distance_transform_edt(~mask) - 0.5
        # the nearest centre outside of the bone is at most one pixel beyond its box
        window = tuple(slice(max(part.start - 1, 0), part.stop + 1) for part in bounding_box(mask))
        inside = mask[window]
        self._map[window][inside] = 0.5 - distance_transform_edt(inside)[inside]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return (N,) distances of (N, 2) points x, y; a point beyond the frame takes that of the frame's edge."""
        return map_coordinates(self._map, points[:, ::-1].T, order=1, mode="nearest")
