"""Registration of two visits by the outlines of the bones that do not move relative to each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import least_squares

from jointwrist.anatomy import bone_index
from jointwrist.errors import DataError
from jointwrist.inference.similarity import Similarity, umeyama
from jointwrist.ops.outlines import SignedDistance, outline_points

#: The radius and the metacarpals of the fingers; thumb and carpal bones move against them between radiographs.
REFERENCE_BONES = tuple(
    bone_index(name) for name in ("DistalRadius", "Metacarpal2nd", "Metacarpal3rd", "Metacarpal4th", "Metacarpal5th")
)
#: Share of the outline points that must lie on both images.
LEAST_SHARED = 0.2
#: The images show different hands if the centroids of their bones fit this many times better when one is mirrored.
MIRRORED = 2.0
#: Residual in pixels above which points count less, so that a bone that moved does not drag the others along.
SOFT_LIMIT = 3.0
#: Residual of a poor registration, as a share of the side of a square as large as a bone. Up to 0.036 in 24 pairs of
#: visits of phantoms that were tilted by about 6 and turned by about 8 degrees; more in a third of pairs of two wrists.
POOR_FIT = 0.05


def poor_fit_caution(motion: Similarity, first: np.ndarray, bones: Sequence[int] = REFERENCE_BONES) -> tuple[str, ...]:
    """Return a caution if the registered outlines lie further apart than those of two visits of one wrist.

    Args:
        motion: Registration of the second visit to the first.
        first: (14, H, W) bool masks of the first.
        bones: Bones that were registered.
    """
    side = float(np.sqrt(np.mean([first[bone].sum() for bone in bones if first[bone].any()])))
    if not motion.residual > POOR_FIT * side:
        return ()
    return (
        "The outlines of the bones fit each other poorly: this may be another patient or projection, or bones were"
        " found in wrong places. Look at the picture.",
    )


def register(
    first: np.ndarray,
    second: np.ndarray,
    scale: float | None = None,
    bones: Sequence[int] = REFERENCE_BONES,
) -> Similarity:
    """Find the similarity transform from the second visit to the first that aligns the outlines of the bones.

    It starts from the centroids of the bones (Umeyama, TPAMI 1991) and minimises the signed distances of outline points
    of the second visit to the bones of the first.

    Args:
        first: (14, H, W) bool masks.
        second: (14, H, W) bool masks of the same hand, of any size.
        scale: Pixels of the first image per pixel of the second if known; None estimates it.
        bones: Bones to register; those that only one image shows are left out.

    Raises:
        DataError: The images show different hands, share fewer than two of the bones, or overlap too little.
    """
    if _other_hand(first, second):
        raise DataError("the two radiographs show different hands, a left and a right one: state which hand each shows")
    shared = [bone for bone in bones if 0 < first[bone].sum() < first[bone].size and second[bone].any()]
    if len(shared) < 2:
        raise DataError(
            "the two radiographs cannot be registered: fewer than two of radius and 2nd to 5th metacarpal were found in"
            " both; compare radiographs that show more of them"
        )
    centres = [np.array([_centroid(masks[bone]) for bone in shared]) for masks in (first, second)]
    start = umeyama(*centres, scale)
    distances = [SignedDistance(first[bone]) for bone in shared]
    points = [outline_points(second[bone], step=2.0) for bone in shared]
    size = np.array(first.shape[:0:-1])
    # one unit of each parameter moves the edge of the image by about one pixel
    unit = 2 / size.max()
    origin = centres[1].mean(0)

    def similarity(values: np.ndarray) -> Similarity:
        factor = start.scale if scale is not None else start.scale * np.exp(unit * values[3])
        turned = Similarity(factor, start.angle + unit * values[2], np.zeros(2))
        # the shift is that of the bones' middle, which rotation and scale then leave in place
        return Similarity(factor, turned.angle, start(origin[None])[0] + values[:2] - turned(origin[None])[0])

    outline = np.concatenate(points)

    def on_radiograph(placed: np.ndarray) -> np.ndarray:
        return np.all((placed >= 0) & (placed <= size - 1), axis=1)

    def residuals(values: np.ndarray) -> np.ndarray:
        moved = similarity(values)
        found = np.concatenate([distance(moved(part)) for distance, part in zip(distances, points, strict=True)])
        seen = on_radiograph(moved(outline))
        # points off the radiograph count as the mean of the others, so that moving them there gains nothing
        return np.where(seen, found * np.sqrt(len(seen) / max(seen.sum(), 1)), 0.0 if seen.any() else size.max())

    fit = least_squares(residuals, np.zeros(3 if scale is not None else 4), loss="soft_l1", f_scale=SOFT_LIMIT)
    found = similarity(fit.x)
    seen = on_radiograph(found(outline))
    if seen.mean() < LEAST_SHARED:
        raise DataError(
            "the two radiographs cannot be registered: they show too little of the same bones; compare others"
        )
    apart = np.concatenate([distance(found(part)) for distance, part in zip(distances, points, strict=True)])[seen]
    return Similarity(
        found.scale, found.angle, found.shift, float(np.median(np.abs(apart))), (int(seen.sum()), len(seen))
    )


def _other_hand(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether the bones of one image fit those of the other much better when mirrored."""
    both = [bone for bone in range(len(first)) if first[bone].any() and second[bone].any()]
    if len(both) < 4:
        return False
    ones, others = (np.array([_centroid(masks[bone]) for bone in both]) for masks in (first, second))

    def apart(points: np.ndarray) -> float:
        return float(np.linalg.norm(umeyama(ones, points, None)(points) - ones, axis=1).mean())

    return apart(others) > MIRRORED * apart(others * [-1, 1])


def _centroid(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.nonzero(mask)
    return np.array([columns.mean(), rows.mean()])
