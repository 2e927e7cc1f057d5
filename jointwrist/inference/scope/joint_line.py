"""The joint line between two bones: the radiograph resampled along the boundary between their masks."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates, uniform_filter1d

from jointwrist.inference.scope.aligned_wrist import AlignedWrist
from jointwrist.ops.outlines import bounding_box

#: Samples along a joint, each the mean of `_MEAN`, and samples across it, `STEP_MM` apart.
ALONG, _MEAN, ACROSS, STEP_MM = 12, 3, 27, 0.3
#: Two bones meet where both are nearer than the first value, over at least the second, in mm.
NEAR_MM, SHORTEST_MM = 2.0, 3.0
#: Larger logits are clipped to this.
_LARGEST = 8.0


def joint_line(wrist: AlignedWrist, first: int, second: int) -> np.ndarray | None:
    """Resample grey values and logits along the boundary between two bones.

    Args:
        wrist: The aligned radiograph.
        first: Index of one bone.
        second: Index of the other.

    Returns:
        (3, `ALONG`, `ACROSS`) float32: grey values, and the logits of both bones; columns run from the first bone to
        the second. None if the bones do not meet.
    """
    near, far, mm = wrist.distances[first], wrist.distances[second], wrist.to_pixels.scale
    pixels = (np.maximum(near, far) < NEAR_MM) & (np.abs(near - far) < 1.0 / mm)
    if not pixels.any():
        return None
    window = tuple(slice(max(side.start - 3, 0), side.stop + 3) for side in bounding_box(pixels))
    points, normals = _boundary((near - far)[window], np.argwhere(pixels[window]), mm)
    points = points + [side.start for side in window]
    middle = points - points.mean(0)
    axis = np.linalg.svd(middle, full_matrices=False)[2][0]
    mean = normals.mean(0)
    if axis @ (mean[1], -mean[0]) < 0:  # so that a joint always runs in the same direction
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
    factor = len(wrist.image) / len(near)
    planes = [_sampled(wrist.image, (samples + 0.5) * factor - 0.5)]
    planes += [_sampled(wrist.logits[bone], samples).clip(-_LARGEST, _LARGEST) for bone in (first, second)]
    return np.stack(planes)


def _boundary(difference: np.ndarray, pixels: np.ndarray, mm: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the (N, 2) points nearest to given pixels at which a difference of distances is 0, and its slope there."""
    difference = gaussian_filter(difference, 1.0)
    slope = np.stack(np.gradient(difference), -1)[tuple(pixels.T)]
    length = np.linalg.norm(slope, axis=1, keepdims=True)
    normals = slope / np.maximum(length, 1e-6)
    offset = difference[tuple(pixels.T)][:, None] / np.maximum(length, 0.2 / mm)
    return pixels - normals * np.clip(offset, -1.5, 1.5), normals


def _smoothly(values: np.ndarray, along: np.ndarray, at: np.ndarray, width: int) -> np.ndarray:
    """Smooth (N, 2) values along a line, and interpolate them at other positions."""
    smooth = uniform_filter1d(values, width, axis=0, mode="nearest")
    return np.stack([np.interp(at, along, column) for column in smooth.T], 1)


def _sampled(plane: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return (`ALONG`, `ACROSS`) values at (`ALONG` * `_MEAN`, `ACROSS`, 2) points."""
    values = map_coordinates(plane, points.reshape(-1, 2).T, order=1, mode="nearest")
    return values.reshape(ALONG, _MEAN, ACROSS).mean(1)
