"""Placements of the wrists on a radiograph: polarity, rotation, crop and side.

For most radiographs the localiser runs once. Three cases need more:

- If no wrist is found in the stored orientation, or only one far from the mean wrist, which may be upside down, the
  radiograph is also searched rotated by 90, 180 and 270 degrees, at coarse scales first, and the most certain result is
  used.
- A radiograph with a bright background, or with bones darker than their surroundings, is also searched inverted.
- If the side is not stated, the bones are compared with those of a left and of a right hand.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from jointwrist.data.outliers import without_outliers
from jointwrist.data.polarity import has_bright_ground, negative
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.pixel_aspect import scale_crop, with_square_pixels
from jointwrist.inference.placement import Placement
from jointwrist.inference.rotation import ROTATIONS, rotated_boxes
from jointwrist.inference.search.candidates import SURE_DISTANCE, Candidate
from jointwrist.inference.search.localiser import SEARCH, SURE_SIDE, Localiser

NEGATIVE = "A negative, with dark bones on a bright background, which was inverted: look at the overlay."
MAYBE_NEGATIVE = "Perhaps a negative: bones are expected to be bright on a dark background; look at the overlay."


def locate(localiser: Localiser, radiograph: Radiograph, rotation: int | None = None) -> list[Placement]:
    """Return the placements of the wrists on a radiograph; there is no crop if one wrist fills it.

    Args:
        localiser: Finds wrists with the fingers upwards.
        radiograph: Radiograph as it was taken.
        rotation: Degrees clockwise by which it must be rotated, one of `ROTATIONS`; None to detect it.

    Returns:
        One placement, or those of a left and a right wrist.

    Raises:
        DataError: The radiograph is blank, or there is no wrist on it; there are two, and it is unclear which is the
            left one; or the header states both hands, and only one wrist was found.
    """
    refuse_blank(radiograph)
    name = radiograph.source or "this radiograph"
    radiograph, wrists, degrees = _find_as_positive(localiser, radiograph, rotation)
    if not wrists:
        hand = {"L": " as a left hand", "R": " as a right hand", None: ""}[radiograph.side]
        message = (
            f"{name}: no wrist was found{hand}; posteroanterior views of wrists and hands are supported (--field whole"
            " uses a radiograph without looking for the wrist)"
        )
        raise DataError(". ".join(text.rstrip(".") for text in (message, *radiograph.notes)))
    if radiograph.both_hands and len(wrists) < 2:
        raise DataError(
            f"{name}: shows both hands according to its header, but only one wrist was found; crop it to one and state"
            " its side"
        )
    if degrees and rotation is None:
        note = f"The wrist was found with the radiograph rotated by {degrees} degrees clockwise: look at the overlay."
        radiograph = replace(radiograph, notes=(*radiograph.notes, note))
    whole = Placement(radiograph, rotation=degrees)
    shape = with_square_pixels(radiograph).pixels.shape
    if wrists[0].window[2] == max(shape):
        return [_with_side(localiser, whole, whole, wrists[0])]
    return [
        _with_side(localiser, _cropped(whole, wrist, shape), whole, wrist, one_of_two=len(wrists) == 2)
        for wrist in wrists
    ]


def refuse_blank(radiograph: Radiograph) -> None:
    """Raise an error if all pixels have one grey value.

    Raises:
        DataError: They have.
    """
    if radiograph.pixels.min() == radiograph.pixels.max():
        name = radiograph.source or "this radiograph"
        raise DataError(f"{name}: is blank, of one grey value throughout; export or scan it again")


def with_caution(radiograph: Radiograph, caution: str) -> Radiograph:
    """Return a radiograph with an additional note that commands print."""
    return replace(radiograph, notes=(*radiograph.notes, caution), cautions=(*radiograph.cautions, caution))


def _find_as_positive(
    localiser: Localiser, radiograph: Radiograph, rotation: int | None
) -> tuple[Radiograph, list[Candidate], int]:
    """Return the radiograph, inverted if it is a negative, its wrists, and the rotation in which they were found."""
    doubt = None
    try:
        wrists, degrees = _find_in_rotations(localiser, with_square_pixels(radiograph), rotation)
    except DataError as error:  # the positive may still be fine
        wrists, degrees, doubt = [], 0, error
    dark = any(wrist.contrast < 0 for wrist in wrists)
    if dark or has_bright_ground(radiograph.pixels):
        positive = without_outliers(negative(radiograph))  # its black frame is bright now
        try:
            others, other_degrees = _find_in_rotations(localiser, with_square_pixels(positive), rotation)
        except DataError as error:
            others, doubt = [], doubt or error
        if _certainty(others) > _certainty(wrists):
            return with_caution(positive, NEGATIVE), others, other_degrees
    if doubt is not None and not wrists:
        raise doubt
    return with_caution(radiograph, MAYBE_NEGATIVE) if dark else radiograph, wrists, degrees


def _find_in_rotations(
    localiser: Localiser, radiograph: Radiograph, rotation: int | None
) -> tuple[list[Candidate], int]:
    """Return the wrists of a radiograph with square pixels, and its rotation; windows lie on the rotated radiograph."""

    def upright(degrees: int) -> Radiograph:
        return Placement(radiograph, rotation=degrees).upright()

    if rotation is not None:
        return localiser.find(upright(rotation)), rotation
    others = _OtherRotations(localiser, upright)
    wrists = localiser.find(upright(0), give_up=others.search_next_scale)
    if _is_sure(wrists):
        return wrists, 0
    others.search_the_rest()
    found = {**others.found, 0: wrists}
    surest = max(found, key=lambda degrees: _certainty(found[degrees]))
    if others.doubt is not None and not found[surest]:
        raise others.doubt
    return found[surest], surest


class _OtherRotations:
    """Search in the rotations by 90, 180 and 270 degrees, scale by scale, one scale behind the stored orientation.

    Finer scales take most of the time, and are seldom needed in any rotation if all are searched at the coarser ones.

    Attributes:
        found: Wrists by rotation.
        doubt: Error of a rotation with two wrists of unclear sides, which is only a guess; None without.
    """

    def __init__(self, localiser: Localiser, upright: Callable[[int], Radiograph]):
        self.localiser, self._upright = localiser, upright
        self.found: dict[int, list[Candidate]] = {}
        self.doubt: DataError | None = None
        self._radiographs: dict[int, Radiograph] = {}
        self._filled, self._searched = False, 0

    def search_next_scale(self) -> bool:
        """Search at one more scale; return whether a wrist was surely found, or the radiograph is filled by one."""
        self._look_for_filling()
        if not self._filled:
            self._search(SEARCH[self._searched : self._searched + 1])
        return self._sure()

    def search_the_rest(self) -> None:
        """Search at all scales that are left, unless a wrist was surely found or fills the radiograph."""
        self._look_for_filling()
        if not self._filled and not self._sure():
            self._search(SEARCH[self._searched :])

    def _sure(self) -> bool:
        return any(map(_is_sure, self.found.values()))

    def _look_for_filling(self) -> None:
        if self._radiographs:
            return
        for degrees in ROTATIONS[1:]:
            radiograph = self._radiographs[degrees] = self._upright(degrees)
            if wrist := self.localiser.filling(radiograph):
                self.found[degrees] = [wrist]
        self._filled = bool(self.found)

    def _search(self, scales: Sequence[float]) -> None:
        self._searched += len(scales)
        for degrees, radiograph in self._radiographs.items():
            try:
                wrists = self.localiser.find(radiograph, scales=scales)
            except DataError as error:
                self.doubt = error
                continue
            if _nearest(wrists) < _nearest(self.found.get(degrees, [])):
                self.found[degrees] = wrists


def _is_sure(wrists: list[Candidate]) -> bool:
    return _nearest(wrists) < SURE_DISTANCE


def _nearest(wrists: list[Candidate]) -> float:
    return min((wrist.distance for wrist in wrists), default=np.inf)


def _certainty(wrists: list[Candidate]) -> float:
    return max((wrist.certainty for wrist in wrists), default=0.0)


def _cropped(whole: Placement, wrist: Candidate, shape: tuple[int, int]) -> Placement:
    """Return the placement of a wrist from its window on the rotated radiograph of (H, W) square pixels."""
    x, y, length = wrist.window
    height, width = shape[::-1] if whole.rotation in (90, 270) else shape
    left, top = max(round(x - length / 2), 0), max(round(y - length / 2), 0)
    right, bottom = min(round(x + length / 2), width), min(round(y + length / 2), height)
    crop = rotated_boxes(np.array([left, top, right, bottom]), -whole.rotation, (height, width))
    left, top, right, bottom = scale_crop(crop.tolist(), shape, whole.radiograph.pixels.shape)
    note = f"The wrist was found at x {left} to {right}, y {top} to {bottom}; the rest was ignored."
    radiograph = replace(whole.radiograph, notes=(*whole.radiograph.notes, note))
    return replace(whole, radiograph=radiograph, crop=(left, top, right, bottom))


def _with_side(
    localiser: Localiser, placement: Placement, whole: Placement, wrist: Candidate, one_of_two: bool = False
) -> Placement:
    """Return a placement with the side of its wrist, inferred from the bones if it is not stated.

    A stated side is kept, with a caution if the bones look like those of the other hand.
    """
    radiograph, stated = placement.radiograph, whole.radiograph.side
    if stated is None:
        side = wrist.side if one_of_two else localiser.side_from_bones(whole.upright(), wrist.window)
        if side is None:
            return placement
        radiograph = with_caution(replace(radiograph, side=side), f"The side {side} was inferred from the bones.")
    elif wrist.certainty < SURE_SIDE and localiser.side_from_bones(whole.upright(), wrist.window) not in (None, stated):
        hand, opposite = ("left", "right") if stated == "L" else ("right", "left")
        radiograph = with_caution(
            radiograph, f"Taken for a {hand} hand, but its bones look like those of a {opposite} one."
        )
    return replace(placement, radiograph=radiograph)
