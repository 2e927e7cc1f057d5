"""A film once for each of its wrists: where each lies, which side it is, and how the film must be turned to see it.

A film on which no wrist is found as it lies, or one far from the mean wrist, as it may seem upside down, is looked at
in its other quarter turns, and the surest of them all is taken. Where nothing states the side, the bones are looked at
both ways round. Other films cost nothing more.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jointwrist.data.dicom import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.field import SURE_DISTANCE, SURE_SIDE, FieldFinder, Wrist
from jointwrist.inference.turns import TURNS, turned_boxes, upright


def locate(finder: FieldFinder, film: Radiograph, turn: int | None = None) -> list[Radiograph]:
    """Return the film as it is where one wrist fills it, else once for each wrist, with its `field` and its side.

    Args:
        finder: Looks for wrists with the fingers upwards.
        film: As it was taken.
        turn: Degrees clockwise by which the film is turned first, one of `TURNS`; None finds out.

    Raises:
        DataError: There is no wrist on the film; or the header speaks of two hands, and only one was found.
    """
    name = film.source or "this film"
    wrists, degrees = _turns(finder, film, turn)
    if not wrists:
        hand = {"L": " as a left hand", "R": " as a right hand", None: ""}[film.side]
        message = (
            f"{name}: no wrist was found{hand}; posteroanterior views of wrists and hands are understood (--field whole"
            " takes a film as it is)"
        )
        raise DataError(". ".join(text.rstrip(".") for text in (message, *film.notes)))
    if film.both_hands and len(wrists) < 2:
        raise DataError(f"{name}: shows both hands by its header, and one wrist was found; cut it and name the sides")
    if degrees and turn is None:
        note = f"The wrist was found with the film turned by {degrees} degrees clockwise: look at the overlay."
        film = replace(film, notes=(*film.notes, note))
    if degrees:
        film = replace(film, turn=degrees)
    if wrists[0].window[2] != max(film.pixels.shape):
        return [_with_side(finder, _cut_out(film, wrist), film, wrist, len(wrists) == 2) for wrist in wrists]
    return [_with_side(finder, film, film, wrists[0])]


def _turns(finder: FieldFinder, film: Radiograph, turn: int | None) -> tuple[list[Wrist], int]:
    """Return the wrists of a film and the turn in which they were found, windows in pixels of the turned film."""
    wrists = finder.find(upright(replace(film, turn=turn or 0)))
    if turn is not None or any(wrist.distance < SURE_DISTANCE for wrist in wrists):
        return wrists, turn or 0
    films = {degrees: upright(replace(film, turn=degrees)) for degrees in TURNS[1:]}
    found = {degrees: [wrist] for degrees in films if (wrist := finder.filling(films[degrees]))}
    found = found or {degrees: finder.find(films[degrees]) for degrees in films}
    found[0] = wrists
    surest = max(found, key=lambda degrees: max((wrist.certainty for wrist in found[degrees]), default=0.0))
    return found[surest], surest


def _cut_out(film: Radiograph, wrist: Wrist) -> Radiograph:
    x, y, length = wrist.window
    height, width = film.pixels.shape[::-1] if film.turn in (90, 270) else film.pixels.shape
    left, top = max(round(x - length / 2), 0), max(round(y - length / 2), 0)
    right, bottom = min(round(x + length / 2), width), min(round(y + length / 2), height)
    field = turned_boxes(np.array([left, top, right, bottom]), -film.turn, (height, width))
    left, top, right, bottom = field.tolist()
    note = f"The wrist was found at x {left} to {right}, y {top} to {bottom}; the rest was not looked at."
    return replace(film, field=(left, top, right, bottom), notes=(*film.notes, note))


def _with_side(
    finder: FieldFinder, shown: Radiograph, film: Radiograph, wrist: Wrist, one_of_two: bool = False
) -> Radiograph:
    """Return what is shown of a film with its wrist's side, told from the bones where nothing else says it.

    A side that is stated stands. Only where the bones of that hand are unlikely are they looked at the other way round.
    """
    if film.side is None:
        side = wrist.side if one_of_two else finder.tell_side(upright(film), wrist.window)
        return (
            shown
            if side is None
            else _cautioned(replace(shown, side=side), f"The side {side} was told from the bones.")
        )
    if wrist.certainty < SURE_SIDE and finder.tell_side(upright(film), wrist.window) not in (None, film.side):
        hand, opposite = ("left", "right") if film.side == "L" else ("right", "left")
        return _cautioned(shown, f"Taken for a {hand} hand, but its bones look like those of a {opposite} one.")
    return shown


def _cautioned(film: Radiograph, caution: str) -> Radiograph:
    return replace(film, notes=(*film.notes, caution), cautions=(*film.cautions, caution))
