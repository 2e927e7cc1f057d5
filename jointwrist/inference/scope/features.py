"""Features of metal, casts, growth plates and other projections, independent of exposure and scale."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, grey_erosion, grey_opening, maximum_filter1d

from jointwrist.anatomy import NUM_BONES, bone_index
from jointwrist.inference.mean_wrist import MEAN_WRIST, landmarks
from jointwrist.inference.scope.aligned_wrist import MM, WRIST_ROWS, AlignedWrist

RADIUS, ULNA = bone_index("DistalRadius"), bone_index("DistalUlna")
#: Smallest areas in mm² of the bright structures that are measured.
_AREAS = (3.0, 12.0, 40.0)


def metal_features(wrist: AlignedWrist) -> np.ndarray:
    """Measure the brightest structures of several sizes and shapes deep in the bones, at their edges and beside them.

    Metal is brighter than bone, uniform, and independent of bone outlines, whereas dense bone lies at the edges.
    """
    inside, nearest = np.isfinite(wrist.grey) & WRIST_ROWS[:, None], wrist.nearest
    grey = np.nan_to_num(wrist.grey)
    smooth = gaussian_filter(grey, 1.0)
    planes = (
        smooth,
        grey_opening(smooth, (3, 3)),
        grey_erosion(grey, (5, 5)),
        _ridges(smooth),
        smooth - gaussian_filter(smooth, 6.0),
    )
    zones = (nearest < -2.0, (nearest >= -2.0) & (nearest < 1.2), (nearest >= 1.2) & (nearest < 9.0))
    figures = [_brightest(plane[inside & zone]) for zone in zones for plane in planes]
    bone = grey[inside & (nearest < -0.7)]
    return np.concatenate([*figures, np.percentile(bone, (25, 50, 75, 90, 98)) if bone.size else np.zeros(5)])


def _ridges(plane: np.ndarray) -> np.ndarray:
    """Return the curvature of an (H, W) plane across bright lines."""
    down, right = np.gradient(plane)
    (yy, yx), (_, xx) = np.gradient(down), np.gradient(right)
    return np.maximum(np.hypot(xx - yy, 2 * yx) - xx - yy, 0) / 2


def _brightest(values: np.ndarray) -> np.ndarray:
    """Return, for each of `_AREAS`, the grey value that an area of this size exceeds."""
    ordered = np.sort(values)
    return np.array([ordered[-min(1 + round(area / MM**2), len(ordered))] if len(ordered) else 0.0 for area in _AREAS])


def cast_features(wrist: AlignedWrist) -> np.ndarray:
    """Measure how grey values rise again outside of the bones; without a cast they fall from there to the air.

    Rows from the palm to the forearm are followed outwards from the outermost bone, on both sides.
    """
    figures = []
    for grey, nearest in ((wrist.grey, wrist.nearest), (wrist.grey[:, ::-1], wrist.nearest[:, ::-1])):
        for row, away in zip(grey[WRIST_ROWS][::2], nearest[WRIST_ROWS][::2], strict=True):
            bone = np.flatnonzero(away < 0.5)
            outwards = row[bone[-1] + 7 :] if len(bone) else row[:0]
            outwards = outwards[np.isfinite(outwards)]
            if len(outwards) > 12:
                smooth = gaussian_filter1d(outwards, 1.5)
                ordered = np.sort(smooth)  # the median of it takes a third of the time of np.median
                low, high = ordered[0], ordered[-1]
                median = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
                rise = max((smooth[step:] - smooth[:-step]).max() for step in (3, 6))
                total = (smooth - np.minimum.accumulate(smooth)).max()
                figures.append((rise, total, rise / max(high - low, 0.05), high, smooth[-4:].mean(), median, low))
    if len(figures) < 12:
        return np.zeros(28)
    return np.percentile(figures, (20, 40, 60, 80), axis=0).ravel()


def growth_plate_features(wrist: AlignedWrist) -> np.ndarray:
    """Measure depth and evenness of the darkest band across radius and ulna, 2.5 mm or more from their distal ends."""
    radius, ulna = (wrist.plane(wrist.distances[bone]) < 0 for bone in (RADIUS, ULNA))
    return np.concatenate([_band(wrist.grey, radius), _band(wrist.grey, ulna)])


def _band(grey: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return the features of the darkest band across a bone."""
    columns = np.flatnonzero(mask.any(0))[2:-2]
    if len(columns) < 10:
        return np.zeros(8)
    first = mask[:, columns].argmax(0) + 5
    smooth = gaussian_filter1d(np.nan_to_num(grey), 0.6, axis=0)[:, columns]
    reach = 5
    above, below = (maximum_filter1d(smooth, reach, axis=0, origin=sign * (reach // 2)) for sign in (1, -1))
    dark = np.minimum(above, below) - smooth
    rows = np.arange(len(dark))[:, None]
    searched = (rows >= first) & (rows < first + 38) & np.isfinite(grey[:, columns])
    dark = np.where(searched, dark, -0.02)
    path = _path(dark)
    along = dark[path, np.arange(dark.shape[1])]
    usual = dark[searched].mean() + 0.01 if searched.any() else 1.0
    quartiles = np.percentile(along, (10, 25, 50, 75))
    uneven = np.abs(np.diff(path)).mean()
    return np.array([along.mean(), *quartiles, along.mean() / usual, quartiles[1] / usual, uneven])


def _path(values: np.ndarray) -> np.ndarray:
    """Return, for each column, the row of the path with the largest sum; it moves at most one row per column."""
    best, steps = values[:, 0], []
    for column in values.T[1:]:
        moved = np.stack([np.append(best[1:], -np.inf), best, np.insert(best[:-1], 0, -np.inf)])
        steps.append(moved.argmax(0))
        best = moved.max(0) + column
    rows = [int(best.argmax())]
    for step in reversed(steps):
        rows.append(rows[-1] + 1 - int(step[rows[-1]]))
    return np.array(rows[::-1])


def shape_features(wrist: AlignedWrist) -> np.ndarray:
    """Measure position, size and overlap of the bones relative to the mean wrist, and the network's certainty of each.

    Returns 14 landmarks in mm, 14 log areas, the square roots of 91 overlaps in mm², and 14 means of |2 p - 1|.
    """
    masks, area = wrist.masks, wrist.to_pixels.scale**2
    points = landmarks(masks)
    missing = ~np.isfinite(points[:, :1])
    points = np.where(missing, wrist.to_pixels(MEAN_WRIST), points)
    flat = masks.reshape(NUM_BONES, -1).astype(np.float32)
    overlap = flat @ flat.T / area
    certain = (np.abs(np.tanh(wrist.logits.reshape(NUM_BONES, -1) / 2)) * flat).sum(1) / np.maximum(flat.sum(1), 1)
    return np.concatenate(
        [
            (wrist.to_pixels.inverse(points) - MEAN_WRIST).ravel(),
            10 * np.log(np.maximum(np.diag(overlap), 5.0) / 100),
            np.sqrt(overlap[np.triu_indices(NUM_BONES, 1)]),
            certain,
        ]
    )
