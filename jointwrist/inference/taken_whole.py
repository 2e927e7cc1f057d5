"""Radiographs that are used whole, without a search for the wrist."""

from __future__ import annotations

from dataclasses import replace

from jointwrist.anatomy import Anatomy, shows_wrist
from jointwrist.data.polarity import has_bright_ground
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.locate import MAYBE_NEGATIVE, with_caution
from jointwrist.inference.placement import Placement

#: Note on radiographs of another anatomy.
TAKEN_WHOLE = "Taken whole: only wrists can be found on a larger radiograph."


def take_whole(radiograph: Radiograph, anatomy: Anatomy, rotation: int | None = None) -> Placement:
    """Return the placement of a wrist, or of another anatomy, that fills its radiograph.

    Args:
        radiograph: Radiograph as it was taken.
        anatomy: What it shows.
        rotation: Degrees clockwise by which it must be rotated; None for none.

    Raises:
        DataError: Its header states both hands.
    """
    if anatomy.sides:
        refuse_both_hands(radiograph)
    else:
        radiograph = replace(radiograph, side=None)
    if not shows_wrist(anatomy):
        radiograph = replace(radiograph, notes=(*radiograph.notes, TAKEN_WHOLE))
    if has_bright_ground(radiograph.pixels):
        radiograph = with_caution(radiograph, MAYBE_NEGATIVE)
    return Placement(radiograph, rotation=rotation or 0)


def refuse_both_hands(radiograph: Radiograph) -> None:
    """Raise an error if a header states both hands, and nothing says which one is meant.

    Raises:
        DataError: It does.
    """
    if radiograph.both_hands:
        raise DataError(f"{radiograph.source}: shows both hands; crop it to one and state its side")
