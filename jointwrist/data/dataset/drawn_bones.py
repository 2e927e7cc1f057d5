"""What is drawn on the radiographs of a dataset: a bone without a mask counts as absent, also in training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.label_files import read_masks
from jointwrist.errors import DataError
from jointwrist.text import number_of


def undrawn_notes(cases: Sequence[Case], anatomy: Anatomy = WRIST) -> list[str]:
    """Say which bones are drawn on no radiograph, and on how many radiographs no bone is.

    Args:
        cases: Those without masks are ignored.
        anatomy: The bones.

    Raises:
        DataError: Masks cannot be read, or hold no bone at all.
    """
    masked = [case for case in cases if case.mask is not None]
    present = [int(np.bitwise_or.reduce(read_masks(case.mask, None, anatomy), axis=None)) for case in masked]
    if not masked:
        return []
    if not any(present):
        raise DataError(f"{masked[0].mask}: no bone is drawn here, nor elsewhere; draw them, or remove the masks")
    absent = [bone.name for bone in anatomy.bones if not any(bits >> bone.index & 1 for bits in present)]
    empty = [case.mask.name for case, bits in zip(masked, present, strict=True) if not bits]
    notes = []
    if absent:
        notes.append(
            f"drawn on no radiograph: {', '.join(absent)}; they count as absent, and the network unlearns them"
        )
    if empty:
        few = number_of(len(empty), "radiograph")
        notes.append(f"{few} with masks of no bone, such as {empty[0]}: remove the masks where nothing was drawn")
    return notes
