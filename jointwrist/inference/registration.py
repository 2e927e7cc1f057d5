"""Laying one visit over another by the outlines of the bones that do not move against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import affine_transform
from scipy.optimize import least_squares

from jointwrist.anatomy import bone_index
from jointwrist.errors import DataError
from jointwrist.ops.outlines import SignedDistance, outline_points

#: The forearm and the metacarpals of the fingers; thumb and carpal bones move against them from radiograph to
#: radiograph.
REFERENCE_BONES = tuple(
    bone_index(name) for name in ("DistalRadius", "Metacarpal2nd", "Metacarpal3rd", "Metacarpal4th", "Metacarpal5th")
)
#: Share of the outline points below which two images show too little in common.
LEAST_SHARED = 0.2
#: Ratio of the bones' distances, laid over the other image's as they are and mirrored, from which these are two hands.
MIRRORED = 2.0
#: Residuals well above this count little: a bone that moved should not drag the others along. In pixels.
SOFT_LIMIT = 3.0


@dataclass(frozen=True)
class Similarity:
    """Rotation, scale and shift from the second image to the first: x1 = scale * R(angle) * x2 + shift.

    Attributes:
        scale: Pixels of the first image per pixel of the second.
        angle: Radians; x runs right and y down, so a positive angle turns clockwise.
        shift: (2,) x, y in pixels of the first image.
        residual: Median distance of the second image's outlines to those of the first, in pixels of the first, over the
            outline points that lie on the first image.
        points: Number of these points, and of all.
    """

    scale: float
    angle: float
    shift: np.ndarray
    residual: float = float("nan")
    points: tuple[int, int] = (0, 0)

    @property
    def matrix(self) -> np.ndarray:
        """Return the (2, 2) rotation and scale."""
        cosine, sine = np.cos(self.angle), np.sin(self.angle)
        return self.scale * np.array([[cosine, -sine], [sine, cosine]])

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Bring (N, 2) points x, y of the second image into the first."""
        return points @ self.matrix.T + self.shift

    def warp(self, image: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Bring an (H, W) float image into the frame of the first, linearly interpolated and 0 beyond its own frame."""
        inverse = np.linalg.inv(self.matrix)[::-1, ::-1]  # rows and columns instead of x and y
        offset = -inverse @ self.shift[::-1]
        return affine_transform(image.astype(np.float32), inverse, offset, shape, order=1, mode="constant")


def register(
    first: np.ndarray,
    second: np.ndarray,
    scale: float | None = None,
    bones: Sequence[int] = REFERENCE_BONES,
) -> Similarity:
    """Find the similarity that lays the outlines of a second visit's bones on those of a first.

    The centroids of the bones give the start (Umeyama 1991, least squares between two point sets), the signed distance
    of outline points to the first visit's bones the rest.

    Args:
        first: (14, H, W) bool masks.
        second: (14, H, W) bool masks of the same hand, of any size.
        scale: Pixels of the first image per pixel of the second where it is known; None finds it.
        bones: Bones to go by; those that only one image shows are left out.

    Raises:
        DataError: Fewer than two of the bones are in both images, one is that of the other hand, or they share too
            little.
    """
    if _other_hand(first, second):
        raise DataError("the two radiographs show different hands, a left and a right one: say which hand each shows")
    shared = [bone for bone in bones if 0 < first[bone].sum() < first[bone].size and second[bone].any()]
    if len(shared) < 2:
        raise DataError(
            "the two images cannot be laid over each other: fewer than two of radius and 2nd to 5th metacarpal were"
            " found in both"
        )
    centres = [np.array([_centroid(masks[bone]) for bone in shared]) for masks in (first, second)]
    start = umeyama(*centres, scale)
    distances = [SignedDistance(first[bone]) for bone in shared]
    points = [outline_points(second[bone], step=2.0) for bone in shared]
    size = np.array(first.shape[:0:-1])
    # one unit of each parameter moves the edge of the image by about a pixel
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
        # points off the radiograph count as the mean of the others, so that nothing is won by moving them there
        return np.where(seen, found * np.sqrt(len(seen) / max(seen.sum(), 1)), 0.0 if seen.any() else size.max())

    fit = least_squares(residuals, np.zeros(3 if scale is not None else 4), loss="soft_l1", f_scale=SOFT_LIMIT)
    found = similarity(fit.x)
    seen = on_radiograph(found(outline))
    if seen.mean() < LEAST_SHARED:
        raise DataError("the two radiographs cannot be laid over each other: they show too little of the same bones")
    apart = np.concatenate([distance(found(part)) for distance, part in zip(distances, points, strict=True)])[seen]
    return Similarity(
        found.scale, found.angle, found.shift, float(np.median(np.abs(apart))), (int(seen.sum()), len(seen))
    )


def _other_hand(first: np.ndarray, second: np.ndarray) -> bool:
    """Whether the bones of one image lie as those of the other do in a mirror."""
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


def umeyama(first: np.ndarray, second: np.ndarray, scale: float | None) -> Similarity:
    """Least-squares similarity from (N, 2) second to first points."""
    mean1, mean2 = first.mean(0), second.mean(0)
    a, b = second - mean2, first - mean1
    angle = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    factor = scale if scale is not None else float(np.sqrt((b**2).sum() / (a**2).sum()))
    turned = Similarity(factor, angle, np.zeros(2))
    return Similarity(factor, angle, mean1 - turned(mean2[None])[0])
