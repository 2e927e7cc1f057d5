"""Similarity transforms of the plane, and the least-squares fit of one to pairs of points."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import affine_transform

from jointwrist.ops.outlines import bounding_box


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
        """Transform (N, 2) points x, y of the second image to the first."""
        return points @ self.matrix.T + self.shift

    @property
    def inverse(self) -> Similarity:
        """Return the similarity from the first image to the second."""
        back = Similarity(1 / self.scale, -self.angle, np.zeros(2))
        return Similarity(back.scale, back.angle, -back(self.shift[None])[0])

    def on_pixels(self, first: float, second: float) -> Similarity:
        """Return the same motion between images whose pixels are `first` and `second` times as large."""
        middle = self.matrix @ np.full(2, (second - 1) / 2) + self.shift
        return replace(
            self,
            scale=self.scale * second / first,
            shift=(middle - (first - 1) / 2) / first,
            residual=self.residual / first,
        )

    def warp(self, image: np.ndarray, shape: tuple[int, int], corner: tuple[int, int] = (0, 0)) -> np.ndarray:
        """Resample an (H, W) second image to the shape of the first, linearly and 0 outside of it.

        The image falls to 0 within one pixel beyond its rim, so that rounding in the motion does not cut off a row.

        Args:
            image: Second image.
            shape: Shape of the result.
            corner: Row and column of the first image at which the result begins.
        """
        inverse = np.linalg.inv(self.matrix)[::-1, ::-1]  # rows and columns instead of x and y
        offset = inverse @ (np.array(corner) - self.shift[::-1])
        return affine_transform(image.astype(np.float32), inverse, offset, shape, order=1, mode="grid-constant")

    def warp_sum(self, image: np.ndarray, shape: tuple[int, int]) -> float:
        """Return the sum of `warp` by resampling only non-zero pixels; the (H, W) image must not be negative."""
        rows, columns = bounding_box(image > 0)
        edges = np.array([(x, y) for x in (columns.start - 1, columns.stop) for y in (rows.start - 1, rows.stop)])
        around = self(edges)[:, ::-1]
        least = np.clip(np.floor(around.min(0)).astype(int), 0, shape)
        most = np.clip(np.ceil(around.max(0)).astype(int) + 1, 0, shape)
        if (most <= least).any():
            return 0.0
        return float(self.warp(image, tuple(most - least), tuple(least)).sum())


def umeyama(first: np.ndarray, second: np.ndarray, scale: float | None) -> Similarity:
    """Return the least-squares similarity from (N, 2) second to (N, 2) first points (Umeyama, TPAMI 1991)."""
    mean1, mean2 = first.mean(0), second.mean(0)
    a, b = second - mean2, first - mean1
    angle = float(np.arctan2((a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum(), (a * b).sum()))
    factor = scale if scale is not None else float(np.sqrt((b**2).sum() / (a**2).sum()))
    turned = Similarity(factor, angle, np.zeros(2))
    return Similarity(factor, angle, mean1 - turned(mean2[None])[0])
