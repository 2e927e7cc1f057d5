"""The joint line between two bones: the radiograph straightened along the border of their masks."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt, gaussian_filter, map_coordinates, uniform_filter1d

from jointwrist.ops.outlines import bounding_box

#: Places along a joint and across it, and the distance of those across it in mm.
ALONG, ACROSS, STEP_MM = 16, 33, 0.25
#: Two bones meet where both are nearer than this, at least over this length, in mm.
NEAR_MM, SHORTEST_MM = 2.0, 3.0
#: How far signed distances are known beyond a bone, in mm.
_MARGIN_MM = 6.0


class JointLine(NamedTuple):
    """The surroundings of the border between two bones.

    Attributes:
        grey: (`ALONG`, `ACROSS`) float32 grey values, from the first bone to the second; 0 is the local mean.
        gaps: (`ALONG`,) float32 distance of the two masks in mm, negative where they overlap.
    """

    grey: np.ndarray
    gaps: np.ndarray


def signed_distances(masks: np.ndarray, mm: float) -> np.ndarray:
    """Return the (C, H, W) distance in mm of each pixel to each bone, negative within; 99 far away.

    Args:
        masks: (C, H, W) bool.
        mm: Pixels per mm.
    """
    distances = np.full(masks.shape, 99.0, np.float32)
    margin = round(_MARGIN_MM * mm)
    for mask, distance in zip(masks, distances, strict=True):
        if not mask.any():
            continue
        window = tuple(slice(max(side.start - margin, 0), side.stop + margin) for side in bounding_box(mask))
        inside = mask[window]
        distance[window] = (distance_transform_edt(~inside) - distance_transform_edt(inside)) / mm
    return distances


def local_contrast(image: np.ndarray, near_bone: np.ndarray, mm: float) -> np.ndarray:
    """Return an (H, W) image without its slow variations, in units of the remaining variation near bones.

    Args:
        image: (H, W) grey values.
        near_bone: (H, W) bool.
        mm: Pixels per mm.
    """
    fine = image - gaussian_filter(image, 2.5 * mm)
    return fine / max(float(fine[near_bone].std()), 1e-6) if near_bone.any() else fine


def joint_line(contrast: np.ndarray, first: np.ndarray, second: np.ndarray, mm: float) -> JointLine | None:
    """Straighten the border of two bones.

    Args:
        contrast: (H, W) image of `local_contrast`.
        first: (H, W) signed distances to one bone in mm.
        second: (H, W) signed distances to the other.
        mm: Pixels per mm.

    Returns:
        The joint line, or None where the bones do not meet.
    """
    near = (np.maximum(first, second) < NEAR_MM) & (np.abs(first - second) < 1.0 / mm)
    if not near.any():
        return None
    window = tuple(slice(max(side.start - 3, 0), side.stop + 3) for side in bounding_box(near))
    difference = gaussian_filter(first[window] - second[window], 1.0)
    slope = np.stack(np.gradient(difference), -1)
    places = np.argwhere(near[window])
    normal = slope[tuple(places.T)]
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(length, 1e-6)
    offset = difference[tuple(places.T)][:, None] / np.maximum(length, 0.2 / mm)
    points = places - normal * np.clip(offset, -1.5, 1.5) + [side.start for side in window]
    middle = points - points.mean(0)
    axis = np.linalg.svd(middle, full_matrices=False)[2][0]
    order = np.argsort(middle @ axis)
    if np.ptp(middle @ axis) < SHORTEST_MM * mm:
        return None
    points, normal = points[order], normal[order]
    across = (np.arange(ACROSS) - ACROSS // 2) * STEP_MM * mm
    samples = points[:, None] + across[None, :, None] * normal[:, None]
    grey = map_coordinates(contrast, samples.reshape(-1, 2).T, order=1, mode="nearest").reshape(len(points), ACROSS)
    gaps = np.maximum(first, second)[tuple(np.rint(points).astype(int).clip(0, np.array(first.shape) - 1).T)]
    width = max(round(len(points) / ALONG), 1)
    at = np.linspace(0, len(points) - 1, ALONG).round().astype(int)
    return JointLine(
        uniform_filter1d(grey, width, axis=0, mode="nearest")[at].astype(np.float32),
        uniform_filter1d(gaps, width, mode="nearest")[at].astype(np.float32),
    )
