"""Overlap counts and surface distances of two masks in one compiled pass, for DSC, NSD and MSD (`segmentation`).

Boundary pixels are those that a morphological erosion by the 4-neighbour cross removes, with background beyond the
image, as in MONAI; Google's surface-distance package defines the boundary differently.

Distances are exact. They come from the separable distance transform (columns first, then rows). Its second half is
computed only where it is needed: at the boundary pixels of the other mask, along the row outward until the horizontal
step alone is longer than the shortest distance found.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Longer than any distance in an image; its square fits into 64 bits.
_FAR = np.int32(1 << 30)
_ONE = np.int32(1)


@njit(cache=True, nogil=True)
def _box(pred, truth):
    """Bounding box of both masks: first and last row and column, the last exclusive; all 0 if both are empty."""
    rows, columns = pred.shape
    used = np.zeros(columns, np.uint8)
    top = bottom = 0
    for y in range(rows):
        p, t = pred[y], truth[y]
        present = np.uint8(0)
        for x in range(columns):
            either = np.uint8(p[x] | t[x])
            used[x] |= either
            present = np.uint8(present | either)
        if present:
            if bottom == 0:
                top = y
            bottom = y + 1
    if bottom == 0:
        return 0, 0, 0, 0
    columns_used = np.flatnonzero(used)
    return top, bottom, columns_used[0], columns_used[-1] + 1


@njit(cache=True, nogil=True)
def _window(mask, top, bottom, left, right):
    """Crop a box of a mask, with a margin of one empty pixel."""
    window = np.zeros((bottom - top + 2, right - left + 2), np.uint8)
    for y in range(bottom - top):
        row, out = mask[top + y][left:right], window[y + 1][1:-1]
        for x in range(right - left):
            out[x] = row[x]
    return window


@njit(cache=True, nogil=True)
def _areas(pred, truth):
    predicted, true, both = 0, 0, 0
    for y in range(pred.shape[0]):
        p, t = pred[y], truth[y]
        for x in range(pred.shape[1]):
            predicted += p[x]
            true += t[x]
            both += p[x] & t[x]
    return predicted, true, both


@njit(cache=True, nogil=True)
def _contour(window):
    """Boundary pixels of a mask with a margin of one pixel; the result has no margin."""
    height, width = window.shape[0] - 2, window.shape[1] - 2
    contour = np.empty((height, width), np.uint8)
    for y in range(height):
        above, row, below = window[y][1:-1], window[y + 1][1:-1], window[y + 2][1:-1]
        left, right = window[y + 1][:-2], window[y + 1][2:]
        out = contour[y]
        for x in range(width):
            out[x] = row[x] & ~(above[x] & below[x] & left[x] & right[x])
    return contour


@njit(cache=True, nogil=True)
def _column_distances(contour):
    """Distance to the boundary within each column; `_FAR` or more in a column without boundary pixels."""
    height, width = contour.shape
    distance = np.empty((height, width), np.int32)
    last = np.full(width, _FAR)
    for y in range(height):
        here, out = contour[y], distance[y]
        for x in range(width):
            last[x] = np.int32(0) if here[x] else np.int32(last[x] + _ONE)
            out[x] = last[x]
    for y in range(height - 2, -1, -1):
        out, below = distance[y], distance[y + 1]
        for x in range(width):
            out[x] = min(out[x], np.int32(below[x] + _ONE))
    return distance


@njit(cache=True, nogil=True)
def _distances(contour, columns, tolerance):
    """Sum of the distances from a boundary to that of `columns`; number of its pixels within the tolerance; of all."""
    height, width = contour.shape
    total, near, count = 0.0, 0, 0
    for y in range(height):
        here, column = contour[y], columns[y]
        for x in range(width):
            if here[x]:
                best = np.int64(column[x]) ** 2
                step = 1
                while step * step < best:
                    if step <= x:
                        best = min(best, step * step + np.int64(column[x - step]) ** 2)
                    if step < width - x:
                        best = min(best, step * step + np.int64(column[x + step]) ** 2)
                    step += 1
                distance = np.sqrt(best)
                total += distance
                near += distance <= tolerance
                count += 1
    return total, near, count


@njit(cache=True, nogil=True)
def _compare(pred, truth, tolerance):
    top, bottom, left, right = _box(pred, truth)
    pred, truth = _window(pred, top, bottom, left, right), _window(truth, top, bottom, left, right)
    predicted, true, both = _areas(pred, truth)
    if predicted == 0 or true == 0:
        return predicted, true, both, 0.0, 0, 0
    pred, truth = _contour(pred), _contour(truth)
    to_truth, pred_near, pred_count = _distances(pred, _column_distances(truth), tolerance)
    to_pred, true_near, true_count = _distances(truth, _column_distances(pred), tolerance)
    return predicted, true, both, to_truth + to_pred, pred_near + true_near, pred_count + true_count


def compare_masks(pred: np.ndarray, truth: np.ndarray, tolerance_px: float) -> tuple[int, int, int, float, int, int]:
    """Compute areas and surface distances of two C-contiguous (H, W) masks, bool or uint8 of 0 and 1.

    The GIL is released during the computation.

    Returns:
        Number of pixels predicted, true and in both; sum of the distances from each boundary to the other in pixels;
        number of boundary pixels within the tolerance; number of boundary pixels. The last three are 0 if a mask is
        empty.
    """
    return _compare(pred.view(np.uint8), truth.view(np.uint8), float(tolerance_px))
