"""Candidate wrists on a radiograph: square windows, and the choice of one wrist or of a left and a right one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jointwrist.errors import DataError

#: Distance in mm from the mean wrist below which the search ends, and below which a second wrist counts.
SURE_DISTANCE = 3.2
#: Difference of that distance in mm between left and right from which the side counts as known.
CLEAR_SIDE = 0.4

#: Centre x, centre y and side length of a square in pixels; it may reach beyond the radiograph.
Window = tuple[float, float, float]


@dataclass(frozen=True)
class Candidate:
    """A candidate wrist.

    Attributes:
        window: Square about the wrist, `localiser.FIELD_MM` wide.
        side: "L" or "R", the hand as which it was segmented.
        distance: Mean distance of its landmarks from those of the mean wrist in mm.
        certainty: Mean of |2 p - 1| over the pixels of its bones, where p is their probability.
        contrast: How much brighter its bones are than their surroundings, as a share of the range of grey.
    """

    window: Window
    side: str
    distance: float
    certainty: float = 1.0
    contrast: float = 1.0


def crop_window(pixels: np.ndarray, window: Window) -> np.ndarray:
    """Return a square window of (H, W) pixels; beyond the image it is as dark as its darkest pixel within."""
    x, y, length = window
    size = max(round(length), 2)
    left, top = round(x - length / 2), round(y - length / 2)
    inside = pixels[max(top, 0) : max(top + size, 0), max(left, 0) : max(left + size, 0)]
    if inside.size == 0:
        return np.zeros((size, size), np.float32)
    patch = np.full((size, size), inside.min(), np.float32)
    row, column = max(-top, 0), max(-left, 0)
    patch[row : row + inside.shape[0], column : column + inside.shape[1]] = inside
    return patch


def choose_wrists(candidates: list[Candidate], name: str = "this radiograph") -> list[Candidate]:
    """Choose the candidate closest to the mean wrist, and one of the other hand elsewhere if it is close enough too.

    Args:
        candidates: Candidates of one radiograph.
        name: Name of the radiograph for messages.

    Returns:
        None, one, or two wrists from left to right.

    Raises:
        DataError: There are two wrists, and either could be the left one.
    """
    if not candidates:
        return []
    best = min(candidates, key=lambda wrist: wrist.distance)
    here = [wrist for wrist in candidates if same_place(wrist.window, best.window)]
    apart = [wrist for wrist in candidates if wrist.distance < SURE_DISTANCE and separate(wrist.window, best.window)]
    if not apart:
        return [best]
    other = min(apart, key=lambda wrist: wrist.distance)
    there = [wrist for wrist in apart if same_place(wrist.window, other.window)]
    pairs = []
    for side, opposite in ("LR", "RL"):
        nearest = [
            min((wrist for wrist in place if wrist.side == hand), key=lambda wrist: wrist.distance, default=None)
            for place, hand in ((here, side), (there, opposite))
        ]
        if None not in nearest:
            pairs.append((sum(wrist.distance for wrist in nearest), nearest))
    if not pairs or (len(pairs) == 2 and abs(pairs[0][0] - pairs[1][0]) < CLEAR_SIDE):
        raise DataError(
            f"{name}: shows two wrists, and it is unclear which is the left one; crop it to one and state its side"
        )
    return sorted(min(pairs, key=lambda pair: pair[0])[1], key=lambda wrist: wrist.window[0])


def separate(first: Window, second: Window, alike: float = 1.4) -> bool:
    """Return whether two windows are of similar size (up to a factor `alike`) and hardly overlap."""
    apart = max(abs(first[0] - second[0]), abs(first[1] - second[1]))
    return apart > 0.75 * max(first[2], second[2]) and max(first[2], second[2]) < alike * min(first[2], second[2])


def same_place(first: Window, second: Window) -> bool:
    """Return whether two windows have nearly the same centre, whatever their sizes."""
    return max(abs(first[0] - second[0]), abs(first[1] - second[1])) < 0.25 * min(first[2], second[2])
