"""A image once for each of its wrists: where each lies, which side it is, and how the image must be turned to see it.

A radiograph on which no wrist is found as it lies, or one far from the mean wrist, as it may seem upside down, is
looked at in its other quarter turns, and the surest of them all is taken. A radiograph with a bright ground, or whose
bones are darker than what is around them, is looked at with dark and bright exchanged, too. Where nothing states the
side, the bones are looked at both ways round. Other radiographs cost nothing more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jointwrist.data.polarity import has_bright_ground, negative
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.candidates import SURE_DISTANCE, Candidate
from jointwrist.inference.localiser import SURE_SIDE, Localiser
from jointwrist.inference.rotation import ROTATIONS, rotated_boxes
from jointwrist.inference.upright import scaled_field, squared, upright

NEGATIVE = "A negative, bones dark on a bright ground: dark and bright were exchanged, look at the overlay."
MAYBE_NEGATIVE = "Perhaps a negative, for bones are expected bright on a dark ground: look at the overlay."


def locate(localiser: Localiser, radiograph: Radiograph, turn: int | None = None) -> list[Radiograph]:
    """Return the radiograph as it is where one wrist fills it, else once for each wrist, with its `field` and its side.

    Args:
        localiser: Looks for wrists with the fingers upwards.
        radiograph: As it was taken.
        turn: Degrees clockwise by which the radiograph is turned first, one of `ROTATIONS`; None finds out.

    Raises:
        DataError: There is no wrist on the radiograph; or the header speaks of two hands, and only one was found.
    """
    name = radiograph.source or "this radiograph"
    radiograph, wrists, degrees = _polarities(localiser, radiograph, turn)
    if not wrists:
        hand = {"L": " as a left hand", "R": " as a right hand", None: ""}[radiograph.side]
        message = (
            f"{name}: no wrist was found{hand}; posteroanterior views of wrists and hands are understood (--field whole"
            " takes a radiograph as it is)"
        )
        raise DataError(". ".join(text.rstrip(".") for text in (message, *radiograph.notes)))
    if radiograph.both_hands and len(wrists) < 2:
        raise DataError(f"{name}: shows both hands by its header, and one wrist was found; cut it and name the sides")
    if degrees and turn is None:
        note = f"The wrist was found with the radiograph turned by {degrees} degrees clockwise: look at the overlay."
        radiograph = replace(radiograph, notes=(*radiograph.notes, note))
    if degrees:
        radiograph = replace(radiograph, turn=degrees)
    shape = squared(radiograph).pixels.shape
    if wrists[0].window[2] != max(shape):
        return [
            _with_side(localiser, _cut_out(radiograph, wrist, shape), radiograph, wrist, len(wrists) == 2)
            for wrist in wrists
        ]
    return [_with_side(localiser, radiograph, radiograph, wrists[0])]


def _polarities(
    localiser: Localiser, radiograph: Radiograph, turn: int | None
) -> tuple[Radiograph, list[Candidate], int]:
    """Return the image, as a positive if it is a negative, with the wrists and the turn in which they were found."""
    doubt = None
    try:
        wrists, degrees = _turns(localiser, squared(radiograph), turn)
    except DataError as error:  # what is wrong with a negative need not be wrong with the positive
        wrists, degrees, doubt = [], 0, error
    dark = any(wrist.contrast < 0 for wrist in wrists)
    if dark or has_bright_ground(radiograph.pixels):
        positive = negative(radiograph)
        try:
            others, other_degrees = _turns(localiser, squared(positive), turn)
        except DataError as error:
            others, doubt = [], doubt or error
        if _certainty(others) > _certainty(wrists):
            return cautioned(positive, NEGATIVE), others, other_degrees
    if doubt is not None and not wrists:
        raise doubt
    return cautioned(radiograph, MAYBE_NEGATIVE) if dark else radiograph, wrists, degrees


def _turns(localiser: Localiser, radiograph: Radiograph, turn: int | None) -> tuple[list[Candidate], int]:
    """Return the wrists of a image and the turn in which they were found, windows in pixels of the turned image."""
    wrists = localiser.find(upright(replace(radiograph, turn=turn or 0)))
    if turn is not None or any(wrist.distance < SURE_DISTANCE for wrist in wrists):
        return wrists, turn or 0
    radiographs = {degrees: upright(replace(radiograph, turn=degrees)) for degrees in ROTATIONS[1:]}
    found = {degrees: [wrist] for degrees in radiographs if (wrist := localiser.filling(radiographs[degrees]))}
    doubt = None
    if not found:
        for degrees, turned_radiograph in radiographs.items():
            try:
                found[degrees] = localiser.find(turned_radiograph)
            except DataError as error:  # two wrists in a turn that is no more than a guess
                doubt = error
    found[0] = wrists
    surest = max(found, key=lambda degrees: _certainty(found[degrees]))
    if doubt is not None and not found[surest]:
        raise doubt
    return found[surest], surest


def _certainty(wrists: list[Candidate]) -> float:
    return max((wrist.certainty for wrist in wrists), default=0.0)


def _cut_out(radiograph: Radiograph, wrist: Candidate, shape: tuple[int, int]) -> Radiograph:
    """Return the radiograph with the field of a wrist that was found on it with (H, W) square pixels, and turned."""
    x, y, length = wrist.window
    height, width = shape[::-1] if radiograph.turn in (90, 270) else shape
    left, top = max(round(x - length / 2), 0), max(round(y - length / 2), 0)
    right, bottom = min(round(x + length / 2), width), min(round(y + length / 2), height)
    field = rotated_boxes(np.array([left, top, right, bottom]), -radiograph.turn, (height, width))
    left, top, right, bottom = scaled_field(field.tolist(), shape, radiograph.pixels.shape)
    note = f"The wrist was found at x {left} to {right}, y {top} to {bottom}; the rest was not looked at."
    return replace(radiograph, field=(left, top, right, bottom), notes=(*radiograph.notes, note))


def _with_side(
    localiser: Localiser, shown: Radiograph, radiograph: Radiograph, wrist: Candidate, one_of_two: bool = False
) -> Radiograph:
    """Return what is shown of a radiograph with its wrist's side, told from the bones where nothing else says it.

    A side that is stated stands. Only where the bones of that hand are unlikely are they looked at the other way round.
    """
    if radiograph.side is None:
        side = wrist.side if one_of_two else localiser.tell_side(upright(radiograph), wrist.window)
        return (
            shown if side is None else cautioned(replace(shown, side=side), f"The side {side} was told from the bones.")
        )
    if wrist.certainty < SURE_SIDE and localiser.tell_side(upright(radiograph), wrist.window) not in (
        None,
        radiograph.side,
    ):
        hand, opposite = ("left", "right") if radiograph.side == "L" else ("right", "left")
        return cautioned(shown, f"Taken for a {hand} hand, but its bones look like those of a {opposite} one.")
    return shown


def cautioned(radiograph: Radiograph, caution: str) -> Radiograph:
    """Return a radiograph with a note that commands print."""
    return replace(radiograph, notes=(*radiograph.notes, caution), cautions=(*radiograph.cautions, caution))
