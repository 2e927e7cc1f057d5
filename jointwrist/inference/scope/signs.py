"""Signs of metal, casts, growth plates and other projections: numbers that depend neither on exposure nor on scale.

Grey values are in units of the bones' own: 0 is soft tissue beside them, 1 their median. Lengths are in mm of the mean
wrist, which is fitted to the masks. So neither the window of a radiograph nor its pixel spacing matters.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d, grey_opening, map_coordinates, maximum_filter1d

from jointwrist.anatomy import bone_index
from jointwrist.inference.mean_wrist import CARPAL_MM2, MEAN_WRIST, landmarks
from jointwrist.inference.similarity import Similarity
from jointwrist.ops.wrist_scale import CARPALS

RADIUS, ULNA = bone_index("DistalRadius"), bone_index("DistalUlna")


class Film(NamedTuple):
    """A radiograph prepared for the signs, S x S pixels.

    Attributes:
        grey: (S, S) float32, 0 in soft tissue beside the bones and 1 at their median.
        masks: (C, S, S) bool.
        distances: (C, S, S) float32 signed distances to the bones in mm.
        wrist: Similarity from mm of the mean wrist to pixels.
    """

    grey: np.ndarray
    masks: np.ndarray
    distances: np.ndarray
    wrist: Similarity

    @property
    def mm(self) -> float:
        """Return the number of pixels per mm."""
        return self.wrist.scale

    @property
    def nearest(self) -> np.ndarray:
        """Return the (S, S) distance to the nearest bone in mm."""
        return self.distances.min(0)


def normalised_grey(image: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Return an image in which the median of soft tissue beside the bones is 0 and that of the bones is 1."""
    ring = image[(nearest > 1.5) & (nearest < 5)]
    soft, bone = np.percentile(ring, 25) if ring.size else 0.0, np.median(image[nearest < 0])
    return ((image - soft) / max(bone - soft, 0.02)).astype(np.float32)


def metal_signs(film: Film) -> tuple[np.ndarray, np.ndarray]:
    """Return the signs of metal, and the (S, S) height of structures above the surrounding bone.

    Metal is brighter than the surrounding bone, uniform over more than a millimetre, and has sharp edges. Morphological
    openings keep structures of at least that width; heights are in standard deviations of the surrounding bone.
    """
    bone, near = film.nearest < -0.7, film.nearest < 2.0  # the network may leave metal out of a mask
    mean = _mean_within(film.grey, bone, 4 * film.mm)
    spread = np.sqrt(_mean_within((film.grey - mean) ** 2, bone, 4 * film.mm))
    height = (film.grey - mean) / np.maximum(spread, 0.05)
    figures = []
    for width in (0.7, 1.4, 2.8):
        pixels = max(round(width * film.mm), 2)
        for plane in (film.grey, height):
            opened = np.sort(grey_opening(plane, (pixels, pixels))[near])
            figures += [opened[-min(1 + round(area * film.mm**2), len(opened))] for area in (6.0, 20.0, 60.0)]
    slope = np.hypot(*np.gradient(film.grey)) * film.mm
    figures += np.percentile(slope[near], (90, 98)).tolist()
    figures += np.percentile(film.grey[bone], (75, 95)).tolist()
    return np.log(np.maximum(figures, 0.1)), height


def _mean_within(plane: np.ndarray, mask: np.ndarray, sigma: float) -> np.ndarray:
    """Return the local mean of the pixels of an (H, W) plane that lie within a mask."""
    weight = gaussian_filter(mask.astype(np.float32), sigma)
    return gaussian_filter(np.where(mask, plane, 0), sigma) / np.maximum(weight, 1e-3)


