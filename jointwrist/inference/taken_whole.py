"""Radiographs that are used whole, without a search for the wrist."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jointwrist.anatomy import Anatomy, shows_wrist
from jointwrist.data.polarity import has_bright_ground
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.placement import Placement
from jointwrist.inference.search.locate import MAYBE_NEGATIVE, refuse_blank, with_caution
from jointwrist.inference.search.mean_wrist import fit_mean_wrist

#: Note on radiographs of another anatomy.
TAKEN_WHOLE = "Taken whole: only wrists can be found on a larger radiograph."
#: Note on masks that the localiser would have refused.
OTHER_VIEW = (
    "The bones found do not lie as on a posteroanterior radiograph of a wrist. Masks and scores may be wrong, as on"
    " other projections, with the wrong side or upside down: look at the overlay."
)


def take_whole(radiograph: Radiograph, anatomy: Anatomy, rotation: int | None = None) -> Placement:
    """Return the placement of a wrist, or of another anatomy, that fills its radiograph.

    Args:
        radiograph: Radiograph as it was taken.
        anatomy: Anatomy that it shows.
        rotation: Degrees clockwise by which it must be rotated; None for none.

    Raises:
        DataError: The radiograph is blank, or its header states both hands.
    """
    refuse_blank(radiograph)
    if anatomy.sides:
        refuse_both_hands(radiograph)
    else:
        radiograph = replace(radiograph, side=None)
    if not shows_wrist(anatomy):
        radiograph = replace(radiograph, notes=(*radiograph.notes, TAKEN_WHOLE))
    if has_bright_ground(radiograph.pixels):
        radiograph = with_caution(radiograph, MAYBE_NEGATIVE)
    return Placement(radiograph, rotation=rotation or 0)


def with_view_caution(placement: Placement, masks: np.ndarray) -> Placement:
    """Return a placement whose radiograph says that its bones do not lie as those of a wrist, if they do not.

    Args:
        placement: Placement of a wrist that was used whole.
        masks: (14, S, S) bool, the bones on the network's image.
    """
    if not masks.any() or fit_mean_wrist(masks) is not None:
        return placement
    return replace(placement, radiograph=with_caution(placement.radiograph, OTHER_VIEW))


def refuse_both_hands(radiograph: Radiograph) -> None:
    """Raise an error if a header states both hands, and nothing says which one is meant.

    Raises:
        DataError: The header states both hands.
    """
    if radiograph.both_hands:
        raise DataError(f"{radiograph.source}: shows both hands; crop it to one and state its side")
