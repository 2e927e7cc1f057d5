"""Assign the outlined erosions of RAM-H1200, which name no joint, to joint surfaces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from jointwrist.anatomy import Anatomy
from jointwrist.ops.bits import bits_dtype
from jointwrist.ops.drawn_roi import drawn_regions

#: Categories of certain and of doubtful erosions; the score does not count those of the third, `Non-SvdH-BE`.
CERTAIN, DOUBTFUL = "SvdH-BE-90", "SvdH-BE-50"
#: Farthest that a piece may lie from the nearest joint surface, and how many times nearer that must be than the next.
REACH_MM, NEARER = 2.0, 2.0


@dataclass(frozen=True)
class Lesions:
    """The erosions of a radiograph.

    Attributes:
        eroded: (H, W) bit map, bit j for joint surface j.
        unsure: (H, W) bool, pixels of which it is not known whether and where they are eroded.
        pieces: Number of pieces at one joint surface, of those in doubt, and of those at none.
    """

    eroded: np.ndarray
    unsure: np.ndarray
    pieces: tuple[int, int, int]


def assign(
    lesions: Sequence[tuple[str, np.ndarray]],
    masks: np.ndarray,
    spacing: float,
    anatomy: Anatomy,
    doubtful: bool = False,
) -> Lesions:
    """Assign every connected piece to the nearest joint surface.

    A piece belongs to the joint surface (including its rim) that it covers most; if it covers none, to the nearest one
    within `REACH_MM`. It is in doubt if another surface is covered more than half as much, or less than `NEARER` times
    as far. Pieces of other categories than certain erosions are in doubt wherever they are.

    Args:
        lesions: Pairs of category and (H, W) bool mask.
        masks: (C, H, W) bool bone masks.
        spacing: Pixel spacing in mm.
        anatomy: Bones and joints.
        doubtful: Whether doubtful erosions count as certain ones.
    """
    shape = masks.shape[1:]
    eroded = np.zeros(shape, bits_dtype(len(anatomy.joints), least=8))
    unsure, pieces = np.zeros(shape, bool), [0, 0, 0]
    surfaces = _Surfaces(masks, spacing, anatomy) if lesions else None
    certain = {CERTAIN, DOUBTFUL} if doubtful else {CERTAIN}
    for category, mask in lesions:
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        for number in range(1, count + 1):
            piece = labels == number
            joint, sure = surfaces.owner(piece)
            if joint is None:
                pieces[2] += 1
            if category in certain and joint is not None and sure:
                eroded[piece] |= eroded.dtype.type(1 << joint)
                pieces[0] += 1
            else:
                unsure |= piece
                pieces[1] += joint is not None
    return Lesions(eroded, unsure & (eroded == 0), tuple(pieces))


class _Surfaces:
    """The joint surfaces of a radiograph that are scored for erosion, each with a rim around it."""

    def __init__(self, masks: np.ndarray, spacing: float, anatomy: Anatomy) -> None:
        joints = anatomy.eroded_joints
        regions = drawn_regions(masks, joints=joints)
        self.joints, self.spacing = [joint.index for joint in joints], spacing
        self.places = regions.joint + regions.outer_band

    def owner(self, piece: np.ndarray) -> tuple[int | None, bool]:
        """Return the joint surface of a piece, or None, and whether it is the only one."""
        covered = self.places[:, piece].sum(1)
        if covered.any():
            joint = int(covered.argmax())
            return self.joints[joint], bool(np.delete(covered, joint).max() <= covered[joint] / 2)
        away = ndimage.distance_transform_edt(~piece) * self.spacing
        far = np.array([away[place >= 0.5].min(initial=np.inf) for place in self.places])
        joint = int(far.argmin())
        if not far[joint] <= REACH_MM:
            return None, False
        return self.joints[joint], bool(np.delete(far, joint).min() >= NEARER * far[joint])
