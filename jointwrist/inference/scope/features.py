"""Features of metal, casts, growth plates and other projections, independent of exposure and scale."""

from __future__ import annotations

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d, maximum_filter1d, uniform_filter

from jointwrist.anatomy import NUM_BONES, bone_index
from jointwrist.inference.scope.aligned_wrist import WRIST_ROWS, AlignedWrist
from jointwrist.inference.search.mean_wrist import MEAN_WRIST, landmarks

RADIUS, ULNA = bone_index("DistalRadius"), bone_index("DistalUlna")
#: Side in pixels of the blocks whose means are the grey of the surroundings: 3 mm.
_BLOCK = 6


def metal_planes(wrist: AlignedWrist) -> np.ndarray:
    """Return what the network of implants looks at, (3, 144, 180) float32: grey, its detail, and distance to the bones.

    Metal is brighter than the bone beside it, with straight sharp edges, in the bones and beyond them.
    """
    grey = np.clip(np.nan_to_num(wrist.grey[WRIST_ROWS], nan=-0.5), -1, 4)
    height, width = grey.shape
    coarse = grey.reshape(height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).mean((1, 3))
    wide = Image.fromarray(uniform_filter(coarse, 3, mode="nearest")).resize((width, height), Image.Resampling.BILINEAR)
    nearest = np.clip(wrist.nearest[WRIST_ROWS], -6, 12)
    return np.stack([(grey - 0.8) * 1.5, (grey - np.asarray(wide)) * 4, nearest / 6]).astype(np.float32)


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
