"""Overlap counts and surface distances of two masks in one compiled pass.

Contours are the pixels that an erosion by the 4-neighbour cross removes, with background beyond the frame, as in MONAI;
google's surface-distance package defines another contour.
"""

from __future__ import annotations

import numba as nb
import numpy as np

#: Radius in pixels up to which the nearest contour pixel is searched by offsets before a distance transform is made.
_NEAR = 6


def _disc(radius: int) -> np.ndarray:
    span = np.arange(-radius, radius + 1)
    offsets = np.array([(y * y + x * x, y, x) for y in span for x in span if y * y + x * x <= radius * radius])
    return offsets[np.argsort(offsets[:, 0], kind="stable")].astype(np.int64)


_OFFSETS = _disc(_NEAR)


@nb.njit(cache=True, nogil=True)
def _contour(mask, y0, x0, height, width):
    """Contour of a window of a mask, with a margin that keeps offset searches inside the array."""
    edge = np.zeros((height + 2 * _NEAR, width + 2 * _NEAR), np.uint8)
    points = np.empty((height * width, 2), np.int64)
    count = 0
    rows, columns = mask.shape
    for y in range(y0, y0 + height):
        for x in range(x0, x0 + width):
            if not mask[y, x]:
                continue
            inner = y > 0 and x > 0 and y < rows - 1 and x < columns - 1
            if inner and mask[y - 1, x] and mask[y + 1, x] and mask[y, x - 1] and mask[y, x + 1]:
                continue
            edge[y - y0 + _NEAR, x - x0 + _NEAR] = 1
            points[count, 0], points[count, 1] = y - y0 + _NEAR, x - x0 + _NEAR
            count += 1
    return edge, points[:count]


@nb.njit(cache=True, nogil=True)
def _squared_transform(edge):
    """Squared Euclidean distance to the nearest contour pixel (Felzenszwalb and Huttenlocher 2012)."""
    height, width = edge.shape
    far = float((height + width) ** 2)
    column = np.empty((height, width))
    for x in range(width):
        last = far
        for y in range(height):
            last = 0.0 if edge[y, x] else last + 1
            column[y, x] = last
        last = far
        for y in range(height - 1, -1, -1):
            last = 0.0 if edge[y, x] else last + 1
            column[y, x] = min(column[y, x], last)
    out = np.empty((height, width))
    hull, bound = np.empty(width, np.int64), np.empty(width + 1)
    for y in range(height):
        size = 0
        hull[0], bound[0], bound[1] = 0, -np.inf, np.inf
        for x in range(1, width):
            value = column[y, x] ** 2 + x * x
            while True:
                v = hull[size]
                cross = (value - column[y, v] ** 2 - v * v) / (2.0 * (x - v))
                if cross > bound[size]:
                    break
                size -= 1
            size += 1
            hull[size], bound[size], bound[size + 1] = x, cross, np.inf
        k = 0
        for x in range(width):
            while bound[k + 1] < x:
                k += 1
            out[y, x] = (x - hull[k]) ** 2 + column[y, hull[k]] ** 2
    return out


@nb.njit(cache=True, nogil=True)
def _distances(points, edge, offsets, tolerance):
    """Sum of distances from contour points to another contour, and how many lie within the tolerance."""
    total, hits = 0.0, 0
    transform = np.empty((0, 0))
    for i in range(len(points)):
        y, x = points[i]
        squared = -1.0
        for k in range(len(offsets)):
            if edge[y + offsets[k, 1], x + offsets[k, 2]]:
                squared = float(offsets[k, 0])
                break
        if squared < 0:
            if transform.size == 0:
                transform = _squared_transform(edge)
            squared = transform[y, x]
        distance = np.sqrt(squared)
        total += distance
        hits += distance <= tolerance
    return total, hits


@nb.njit(cache=True, nogil=True)
def _compare(pred, truth, tolerance, offsets):
    rows, columns = truth.shape
    predicted = true = both = 0
    y0, y1, x0, x1 = rows, -1, columns, -1
    for y in range(rows):
        for x in range(columns):
            p, t = pred[y, x], truth[y, x]
            if p or t:
                predicted += p
                true += t
                both += p and t
                y0, y1, x0, x1 = min(y0, y), max(y1, y), min(x0, x), max(x1, x)
    if predicted == 0 or true == 0:
        return predicted, true, both, 0.0, 0, 0
    height, width = y1 - y0 + 1, x1 - x0 + 1
    pred_edge, pred_points = _contour(pred, y0, x0, height, width)
    true_edge, true_points = _contour(truth, y0, x0, height, width)
    to_true, near_true = _distances(pred_points, true_edge, offsets, tolerance)
    to_pred, near_pred = _distances(true_points, pred_edge, offsets, tolerance)
    return predicted, true, both, to_true + to_pred, near_true + near_pred, len(pred_points) + len(true_points)


def compare_masks(pred: np.ndarray, truth: np.ndarray, tolerance_px: float) -> tuple[int, int, int, float, int, int]:
    """Count and measure two (H, W) bool masks.

    Returns:
        Pixels predicted, true and common; the sum of the distances of both contours to the other in pixels, how many
        contour pixels lie within the tolerance, and how many there are (the last three 0 if a mask is empty).
    """
    return _compare(pred, truth, float(tolerance_px), _OFFSETS)
