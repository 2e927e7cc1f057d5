"""The mean wrist: fourteen landmarks of its bones, against which the masks of a radiograph are checked.

All figures are means over phantoms.
"""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import BONES, bone_index
from jointwrist.inference.postprocess import clean_mask
from jointwrist.inference.similarity import Similarity, umeyama
from jointwrist.ops.outlines import bounding_box
from jointwrist.ops.wrist_scale import CARPALS

CAPITATE = bone_index("Capitate")
#: Landmarks of a right wrist in mm from the centre of the radiograph; x runs from radial to ulnar and y from distal to
#: proximal. The landmark of a carpal bone is its centre, that of any other bone its point nearest to the capitate.
MEAN_WRIST = np.array(
    [
        (-2.7, -7.1), (-9.5, 11.0), (7.9, 17.4), (9.2, -7.4), (-1.7, 10.3), (10.3, 2.8), (-13.6, 2.8),
        (-21.2, -11.5), (-14.3, -12.3), (-21.8, -19.6), (-5.6, -16.5), (-1.9, -17.4), (5.2, -16.6), (11.3, -14.6),
    ]
)  # fmt: skip
#: Areas of the carpal bones in mm².
CARPAL_MM2 = np.array([311.0, 218.0, 173.0, 186.0, 237.0, 204.0, 137.0])
#: Largest mean distance in mm of a wrist's landmarks from those of the mean wrist, and its largest rotation in degrees.
LARGEST_DISTANCE, LARGEST_ROTATION = 4.2, 40.0
#: Largest mean |log ratio| between the areas of a wrist's carpal bones and those of the mean wrist.
LARGEST_AREA_RATIO = 0.45
#: Smallest number of bones that a wrist must show, and the share of the mask from which a bone counts as shown.
FEWEST_BONES, STRAY = 12, 5e-4


def landmarks(masks: np.ndarray) -> np.ndarray:
    """Return the (14, 2) landmarks x, y in pixels of (14, H, W) bool masks; nan where a bone is missing."""
    points = np.full((len(BONES), 2), np.nan)
    stray = STRAY * masks[0].size
    pieces = [_largest_piece(mask) for mask in masks]
    if len(pieces[CAPITATE]) < stray:
        return points
    middle = np.median(pieces[CAPITATE], axis=0)
    for bone, inside in enumerate(pieces):
        if len(inside) < stray:
            continue
        if bone in CARPALS:
            points[bone] = np.median(inside, axis=0)
        else:
            points[bone] = inside[np.argmin(((inside - middle) ** 2).sum(1))]
    return points + 0.5


def _largest_piece(mask: np.ndarray) -> np.ndarray:
    """Return the (N, 2) pixels x, y of the largest piece of an (H, W) bool mask, its holes filled."""
    if not mask.any():
        return np.empty((0, 2), int)
    window = bounding_box(mask)
    corner = np.array([window[1].start, window[0].start])
    return np.argwhere(clean_mask(mask[window], smallest=1.0))[:, ::-1] + corner


def fit_mean_wrist(masks: np.ndarray) -> tuple[Similarity, float] | None:
    """Fit the mean wrist to the landmarks of (14, H, W) bool masks.

    Returns:
        The similarity from mm of the mean wrist to pixels, and the mean distance of the landmarks in mm; None where the
        masks are not those of a wrist.
    """
    points = landmarks(masks)
    found = np.isfinite(points[:, 0])
    if found.sum() < FEWEST_BONES:
        return None
    to_pixels = umeyama(points[found], MEAN_WRIST[found], None)
    if not to_pixels.scale > 0:  # all bones at one place
        return None
    distances = np.linalg.norm(to_pixels(MEAN_WRIST[found]) - points[found], axis=1) / to_pixels.scale
    distance = float(np.mean(distances))
    if distance > LARGEST_DISTANCE or abs(np.degrees(to_pixels.angle)) > LARGEST_ROTATION:
        return None
    areas = np.array([np.count_nonzero(masks[bone]) for bone in CARPALS]) / to_pixels.scale**2
    if np.abs(np.log(np.maximum(areas, 1) / CARPAL_MM2)).mean() > LARGEST_AREA_RATIO:
        return None
    return to_pixels, distance


def certainty(probability: np.ndarray) -> float:
    """Return the certainty of (14, H, W) mask probabilities p: the mean of 2 p - 1 within the bones, 0 to 1."""
    inside = probability > 0.5
    return float(np.mean([2 * p[m].mean() - 1 for p, m in zip(probability, inside, strict=True) if m.any()] or [0.0]))
