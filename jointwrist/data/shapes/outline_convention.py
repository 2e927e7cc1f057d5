"""Detect whether outlines run along pixel edges or through pixel centres: tools differ, and files do not state it."""

from __future__ import annotations

from collections import Counter

import numpy as np

CONVENTIONS = ("auto", "edges", "centres")
#: Fewest corners of an outline along the pixel grid to count as traced by a program.
_TRACED_CORNERS = 9


class Convention:
    """The convention of the outlines in one file or folder.

    `edges`: whole numbers are pixel edges, and a pixel belongs to an outline that goes round its centre. `centres`:
    whole numbers are pixel centres, and centres on the outline belong to it, as cv2.findContours traces masks. `auto`
    decides for each outline; ambiguous ones follow the majority.

    Args:
        choice: One of `CONVENTIONS`.
    """

    def __init__(self, choice: str = "auto") -> None:
        if choice not in CONVENTIONS:
            raise ValueError(f"outlines {choice!r} are unknown; choose one of {', '.join(CONVENTIONS)}")
        self.choice = choice
        self._votes: Counter[bool | None] = Counter()

    def count(self, points: np.ndarray) -> None:
        """Count an outline towards the majority."""
        self._votes[runs_through_centres(points)] += 1

    def through_centres(self, points: np.ndarray) -> bool:
        """Return whether an outline runs through pixel centres; all others must have been counted."""
        if self.choice != "auto":
            return self.choice == "centres"
        found = runs_through_centres(points)
        return self._votes[True] > self._votes[False] if found is None else found


def runs_through_centres(points: np.ndarray) -> bool | None:
    """Detect an outline that a program traced through pixel centres, or half way between them.

    A trace of a mask's border pixels has whole coordinates and runs in the eight directions of the grid; unless it is a
    rectangle, some steps are diagonal, which those along pixel edges never are. Marching squares cross the lines
    between centres half way, so their straight runs lie at halves if counted from centres, at whole numbers if from
    edges.

    Args:
        points: (N, 2) x and y of the corners.

    Returns:
        True, False, or None if ambiguous.
    """
    corners = _corners(points)
    steps = np.abs(np.roll(corners, -1, axis=0) - corners)
    straight = (steps == 0).any(axis=1)
    traced = len(corners) >= _TRACED_CORNERS or len(points) >= 2 * _TRACED_CORNERS
    if (corners == np.round(corners)).all():
        if not (straight | (steps[:, 0] == steps[:, 1])).all():
            return False
        if straight.all():
            return None if len(corners) <= 4 else False
        return True if traced else None
    halves = corners % 1 == 0.5
    crossings = (halves.sum(axis=1) == 1) & ((corners % 1 == 0).sum(axis=1) == 1)
    dense = np.abs(np.roll(points, -1, axis=0) - points).max() <= 1
    if not (traced and dense and crossings.all() and straight.any()):
        return False
    # the coordinate that is constant along each straight run
    still = halves[straight][steps[straight] == 0]
    return bool(still.all())


def _corners(points: np.ndarray) -> np.ndarray:
    """Remove repeated points, and points on a straight line between their neighbours."""
    points = points[np.any(points != np.roll(points, 1, axis=0), axis=1)] if len(points) > 1 else points
    if len(points) < 3:
        return points
    before, after = points - np.roll(points, 1, axis=0), np.roll(points, -1, axis=0) - points
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turns = (cross != 0) | ((before * after).sum(axis=1) < 0)
    return points[turns]
