"""Assign outlined erosions to joint surfaces, as a bit map."""

from __future__ import annotations

import numpy as np

from jointwrist.data.importers.annotated_radiograph import AnnotatedRadiograph
from jointwrist.data.shapes.region import Note, combine
from jointwrist.ops.bits import bits_dtype
from jointwrist.ops.drawn_roi import drawn_regions


def draw_erosions(
    radiograph: AnnotatedRadiograph, masks: np.ndarray, note: Note = lambda _: None
) -> tuple[np.ndarray, int] | None:
    """Draw the erosions of a radiograph.

    An erosion belongs to the joint surface of the bone that its label names. If the label names none, or a bone with
    several joint surfaces, it belongs to the surface that it covers most, including a rim around the bone.

    Args:
        radiograph: The radiograph with its drawn regions.
        masks: (C, H, W) bool bone masks.
        note: Called with a remark on every part that is skipped or cut off.

    Returns:
        (H, W) bit map, bit j for joint surface j, and the number of erosions at no joint surface; or None if the
        radiograph was not examined for erosions.

    Raises:
        DataError: An erosion covers no pixel, or cannot be drawn.
    """
    if radiograph.erosions is None:
        return None
    size, joints = masks.shape[1:], radiograph.anatomy.eroded_joints
    bits, elsewhere = np.zeros(size, bits_dtype(len(radiograph.anatomy.joints), least=8)), 0
    places = None
    for bone, region in radiograph.erosions:
        drawn = combine([region], size, note)
        possible = [place for place, joint in enumerate(joints) if bone in (None, joint.bone)]
        if len(possible) > 1:
            if places is None:
                regions = drawn_regions(masks, joints=joints)
                places = regions.joint + regions.outer_band
            covered = places[possible][:, drawn].sum(1)
            possible = [possible[covered.argmax()]] if covered.any() else []
        if not possible:
            elsewhere += 1
            continue
        bits |= drawn.astype(bits.dtype) << bits.dtype.type(joints[possible[0]].index)
    return bits, elsewhere