def cast_signs(film: Film) -> np.ndarray:
    """Return how steeply grey values rise again beyond the bones, where they fall to the air without a cast.

    Rows from the palm to the forearm are followed outwards from the outermost bone. Rises within 3 mm are in units of
    bone over soft tissue, and of what a row falls altogether.
    """
    y, x = np.arange(-8.0, 48.0, 1.0), np.arange(-64.0, 64.0, 0.5)
    grey, distance = _sampled(film.grey, film, x, y), _sampled(film.nearest, film, x, y)
    figures = []
    for rows, far in ((grey, distance), (grey[:, ::-1], distance[:, ::-1])):
        for row, away in zip(rows, far, strict=True):
            bone = np.flatnonzero(away < 0.5)
            outwards = row[bone[-1] + 7 :] if len(bone) else row[:0]
            outwards = outwards[np.isfinite(outwards)]
            if len(outwards) > 12:
                smooth = gaussian_filter1d(outwards, 1.5)
                rise = max(float((smooth[step:] - smooth[:-step]).max()) for step in (3, 6))
                total = float((smooth - np.minimum.accumulate(smooth)).max())
                figures.append((rise, total, rise / max(float(np.ptp(smooth)), 0.05)))
    if len(figures) < 12:
        return np.full(9, np.log(0.03))
    return np.log(np.maximum(np.percentile(figures, (40, 60, 80), axis=0).ravel(), 0) + 0.02)


def growth_plate_signs(film: Film) -> np.ndarray:
    """Return the depth of the darkest bands across radius and ulna, relative to the brighter bone on both sides."""
    return np.concatenate([_band(film, bone) for bone in (RADIUS, ULNA)])


def _band(film: Film, bone: int) -> np.ndarray:
    """Return mean and lower quartile of the depth of the darkest connected band, alone and over that of all places."""
    mask, step = film.masks[bone], 0.3
    rows, columns = np.nonzero(mask)
    if len(rows) < 30:
        return np.zeros(4)
    places = film.wrist.inverse(np.column_stack([columns, rows]) + 0.5)
    left, right = np.percentile(places[:, 0], (2, 98))
    x, y = np.arange(left + 1.5, right - 1.5, 0.6), np.arange(places[:, 1].min(), places[:, 1].min() + 30, step)
    grey, inside = _sampled(film.grey, film, x, y), _sampled(mask.astype(np.float32), film, x, y) > 0.5
    # from below the joint surface on; the network may leave the band itself out of the mask
    below = np.cumsum(np.cumsum(inside, 0) > 0, 0) > 3.0 / step
    inside = below & np.isfinite(grey) & (y[:, None] < places[:, 1].min() + 22)
    grey = np.nan_to_num(grey)
    reach = 7  # 2.1 mm
    before = maximum_filter1d(grey, reach, axis=0, origin=reach // 2)
    after = maximum_filter1d(grey, reach, axis=0, origin=-(reach // 2))
    dark = np.where(inside, np.minimum(before, after) - grey, 0.0)
    strips = inside.sum(0) > 5 / step
    if strips.sum() < 8:
        return np.zeros(4)
    dark, inside = dark[:, strips], inside[:, strips]
    along = _darkest_path(dark)
    usual = float(dark[inside].mean()) + 0.02
    mean, low = float(along.mean()), float(np.percentile(along, 25))
    return np.array([mean, low, mean / usual, low / usual])


def _darkest_path(dark: np.ndarray) -> np.ndarray:
    """Return the values on the path of largest sum from first to last column, at most one row up or down per step."""
    best, steps = dark[:, 0], []
    for column in dark.T[1:]:
        moved = np.stack([np.append(best[1:], -np.inf), best, np.insert(best[:-1], 0, -np.inf)])
        steps.append(moved.argmax(0))
        best = moved.max(0) + column
    row = int(best.argmax())
    values = [dark[row, -1]]
    for place in range(len(steps) - 1, -1, -1):
        row += 1 - int(steps[place][row])
        values.append(dark[row, place])
    return np.array(values)


def _sampled(plane: np.ndarray, film: Film, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (len(y), len(x)) values of a plane at places in mm of the mean wrist, nan beyond its edge."""
    points = film.wrist(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)) - 0.5
    values = map_coordinates(plane, points[:, ::-1].T, order=1, mode="constant", cval=np.nan)
    return values.reshape(len(y), len(x))


def shape_signs(film: Film) -> np.ndarray:
    """Return position and size of the bones relative to the mean wrist: 14 landmarks in mm, 7 log areas."""
    points = landmarks(film.masks)
    missing = ~np.isfinite(points[:, 0])
    points = np.where(missing[:, None], film.wrist(MEAN_WRIST), points)
    areas = np.array([np.count_nonzero(film.masks[bone]) for bone in CARPALS]) / film.mm**2
    return np.concatenate(
        [(film.wrist.inverse(points) - MEAN_WRIST).ravel(), 10 * np.log(np.maximum(areas, 5.0) / CARPAL_MM2)]
    )
