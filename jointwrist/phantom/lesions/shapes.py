"""Shapes removed from a bone at its joint surface, as ellipsoids along the contour."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jointwrist.phantom.joint_surface import GRID_MM, Surface

_NO_ROWS = np.zeros((0, 5))


def rows(ellipsoids: list[np.ndarray]) -> np.ndarray:
    """Stack ellipsoids as (N, 5) rows; an empty list gives (0, 5)."""
    return np.array(ellipsoids) if ellipsoids else _NO_ROWS


@dataclass
class Carving:
    """Changes of one bone by a finding; ellipsoids are rows (x, y, z, radius across, radius along the ray) in mm.

    Attributes:
        bites: Bone that is missing.
        rims: Spongy bone that is sclerotic, where no bite lies in it.
        thinned: Bone that has lost mineral, most in the middle of each ellipsoid.
        cysts: Lucencies inside the bone with a sclerotic rim.
        notches: Bone that was never there.
        sclerosis: Density of the rims, as a share of compact bone.
        loss: Share of mineral lost in the middle of what is thinned.
    """

    bites: list[np.ndarray] = field(default_factory=list)
    rims: list[np.ndarray] = field(default_factory=list)
    thinned: list[np.ndarray] = field(default_factory=list)
    cysts: list[np.ndarray] = field(default_factory=list)
    notches: list[np.ndarray] = field(default_factory=list)
    sclerosis: float = 0.0
    loss: float = 0.0

    def with_rims(self, width: float, sclerosis: float) -> Carving:
        """Line all bites with sclerotic bone `width` mm wide."""
        self.rims = [bite + np.array([0, 0, 0, width, width]) for bite in self.bites]
        self.sclerosis = sclerosis
        return self


def bite(surface: Surface, place: np.ndarray, radius: float, depth: float = 1.0, side: int = 0) -> np.ndarray:
    """Return an ellipsoid that removes a share of the bone's thickness.

    Args:
        surface: Joint surface.
        place: (2,) its middle in mm.
        radius: Radius across in mm.
        depth: Share of the bone's thickness at its middle that it takes away.
        side: -1 if it is taken from the back of the hand, 1 from the palm, 0 from the middle.
    """
    y0, _, x0, _ = surface.box
    height, width = surface.lo.shape
    row = min(max(int(place[1] / GRID_MM) - y0, 0), height - 1)
    column = min(max(int(place[0] / GRID_MM) - x0, 0), width - 1)
    lo, hi = surface.lo[row, column], surface.hi[row, column]
    if hi <= lo:  # beside the bone: as deep as the nearest contour
        nearest = np.argmin(np.sum((surface.points[:, :2] - place) ** 2, axis=1))
        lo, hi = surface.points[nearest, 2] - radius, surface.points[nearest, 2] + radius
    half = 0.5 * (hi - lo)
    # a bite is thinner away from its middle, so that it reaches beyond the bone there
    reach = max(1.25 * depth * half, 0.8 * radius)
    return np.array([*place, 0.5 * (lo + hi) + side * (1 - min(depth, 1.0)) * half, radius, reach])


def arc(surface: Surface, middle: int, length: float, step: float) -> np.ndarray:
    """Return contour points about `step` mm apart within half of `length` of a middle, in order along the contour."""
    offset = surface.points[:, :2] - surface.points[middle, :2]
    inward = surface.inward[middle]
    along = offset @ np.array([-inward[1], inward[0]])
    near = np.flatnonzero(np.hypot(*offset.T) <= 0.5 * length)
    chosen: list[int] = []
    for index in near[np.argsort(along[near], kind="stable")]:
        gaps = surface.points[chosen, :2] - surface.points[index, :2]
        if not chosen or np.hypot(*gaps.T).min() >= step:
            chosen.append(int(index))
    return np.array(chosen, int)
