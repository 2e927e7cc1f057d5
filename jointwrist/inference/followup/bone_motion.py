"""Sub-pixel motion of one bone between two radiographs, estimated from its grey values.

The patch of a bone is registered by least squares of grey values (Lucas and Kanade, IJCAI 1981; survey by Baker and
Matthews, IJCV 56, 2004): a rotation and a shift at the scale of the pixel spacings, together with a gain and a linear
trend of the grey values, as exposure and soft tissue differ. Pixels of other bones are excluded, and poorly fitting
ones are down-weighted (Geman and McClure), since a bone projected over the patch moves independently.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening, gaussian_filter, map_coordinates, spline_filter

from jointwrist.inference.followup.registration import Similarity
from jointwrist.ops.outlines import bounding_box

#: Width in pixels of the rim around a bone that belongs to its patch, as its outline is the most informative part.
RIM = 3
#: Width in pixels of the rim around other bones that does not.
CLEARANCE = 1
#: Weight of the pixels that other bones cover, too.
COVERED = 0.2
#: Standard deviation in pixels of the Gaussian that both radiographs are smoothed with.
SMOOTHING = 1.0
#: Residual at which a pixel loses three quarters of its weight, in robust standard deviations.
OUTLIER = 3.0
#: Most pixels of a patch that are used; larger patches are thinned out evenly.
MOST_PIXELS = 9000
#: Fewest pixels of a patch that can be registered.
LEAST_PIXELS = 80
#: Parts of a patch that are left out in turn to find the standard error.
PARTS = 8
_ROUNDS, _STILL = 40, 2e-3


@dataclass(frozen=True)
class BoneMotion:
    """Position of a bone of the first radiograph on the second.

    Attributes:
        motion: Similarity from the first radiograph to the second.
        left_out: Similarities found with each part of the patch left out in turn.
        correlation: Share of the variance of the grey values that the match explains.
    """

    motion: Similarity
    left_out: tuple[Similarity, ...]
    correlation: float

    @property
    def inverse(self) -> BoneMotion:
        """Return the motion from the second radiograph to the first."""
        return BoneMotion(self.motion.inverse, tuple(one.inverse for one in self.left_out), self.correlation)


@dataclass(frozen=True)
class Patch:
    """A radiograph and the weights of the pixels of one bone on it.

    Attributes:
        smooth: (H, W) float64 smoothed grey values.
        spline: Coefficients of the cubic B-splines of the grey values.
        slopes: (H, W) derivatives of the grey values along x and along y.
        weights: (H, W) float32 in [0, 1].
    """

    smooth: np.ndarray
    spline: np.ndarray
    slopes: tuple[np.ndarray, np.ndarray]
    weights: np.ndarray


def bone_patches(pixels: np.ndarray, bones: np.ndarray) -> list[Patch | None]:
    """Return the patch of each bone.

    Args:
        pixels: (H, W) grey values; the least and the greatest of them count as clipped and are left out.
        bones: (N, H, W) bool masks.

    Returns:
        One for each bone, None where a bone is missing.
    """
    smooth = gaussian_filter(pixels.astype(np.float64), SMOOTHING)
    spline = spline_filter(smooth, 3)
    down, right = np.gradient(smooth)
    clipped = binary_opening((pixels <= pixels.min()) | (pixels >= pixels.max()), np.ones((3, 3)))
    usable = ~(binary_dilation(clipped, iterations=2) | _frame(clipped.shape))
    rims = [_grown(bone, CLEARANCE) for bone in bones]
    covered = np.sum(rims, axis=0, dtype=np.int16)
    weights = np.where(usable, 1.0, 0.0).astype(np.float32)
    return [
        Patch(
            smooth,
            spline,
            (right, down),
            weights * _grown(bone, RIM) * np.where(covered > rim, COVERED, 1.0).astype(np.float32),
        )
        if bone.any()
        else None
        for bone, rim in zip(bones, rims, strict=True)
    ]


def match(first: Patch, second: Patch, start: Similarity) -> BoneMotion | None:
    """Find the position of a bone of the first radiograph on the second.

    Args:
        first: Patch of the bone on the first radiograph.
        second: Patch of the bone on the second.
        start: Similarity from the first radiograph to the second, at most some pixels off; its scale is kept.

    Returns:
        The motion, or None if too little of the bone is visible on both.
    """
    rows, columns = np.nonzero(first.weights)
    if len(rows) < LEAST_PIXELS:
        return None
    kept = slice(None, None, -(-len(rows) // MOST_PIXELS))
    rows, columns = rows[kept], columns[kept]
    centre = np.array([columns.mean(), rows.mean()])
    points = np.stack([columns, rows], 1) - centre
    reach = np.sqrt((points**2).sum(1).mean())
    target = first.smooth[rows, columns]
    trend = np.column_stack([np.ones(len(points)), points / reach])
    landing, angle = start(centre[None])[0], start.angle
    robust = np.ones(len(points))
    for _ in range(_ROUNDS):
        turned = Similarity(start.scale, angle, landing)
        placed = turned(points)
        at = placed[:, ::-1].T
        grey = map_coordinates(second.spline, at, order=3, prefilter=False, mode="nearest")
        weights = robust * map_coordinates(second.weights, at, order=1)
        if (weights > 0).sum() < LEAST_PIXELS:
            return None
        looks = np.column_stack([grey, trend])
        root = np.sqrt(weights)[:, None]
        look, *_ = np.linalg.lstsq(looks * root, target * root[:, 0], rcond=None)
        residuals = target - looks @ look
        slope = (
            np.column_stack([map_coordinates(part, at, order=1, mode="nearest") for part in second.slopes]) * look[0]
        )
        lever = (placed - landing) @ np.array([[0, 1], [-1, 0]]) / reach
        terms = np.column_stack([slope, (slope * lever).sum(1), looks])
        step = _solve(terms, weights, residuals)
        limit = max(np.abs(step).max() / 2, 1)
        landing, angle = landing + step[:2] / limit, angle + step[2] / reach / limit
        if np.abs(step).max() < _STILL:
            break
        seen = weights > 0
        deviation = 1.4826 * np.median(np.abs(residuals[seen])) + 1e-12
        robust = (1 + (residuals / (OUTLIER * deviation)) ** 2) ** -2.0
    spread = (weights * (target - np.average(target, weights=weights)) ** 2).sum()
    part = (np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) * PARTS).astype(int) % PARTS
    steps = [_solve(terms, weights * (part != k), residuals) for k in range(PARTS) if (weights[part == k] > 0).any()]
    return BoneMotion(
        _about(start.scale, angle, centre, landing),
        tuple(_about(start.scale, angle + step[2] / reach, centre, landing + step[:2]) for step in steps),
        float(1 - (weights * residuals**2).sum() / max(spread, 1e-12)),
    )


def _solve(terms: np.ndarray, weights: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Return the shift (2,) and the rotation, in pixels at the patch's radius, of one Gauss-Newton step."""
    weighted = terms * weights[:, None]
    normal = weighted.T @ terms
    ridge = 1e-9 * np.diag(np.diag(normal)) + 1e-12 * np.eye(len(normal))
    return np.linalg.solve(normal + ridge, weighted.T @ residuals)[:3]


def _about(scale: float, angle: float, centre: np.ndarray, landing: np.ndarray) -> Similarity:
    """Return the similarity that brings a centre to a landing point."""
    turned = Similarity(scale, angle, np.zeros(2))
    return Similarity(scale, angle, landing - turned(centre[None])[0])


def _grown(mask: np.ndarray, width: int) -> np.ndarray:
    """Dilate a mask by a number of pixels."""
    if not mask.any():
        return mask
    rows, columns = bounding_box(mask)
    window = tuple(slice(max(part.start - width, 0), part.stop + width) for part in (rows, columns))
    grown = np.zeros_like(mask)
    grown[window] = binary_dilation(mask[window], iterations=width)
    return grown


def _frame(shape: tuple[int, int]) -> np.ndarray:
    """Return the outermost pixels of an image."""
    frame = np.ones(shape, bool)
    frame[2:-2, 2:-2] = False
    return frame
