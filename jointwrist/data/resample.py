"""Normalise and resample one image in NumPy, as `preprocess` does for batches in PyTorch."""

from __future__ import annotations

import numpy as np
from PIL import Image


def normalise_plane(plane: np.ndarray) -> np.ndarray:
    """Stretch an (H, W) float32 image to [0, 1] by its own minimum and maximum; a flat image becomes 0."""
    low = plane.min()
    with np.errstate(over="ignore", invalid="ignore"):  # a range beyond float32, as PyTorch takes it
        span = plane.max() - low
        return (plane - low) / max(span, np.finfo(np.float32).tiny)


def resample(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resample an (h, w) float32 plane to (H, W), linearly and with antialiasing.

    Pillow's filter is the one that PyTorch's `interpolate(mode="bilinear", antialias=True)` follows.
    """
    if plane.shape == tuple(shape):
        return plane
    picture = Image.fromarray(np.ascontiguousarray(plane, np.float32))
    return np.array(picture.resize(tuple(shape)[::-1], Image.Resampling.BILINEAR))


def enlarge_above(
    plane: np.ndarray, side: int, threshold: float, window: tuple[slice, slice] = (slice(None), slice(None))
) -> np.ndarray:
    """Return where a square plane, resampled linearly and without antialiasing, exceeds a threshold.

    Only the part of the window that can exceed it is computed: a bone covers about 5 % of a radiograph, and a
    radiograph that is not square only a part of the plane.

    Args:
        plane: (S, S) float32.
        side: Side in pixels that the plane is enlarged to.
        threshold: Values above it count.
        window: Rows and columns of the enlarged plane to return.

    Returns:
        (rows, columns) bool.
    """
    above = plane > threshold
    if side == len(plane):
        return above[window]
    vertical, horizontal = ([part[wanted] for part in _neighbours(len(plane), side)] for wanted in window)
    rows, columns = (
        _span(some[first] | some[second])
        for some, (first, second, _) in ((above.any(1), vertical), (above.any(0), horizontal))
    )
    mask = np.zeros((len(vertical[0]), len(horizontal[0])), bool)
    if rows is None or columns is None:
        return mask
    upper, lower, down = (part[rows] for part in vertical)
    left, right, across = (part[columns] for part in horizontal)
    part = _mix(plane[upper[0] : lower[-1] + 1].T, left, right, across)
    mask[rows, columns] = _mix(part.T, upper - upper[0], lower - upper[0], down) > threshold
    return mask


def _neighbours(length: int, side: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return, for each of `side` pixels, the two of `length` pixels that it lies between, and the second's weight."""
    at = np.maximum((np.arange(side) + 0.5) * (length / side) - 0.5, 0)
    first = np.minimum(at.astype(np.int64), length - 1)
    return first, np.minimum(first + 1, length - 1), (at - first).astype(np.float32)


def _span(some: np.ndarray) -> slice | None:
    """Return the slice from the first to the last true value; None if there is none."""
    places = np.flatnonzero(some)
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else None


def _mix(rows: np.ndarray, first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return rows[first] * (1 - weight[:, None]) + rows[second] * weight[:, None]
