"""Erosions as somebody outlined them: which joint surface each belongs to, as a bit map."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import JOINTS
from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.shapes.region import Note, combine
from jointwrist.ops.drawn_roi import drawn_regions

_JOINT_OF_BONE = {joint.bone: joint.index for joint in JOINTS}


def draw_erosions(
    radiograph: AnnotatedRadiograph, masks: np.ndarray, note: Note = lambda _: None
) -> tuple[np.ndarray, int] | None:
    """Draw the erosions of a radiograph.

    One whose bone is not named belongs to the joint surface, or the rim round it, that it covers most of.

    Args:
        radiograph: What was drawn.
        masks: (14, H, W) bool, its bones.
        note: Takes a remark on every part that is left out or cut off.

    Returns:
        (H, W) uint8 bit map, bit j for joint surface j, and the number of erosions that lie at none of the six; or
        None where nobody looked for erosions.

    Raises:
        DataError: An erosion covers no pixel, or cannot be drawn.
    """
    if radiograph.erosions is None:
        return None
    size = masks.shape[1:]
    bits, elsewhere = np.zeros(size, np.uint8), 0
    places = None
    for bone, region in radiograph.erosions:
        drawn = combine([region], size, note)
        if bone is None:
            if places is None:
                regions = drawn_regions(masks)
                places = regions.joint + regions.outer_band
            covered = places[:, drawn].sum(1)
            if not covered.any():
                elsewhere += 1
                continue
            joint = int(covered.argmax())
        else:
            joint = _JOINT_OF_BONE[bone]
        bits |= drawn.astype(np.uint8) << np.uint8(joint)
    return bits, elsewhere
