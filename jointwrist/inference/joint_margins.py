"""Margins of a joint: the two outlines that face each other across it, as heights over a common axis."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import gaussian_filter1d

from jointwrist.ops.outlines import bounding_box, outlines

#: Width of the measured part of a joint, as a share of the root of the smaller bone's area: about 8 mm at the wrist.
WINDOW = 0.5
#: Least cosine between the joint's direction and the normal of an outline that faces the other bone.
FACING = 0.3
#: Distance between points along the joint, in pixels.
STEP = 0.5
#: Standard deviation of the Gaussian that removes the steps of pixels from outlines, as a share of that root.
_SMOOTHING = 0.02
#: How far around the smaller bone the other one is looked at, and by how much wider gaps weigh less when the middle of
#: the joint is found; shares of the root of the area.
_MARGIN, _FADING = 0.6, 0.1
_FEWEST = 8


@dataclass(frozen=True)
class JointMargins:
    """The facing outlines of two bones as heights over the axis of their joint, in pixels.

    Attributes:
        origin: (2,) x, y of the point from which everything is measured.
        direction: (2,) unit vector from the first bone to the second, across the joint.
        at: (N,) positions along the joint, `STEP` apart.
        first: (N,) height of the first bone's outline over the axis.
        second: (N,) height of the second bone's; less than `first` where the projections overlap.
        weights: (N,) share of each position that belongs to the measured part of the joint.
        scale: Root of the smaller bone's area.
    """

    origin: np.ndarray
    direction: np.ndarray
    at: np.ndarray
    first: np.ndarray
    second: np.ndarray
    weights: np.ndarray
    scale: float

    @property
    def gaps(self) -> np.ndarray:
        """Distances (N,) from the first bone's outline to the second's."""
        return self.second - self.first

    @property
    def mean_gap(self) -> float:
        """Mean of `gaps` over the measured part of the joint."""
        return float(np.average(self.gaps, weights=self.weights))

    @property
    def centre(self) -> np.ndarray:
        """Middle (2,) of the measured part of the first bone's outline."""
        return np.average(self.points(self.first), axis=0, weights=self.weights)

    def points(self, heights: np.ndarray) -> np.ndarray:
        """Return the (N, 2) points x, y at (N,) heights over the axis."""
        along = np.array([-self.direction[1], self.direction[0]])
        return self.origin + self.at[:, None] * along + heights[:, None] * self.direction


def joint_margins(first: np.ndarray, second: np.ndarray) -> JointMargins | None:
    """Find the facing outlines of two bones.

    The joint's direction is first that from the middle of one bone to that of the other, near the smaller of them, and
    then the mean normal of both outlines in the measured part.

    Args:
        first: (H, W) bool mask.
        second: (H, W) bool mask of the other bone.

    Returns:
        The outlines, or None where a bone is missing or the two do not face each other.
    """
    if not (first.any() and second.any()):
        return None
    areas = [int(mask.sum()) for mask in (first, second)]
    smaller, scale = (first, second)[int(np.argmin(areas))], float(np.sqrt(min(areas)))
    margin = int(_MARGIN * scale) + 1
    window = tuple(slice(max(part.start - margin, 0), part.stop + margin) for part in bounding_box(smaller))
    corner = np.array([window[1].start, window[0].start])
    masks = [mask[window] for mask in (first, second)]
    if not all(mask.any() for mask in masks):
        return None
    lines = [_smooth_outline(mask, _SMOOTHING * scale) for mask in masks]
    middles = [_centroid(mask) for mask in masks]
    origin = (middles[0] + middles[1]) / 2
    direction = middles[1] - middles[0]
    for _ in range(2):
        length = np.linalg.norm(direction)
        if length < 1e-6:
            return None
        found = _heights(lines, origin, direction / length, scale)
        if found is None:
            return None
        margins, direction = found
    return replace(margins, origin=origin + corner)


def _centroid(mask: np.ndarray) -> np.ndarray:
    """Return the mean (2,) of x and y over the pixels of a mask, from sums, which spare a list of all pixels."""
    rows, columns = mask.sum(1), mask.sum(0)
    return np.array([columns @ np.arange(len(columns)), rows @ np.arange(len(rows))]) / rows.sum()


def _heights(
    lines: list[tuple[np.ndarray, np.ndarray]], origin: np.ndarray, direction: np.ndarray, scale: float
) -> tuple[JointMargins, np.ndarray] | None:
    """Return the outlines over the axis at right angles to a direction, and the direction of their mean normals."""
    axes = np.stack([(-direction[1], direction[0]), direction], 1)
    facing = []
    for (points, normals), way in zip(lines, (1, -1), strict=True):
        towards = way * (normals @ direction) >= FACING
        if towards.sum() < _FEWEST:
            return None
        facing.append(((points[towards] - origin) @ axes, normals[towards], way))
    start = max(float(places[:, 0].min()) for places, _, _ in facing)
    stop = min(float(places[:, 0].max()) for places, _, _ in facing)
    at = np.arange(start, stop, STEP)
    if len(at) < _FEWEST:
        return None
    if any(np.sum((at[0] <= places[:, 0]) & (places[:, 0] <= at[-1])) < _FEWEST for places, _, _ in facing):
        return None
    first, second = (_front(places, at, way) for places, _, way in facing)
    gaps = second - first
    middle = np.average(at, weights=np.exp((gaps.min() - gaps) / (_FADING * scale)))
    half = WINDOW * scale / 2
    weights = np.clip((half - np.abs(at - middle)) / STEP + 0.5, 0, 1)
    within = [np.abs(places[:, 0] - middle) <= half for places, _, _ in facing]
    if not all(part.any() for part in within):
        return None
    normals = [way * normals[part].mean(0) for (_, normals, way), part in zip(facing, within, strict=True)]
    return JointMargins(origin, direction, at, first, second, weights, scale), normals[0] + normals[1]


def _front(places: np.ndarray, at: np.ndarray, way: int) -> np.ndarray:
    """Return the heights (N,) of the foremost of (M, 2) places at (N,) positions; `way` is 1 where higher is ahead."""
    index = np.round((places[:, 0] - at[0]) / STEP).astype(int)
    within = (index >= 0) & (index < len(at))
    heights = np.full(len(at), -np.inf)
    np.maximum.at(heights, index[within], way * places[within, 1])
    known = np.isfinite(heights)
    return way * np.interp(at, at[known], heights[known])


def _smooth_outline(mask: np.ndarray, deviation: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points (N, 2) x, y about `STEP` apart on a mask's smoothed outlines, and their outward unit normals."""
    found = [(np.empty((0, 2)), np.empty((0, 2)))]
    for line in outlines(mask):
        length = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
        closed = bool(np.allclose(line[0], line[-1]))
        count = round(length[-1] / STEP)
        if count < _FEWEST:
            continue
        at = np.linspace(0, length[-1], count, endpoint=not closed)
        points = np.stack([np.interp(at, length, line[:, axis]) for axis in range(2)], 1)
        points = gaussian_filter1d(points, deviation / STEP, axis=0, mode="wrap" if closed else "nearest")
        ways = np.roll(points, -1, 0) - np.roll(points, 1, 0) if closed else np.gradient(points, axis=0)
        ways /= np.maximum(np.linalg.norm(ways, axis=1, keepdims=True), 1e-9)
        # contourpy keeps the mask on one side of its lines
        found.append((points, np.stack([ways[:, 1], -ways[:, 0]], 1)))
    return tuple(np.concatenate(parts) for parts in zip(*found, strict=True))
