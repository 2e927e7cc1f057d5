"""The joint line between two bones: the radiograph straightened along the border of their masks."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter1d

from jointwrist.inference.scope.film import Film
from jointwrist.ops.outlines import bounding_box

#: Places along a joint, each the mean of some, and places across it with their distance in mm.
ALONG, _MEAN, ACROSS, STEP_MM = 12, 3, 27, 0.3
#: Two bones meet where both are nearer than this, at least over this length, in mm.
NEAR_MM, SHORTEST_MM = 2.0, 3.0
#: Largest logit that is told from larger ones.
_LARGEST = 8.0


def joint_line(film: Film, first: int, second: int) -> np.ndarray | None:
    """Straighten the border of two bones.

    Args:
        film: The radiograph.
        first: Index of a bone.
        second: Index of another.

    Returns:
        (3, `ALONG`, `ACROSS`) float32 from the first bone to the second: grey values, and the logits of both; None
        where the bones do not meet.
    """
    near, far, mm = film.distances[first], film.distances[second], film.wrist.scale
    places = (np.maximum(near, far) < NEAR_MM) & (np.abs(near - far) < 1.0 / mm)
    if not places.any():
        return None
    window = tuple(slice(max(side.start - 3, 0), side.stop + 3) for side in bounding_box(places))
    points, normals = _border((near - far)[window], np.argwhere(places[window]), mm)
    points = points + [side.start for side in window]
    middle = points - points.mean(0)
    axis = np.linalg.svd(middle, full_matrices=False)[2][0]
    mean = normals.mean(0)
    if axis @ (mean[1], -mean[0]) < 0:  # so that a joint always runs the same way
        axis = -axis
    along = middle @ axis
    if np.ptp(along) < SHORTEST_MM * mm:
        return None
    order = np.argsort(along)
    at, width = np.linspace(along.min(), along.max(), ALONG * _MEAN), max(len(order) // (2 * ALONG), 1)
    points, normals = (_smoothly(values[order], along[order], at, width) for values in (points, normals))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-6)
    across = (np.arange(ACROSS) - ACROSS // 2) * STEP_MM * mm
    samples = points[:, None] + across[:, None] * normals[:, None]
    factor = len(film.image) / len(near)
    planes = [_sampled(film.image, (samples + 0.5) * factor - 0.5)]
    planes += [_sampled(film.logits[bone], samples).clip(-_LARGEST, _LARGEST) for bone in (first, second)]
    return np.stack(planes)


def _border(difference: np.ndarray, places: np.ndarray, mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the (N, 2) points where a difference of distances is 0, next to given places, and its slope there."""
    difference = gaussian_filter(difference, 1.0)
    slope = np.stack(np.gradient(difference), -1)[tuple(places.T)]
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    normals = slope / np.maximum(length, 1e-6)
    offset = difference[tuple(places.T)][:, None] / np.maximum(length, 0.2 / mm)
    return places - normals * np.clip(offset, -1.5, 1.5), normals


def _smoothly(values: np.ndarray, along: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
    """Return (N, 2) values along a line at other places, smoothed."""
    smooth = uniform_filter1d(values, width, axis=0, mode="nearest")
    return np.stack([np.interp(at, along, column) for column in smooth.T], 1)


def _sampled(plane: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return (`ALONG`, `ACROSS`) values at (`ALONG` * `_MEAN`, `ACROSS`, 2) places."""
    values = map_coordinates(plane, places.reshape(-1, 2).T, order=1, mode="nearest")
    return values.reshape(ALONG, _MEAN, ACROSS).mean(1)
