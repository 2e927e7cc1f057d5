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
    """A radiograph as the signs see it, S x S pixels.

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
        """Return the number of pixels in a mm."""
        return self.wrist.scale

    @property
    def nearest(self) -> np.ndarray:
        """Return the (S, S) distance to the nearest bone in mm."""
        return self.distances.min(0)


def normalised_grey(image: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Return an image whose soft tissue beside the bones is 0 and whose bones are 1 in the median."""
    ring = image[(nearest > 1.5) & (nearest < 5)]
    soft, bone = np.percentile(ring, 25) if ring.size else 0.0, np.median(image[nearest < 0])
    return ((image - soft) / max(bone - soft, 0.02)).astype(np.float32)


def metal_signs(film: Film) -> tuple[np.ndarray, np.ndarray]:
    """Return what stands out as metal does: figures, and the (S, S) height of bright structures over what is round them.

    Metal is brighter than any bone and has sharp edges. An opening wider than wires and screws removes them and leaves
    bone; plates are wider, and show in how steep their edges are.
    """
    smooth = gaussian_filter(film.grey, 0.25 * film.mm)
    wide = 2 * round(1.6 * film.mm) + 1
    height = smooth - grey_opening(smooth, (wide, wide))
    slope = np.hypot(*np.gradient(smooth)) * film.mm
    near = film.nearest < 1.5
    inner = film.nearest < -0.8
    figures = [
        *np.percentile(height[near], (99, 99.7, 99.95)),
        *np.percentile(slope[inner], (98, 99.5)),
        *np.percentile(smooth[near], (99, 99.7, 99.95)),
    ]
    return np.log(np.maximum(figures, 0.05)), height


def cast_signs(film: Film) -> np.ndarray:
    """Return how much grey values rise again beyond the forearm, where only air follows the skin, on either side.

    Rows from the carpus to the forearm are followed outwards from the outermost bone. Without a cast they fall to the
    air and stay there; the wall of a cast is brighter than the padding within it.
    """
    y, x = np.arange(4.0, 44.0, 1.0), np.arange(-62.0, 62.0, 0.5)
    grey, inside = _sampled(film.grey, film, x, y), _sampled((film.nearest < 0.5).astype(np.float32), film, x, y) > 0.5
    rises = []
    for rows, bones in ((grey, inside), (grey[:, ::-1], inside[:, ::-1])):
        for row, bone in zip(rows, bones, strict=True):
            outwards = row[np.flatnonzero(bone)[-1] + 1 :] if bone.any() else row[:0]
            outwards = gaussian_filter1d(outwards[np.isfinite(outwards)], 2.0) if len(outwards) else outwards
            if len(outwards) > 10:
                rises.append(float((outwards - np.minimum.accumulate(outwards)).max()))
    if len(rises) < 10:
        return np.zeros(3)
    return np.log(np.percentile(rises, (50, 75, 90)) + 0.02)


def growth_plate_signs(film: Film) -> np.ndarray:
    """Return how dark the darkest bands across radius and ulna are, between the brighter bone on both sides of them."""
    return np.concatenate([_band(film, bone) for bone in (RADIUS, ULNA)])


def _band(film: Film, bone: int) -> np.ndarray:
    """Return quartiles over strips of 1 mm of the depth of the deepest band, and the depth of one at equal height."""
    centre, step = film.wrist.inverse(landmarks_of(film.masks[bone])), 0.3
    y, x = np.arange(centre[0, 1] - 6, centre[0, 1] + 26, step), np.arange(centre[0, 0] - 18, centre[0, 0] + 18, 1.0)
    grey = gaussian_filter1d(_sampled(film.grey, film, x, y), 1.0, axis=0)
    depth = _sampled(-film.distances[bone], film, x, y)
    reach = 7  # 2.1 mm
    before = maximum_filter1d(grey, reach, axis=0, origin=reach // 2)
    after = maximum_filter1d(grey, reach, axis=0, origin=-(reach // 2))
    dark = np.where((depth > 1.5) & np.isfinite(grey), np.minimum(before, after) - grey, np.nan)
    strips = np.isfinite(dark).sum(0) > 4 / step
    if strips.sum() < 5:
        return np.zeros(4)
    dark = np.nan_to_num(dark[:, strips], nan=0.0)
    level = maximum_filter1d(dark, 5, axis=0).mean(1).max()
    return np.array([*np.percentile(dark.max(0), (25, 50, 75)), level])


def landmarks_of(mask: np.ndarray) -> np.ndarray:
    """Return the (1, 2) point x, y in the middle of the distal end of a bone of the forearm."""
    rows, columns = np.nonzero(mask)
    return np.array([[columns.mean(), rows.min()]]) if len(rows) else np.zeros((1, 2))


def _sampled(plane: np.ndarray, film: Film, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return (len(y), len(x)) values of a plane at places in mm of the mean wrist, nan beyond its edge."""
    points = film.wrist(np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)) - 0.5
    values = map_coordinates(plane, points[:, ::-1].T, order=1, mode="constant", cval=np.nan)
    return values.reshape(len(y), len(x))


def shape_signs(film: Film) -> np.ndarray:
    """Return how the bones lie and how large they are beside the mean wrist: 14 landmarks in mm, 14 log areas."""
    points = landmarks(film.masks)
    missing = ~np.isfinite(points[:, 0])
    points = np.where(missing[:, None], film.wrist(MEAN_WRIST), points)
    areas = np.array([np.count_nonzero(film.masks[bone]) for bone in CARPALS]) / film.mm**2
    return np.concatenate(
        [(film.wrist.inverse(points) - MEAN_WRIST).ravel(), 10 * np.log(np.maximum(areas, 5.0) / CARPAL_MM2)]
    )
