"""Assigns outlined erosions to joint surfaces, as a bit map."""

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

    An erosion without a named bone belongs to the joint surface that, with its rim, it covers most.

    Args:
        radiograph: The radiograph with its drawn regions.
        masks: (14, H, W) bool bone masks.
        note: Called with a remark on every part that is skipped or cut off.

    Returns:
        (H, W) uint8 bit map, bit j for joint surface j, and the number of erosions at none of the six; or None if the
        radiograph was not examined for erosions.

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
