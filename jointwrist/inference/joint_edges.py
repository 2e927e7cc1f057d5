"""Margins of a joint moved from the outlines of the masks to the edges of the bones on the radiograph.

An edge of a bone is where the grey values fall outwards, also where the bone lies over another. Its path along the
joint is the one with the best sum of slope, nearness to the outline and smoothness, found by dynamic programming
(Amini, Weymouth and Jain, IEEE TPAMI 12(9), 1990).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import gaussian_filter1d, map_coordinates

from jointwrist.inference.joint_margins import STEP, JointMargins

#: How far an edge may move, distance between candidates, length over which grey values are averaged along the joint,
#: and standard deviation of the Gaussian whose slope is taken; shares of the root of the smaller bone's area, 15 mm.
REACH, CANDIDATE, AVERAGED, BLUR = 0.03, 0.005, 0.03, 0.008
#: How far inside of the outline the steepest slope lies, as bone gets thicker inwards; such a share, of phantoms.
INSIDE = 0.005
#: Cost of the largest move, and of a step to the next candidate, relative to the 95th percentile of the slope.
AWAY, BEND = 1.0, 1.5
#: Candidates beyond the reach, for the slope at its ends.
_EXTRA = 6


def on_edges(pixels: np.ndarray, margins: JointMargins) -> JointMargins:
    """Move both margins of a joint to the edges of the bones, in the measured part of the joint.

    Args:
        pixels: (H, W) float grey values with bright bones.
        margins: Margins from the masks.
    """
    first, second = (
        _moved(pixels, margins, heights, way) for heights, way in ((margins.first, 1), (margins.second, -1))
    )
    return replace(margins, first=first, second=second)


def _moved(pixels: np.ndarray, margins: JointMargins, heights: np.ndarray, way: int) -> np.ndarray:
    """Return the heights (N,) of a margin on the edge; `way` is 1 where the outside of the bone is higher."""
    within = np.flatnonzero(margins.weights > 0)
    step, reach = CANDIDATE * margins.scale, round(REACH / CANDIDATE)
    offsets = np.arange(-reach - _EXTRA, reach + _EXTRA + 1) * step
    along = np.array([-margins.direction[1], margins.direction[0]])
    places = margins.at[within, None, None] * along + (heights[within, None] + offsets)[..., None] * margins.direction
    x, y = np.moveaxis(margins.origin + places, -1, 0)
    values = map_coordinates(pixels, [y, x], np.float64, order=1, mode="nearest")
    values = gaussian_filter1d(values, AVERAGED * margins.scale / STEP, axis=0, mode="nearest")
    slope = -way * gaussian_filter1d(values, BLUR / CANDIDATE, axis=1, order=1)[:, _EXTRA:-_EXTRA]
    slope = np.maximum(slope, 0)
    strength = slope / max(float(np.percentile(slope, 95)), 1e-9)
    path = cheapest_path(AWAY * (np.arange(-reach, reach + 1) / reach) ** 2 - strength, BEND) - reach
    moved = heights.copy()
    moved[within] += gaussian_filter1d(path * step, 1 / STEP, mode="nearest") + way * INSIDE * margins.scale
    return moved


def cheapest_path(cost: np.ndarray, bend: float) -> np.ndarray:
    """Return the (N,) columns of the cheapest path through (N, K) costs, from row to row by at most one column.

    Args:
        cost: Cost of each place.
        bend: Cost of a change of the column.
    """
    around = np.full(cost.shape[1] + 2, np.inf)
    around[1:-1] = total = cost[0]
    steps, bends, came = sliding_window_view(around, 3), np.array([bend, 0.0, bend]), np.zeros(cost.shape, int)
    for row in range(1, len(cost)):
        choices = steps + bends
        came[row] = choices.argmin(1) - 1
        around[1:-1] = total = choices.min(1) + cost[row]
    path = np.empty(len(cost), int)
    path[-1] = total.argmin()
    for row in range(len(cost) - 1, 0, -1):
        path[row - 1] = path[row] + came[row, path[row]]
    return path
