"""What a radiograph and its masks show of the joint spaces, as numbers from which narrowing is estimated.

The projections of two carpal bones mostly overlap, so that the distance between their outlines says little about the
joint space. What remains visible is the dark line between the two cortical layers, and how all bones of the carpus lie
relative to each other. Lengths are in mm of a wrist of mean size, from the area of the carpus, so that neither the
pixel spacing nor the size of the hand matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import dctn
from scipy.ndimage import map_coordinates

from jointwrist.anatomy import bone_index
from jointwrist.inference.joint_margins import JointMargins, joint_margins
from jointwrist.inference.joint_space import SITES, SPACES, block_means
from jointwrist.inference.search.mean_wrist import MEAN_WRIST
from jointwrist.inference.similarity import umeyama
from jointwrist.ops.wrist_scale import CARPALS, pixel_mm_of

#: Pairs of bones whose gap is measured: those of the six sites, and further neighbours of carpal bones.
GAPS = (
    *SPACES,
    *(
        (bone_index(first), bone_index(second))
        for first, second in (
            ("Capitate", "Hamate"), ("Capitate", "Metacarpal2nd"), ("Capitate", "Trapezoid"),
            ("Hamate", "TriquetrumPisiform"), ("Lunate", "TriquetrumPisiform"), ("Scaphoid", "Lunate"),
            ("Trapezium", "Metacarpal1st"), ("Trapezium", "Trapezoid"), ("Trapezoid", "Metacarpal2nd"),
        )
    ),
)  # fmt: skip
#: Lengths in mm of a mean wrist: half of the sampled part of a joint along and across it, distance of the samples
#: across and along, of which `BLOCKS` means are kept, and side of a pixel below which a radiograph is reduced.
HALF_MM, ACROSS_MM, ALONG_MM, FINEST_MM = 6.0, 0.3, 0.48, 0.15
BLOCKS = 5
_ACROSS = np.arange(-round(HALF_MM / ACROSS_MM), round(HALF_MM / ACROSS_MM) + 1) * ACROSS_MM
_ALONG = np.arange(-12, 13) * ALONG_MM
#: Lowest frequencies kept of a profile, along and across the joint; the mean, which is 0, is left out.
_FREQUENCIES = (3, 14)
#: Values of a profile.
PROFILE = _FREQUENCIES[0] * _FREQUENCIES[1] - 1


@dataclass(frozen=True)
class NarrowingFeatures:
    """Features of one wrist, float64; nan where two bones do not face each other.

    Attributes:
        profiles: By pair of bones of `SPACES`, (`PROFILE`,) low frequencies (cosine transform) of the grey values
            across the joint in `BLOCKS` parts of it, from the first bone to the second, standardised to a mean of 0 and
            a standard deviation of 1.
        gaps: (len(`GAPS`), 4) mean, narrowest and widest gap between the outlines, and root of the overlapping area.
        carpus: (7, 6) of each carpal bone: position x, y in the mean wrist, root of its area, and the extent of its
            pixels along x, along both axes and along y.
    """

    profiles: dict[tuple[int, int], np.ndarray]
    gaps: np.ndarray
    carpus: np.ndarray

    def of(self, site: str, kinds: tuple[str, ...]) -> np.ndarray:
        """Return the (F,) features of one of `SITES`.

        Args:
            site: Site of the joint-space score.
            kinds: Of `profiles` and `own` (gaps) of the site's pairs of bones, `gaps` of all pairs, and `carpus`.
        """
        pairs = SITES[site]
        parts = {
            "profiles": [self.profiles[pair] for pair in pairs],
            "own": [self.gaps[GAPS.index(pair)] for pair in pairs],
            "gaps": [self.gaps.ravel()],
            "carpus": [self.carpus.ravel()],
        }
        return np.concatenate([part for kind in kinds for part in parts[kind]])


def narrowing_features(pixels: np.ndarray, masks: np.ndarray) -> NarrowingFeatures:
    """Compute the features of a wrist.

    Args:
        pixels: (H, W) float grey values of a right hand with bright bones and square pixels.
        masks: (14, H, W) bool.

    Returns:
        The features; all are nan where a carpal bone is missing, without which the size of the wrist is unknown.
    """
    profiles, gaps = {pair: np.full(PROFILE, np.nan) for pair in SPACES}, np.full((len(GAPS), 4), np.nan)
    if not masks[list(CARPALS)].any((1, 2)).all():
        return NarrowingFeatures(profiles, gaps, np.full((len(CARPALS), 6), np.nan))
    step = max(int(FINEST_MM / pixel_mm_of(masks)), 1)
    if step > 1:
        pixels, masks = block_means(pixels, step), np.stack([block_means(mask, step) > 0.5 for mask in masks])
    mm = pixel_mm_of(masks)
    for row, (first, second) in zip(gaps, GAPS, strict=True):
        margins = joint_margins(masks[first], masks[second])
        if margins is None:
            continue
        within = margins.gaps[margins.weights > 0]
        overlap = np.sqrt(np.count_nonzero(masks[first] & masks[second]))
        row[:] = np.array([margins.mean_gap, within.min(), within.max(), overlap]) * mm
        if (first, second) in SPACES:
            profiles[first, second] = _profile(pixels, margins, mm)
    return NarrowingFeatures(profiles, gaps, _carpus(masks, mm))


def _profile(pixels: np.ndarray, margins: JointMargins, mm: float) -> np.ndarray:
    """Sample grey values across a joint about the middle between its outlines."""
    middle = np.average((margins.first + margins.second) / 2, weights=margins.weights)
    at = np.average(margins.at, weights=margins.weights)
    along = np.array([-margins.direction[1], margins.direction[0]])
    x, y = (
        margins.origin[axis]
        + (at + _ALONG[:, None] / mm) * along[axis]
        + (middle + _ACROSS / mm) * margins.direction[axis]
        for axis in (0, 1)
    )
    values = map_coordinates(np.asarray(pixels, np.float64), [y, x], order=1, mode="nearest")
    values = values.reshape(BLOCKS, -1, len(_ACROSS)).mean(1)
    standard = (values - values.mean()) / max(float(values.std()), 1e-6)
    return dctn(standard, norm="ortho")[: _FREQUENCIES[0], : _FREQUENCIES[1]].ravel()[1:]


def _carpus(masks: np.ndarray, mm: float) -> np.ndarray:
    """Return position, size and extent of each carpal bone in the frame of the mean wrist."""
    places = [np.argwhere(masks[bone])[:, ::-1] * mm for bone in CARPALS]
    centres = np.array([place.mean(0) for place in places])
    turn = umeyama(MEAN_WRIST[list(CARPALS)], centres, 1.0)
    rows = []
    for place, centre in zip(places, turn(centres), strict=True):
        spread = turn.matrix @ np.cov(place.T, bias=True) @ turn.matrix.T
        rows.append([*centre, np.sqrt(len(place)) * mm, spread[0, 0], spread[0, 1], spread[1, 1]])
    return np.array(rows)
