"""Notes and cautions on a radiograph that only its masks show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from jointwrist.anatomy import Anatomy
from jointwrist.inference.exposure import with_exposure_caution
from jointwrist.inference.placement import Placement
from jointwrist.inference.search.locate import with_caution
from jointwrist.ops.drawn_roi import lost_end
from jointwrist.ops.wrist_scale import spacing_doubt


def with_mask_cautions(placement: Placement, masks: np.ndarray, wrist: bool) -> Placement:
    """Return a placement whose radiograph says what its masks show to be doubtful: exposure and pixel spacing.

    Args:
        placement: Placement of the wrist, or of another anatomy.
        masks: (C, H, W) bool, the bones on the radiograph.
        wrist: Whether the bones are those of a wrist, whose size is known.
    """
    placement = with_exposure_caution(placement, masks)
    doubt = spacing_doubt(masks, placement.radiograph.pixel_mm) if wrist else None
    if doubt is None:
        return placement
    caution = f"Doubtful pixel spacing: {doubt}. Lengths in mm are wrong by that factor, as on a resized copy."
    return replace(placement, radiograph=with_caution(placement.radiograph, caution))


def with_lost_ends(placement: Placement, masks: np.ndarray, anatomy: Anatomy, probabilities: np.ndarray) -> Placement:
    """Return a placement whose radiograph names the long bones that no longer reach their joint.

    Args:
        placement: Placement of the wrist, or of another anatomy.
        masks: (C, S, S) bool, the bones on the network's image.
        anatomy: Anatomy with its joints.
        probabilities: (J,) of an erosion; nan where a joint surface has no score.
    """
    unscored = np.isnan(probabilities)
    notes = [
        f"{joint.display}: the bone is far from those that it articulates with, so its end is destroyed or its mask is"
        f" incomplete. Look at the overlay{'' if unscored[joint.index] else ' before you use the score'}."
        for joint in anatomy.joints
        if joint.end and lost_end(masks[:, ::2, ::2], joint)  # boxes are computed at half the size, too
    ]
    if not notes:
        return placement
    return replace(placement, radiograph=replace(placement.radiograph, notes=(*placement.radiograph.notes, *notes)))
