"""Leader lines from numbers to joints: which place each number takes, so that no line misleads."""

from __future__ import annotations

import numpy as np

#: Factor by which the length of a line counts where it crosses a bone that is not the joint's.
CROSSING_WEIGHT = 3.0
#: Points of a line at which it is checked for bones and numbers.
_SAMPLES = 80
#: Rounds of the search; two or three are enough.
_ROUNDS = 10


def ways_to(own: np.ndarray, others: np.ndarray, cells: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Follow straight lines to a joint, up to the contour of its bone.

    Args:
        own: (H, W) bool mask of the joint's bone.
        others: (H, W) bool, all other bones.
        cells: (N, 2) x and y where the lines begin.
        end: (2,) x and y within the bone.

    Returns:
        (N, 2) points at which the lines reach the bone, and the (N,) lengths in pixels over other bones on the way.
    """
    share = np.linspace(0, 1, _SAMPLES)[:, None]
    points = cells[:, None] + share * (end - cells)[:, None]
    x, y = np.clip(points, 0, np.array(own.shape[::-1]) - 1).astype(int).transpose(2, 0, 1)
    inside = own[y, x]
    first = np.where(inside.any(1), inside.argmax(1), _SAMPLES - 1)
    before = np.arange(_SAMPLES) < first[:, None]
    length = np.linalg.norm(end - cells, axis=1)
    return points[np.arange(len(cells)), first], (others[y, x] & before).sum(1) * length / (_SAMPLES - 1)


def choose_cells(costs: np.ndarray, cells: np.ndarray, tips: np.ndarray, radius: float) -> np.ndarray:
    """Choose a cell for each number such that the sum of costs is small and no line touches another line or number.

    Each number begins in its cheapest cell; then each in turn takes the best cell beside the others, until none moves.
    Numbers of short lines move first, as they have other good cells nearby.

    Args:
        costs: (J, N) cost of each cell to each joint.
        cells: (N, 2) middles of the cells.
        tips: (J, N, 2) ends of the lines from them.
        radius: Radius of a number, including the space that lines leave around it.

    Returns:
        (J,) index of each joint's cell.
    """
    places = costs.argmin(1)
    order = costs.min(1).argsort()
    conflict = 2 * float(costs.max()) + 1
    for _ in range(_ROUNDS):
        before = places.copy()
        for joint in order:
            total = costs[joint].copy()
            for other in np.flatnonzero(np.arange(len(costs)) != joint):
                number, tip = cells[places[other]], tips[other, places[other]]
                total += conflict * touches(cells, tips[joint], number, tip, radius)
                total[places[other]] = np.inf
            best = int(total.argmin())
            if total[best] < total[places[joint]]:
                places[joint] = best
        if np.array_equal(places, before):
            break
    return places


def touches(numbers: np.ndarray, tips: np.ndarray, number: np.ndarray, tip: np.ndarray, radius: float) -> np.ndarray:
    """Return (N,) bool, whether lines from numbers to tips, (N, 2) each, cross another line or lie on its number."""
    crossing = (_side(numbers, tips, number) != _side(numbers, tips, tip)) & (
        _side(number, tip, numbers) != _side(number, tip, tips)
    )
    on_other = segment_distance(number, numbers, tips) < radius
    return crossing | on_other | (segment_distance(numbers, number, tip) < radius)


def segment_distance(point: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the distances of (..., 2) points from (..., 2) segments."""
    along = end - start
    share = ((point - start) * along).sum(-1) / np.maximum((along**2).sum(-1), 1e-12)
    return np.linalg.norm(point - start - np.clip(share, 0, 1)[..., None] * along, axis=-1)


def _side(start: np.ndarray, end: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return on which side of (..., 2) lines (..., 2) points lie, -1, 0 or 1."""
    along, to = end - start, point - start
    return np.sign(along[..., 0] * to[..., 1] - along[..., 1] * to[..., 0])
