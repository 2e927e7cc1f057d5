"""Bit maps, the format of `jointwrist` for overlapping masks: bit b is bone b, in an npz archive or a 16-bit PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.dataset.label_files import read_masks
from jointwrist.data.mask_formats.png import read_png
from jointwrist.data.numpy_files import read_npz
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.files import atomic, write_arrays
from jointwrist.ops.bits import bits_dtype

if TYPE_CHECKING:
    from jointwrist.data.mask_formats.layers import Named

#: Bytes of a pixel of a grey PNG; more than 16 bones do not fit.
PNG_BYTES = 2
#: More different values up to 14 than this can only be a label map: as bits they would be implausible overlaps.
_LEAST_LABELS = 9


def read(path: Path, size: tuple[int, int] | None = None, anatomy: Anatomy = WRIST) -> list[Named]:
    """Read the masks of an npz archive or a 16-bit PNG by the bones' names.

    Raises:
        DataError: The file is damaged, is not a bit map of the bones, or is a PNG that may as well be a label map.
    """
    names, bits = anatomy.bone_names, read_bits(path, anatomy)
    values = np.unique(bits).tolist()
    if path.suffix.lower() == ".png" and values[-1] <= len(names) and any(value.bit_count() > 1 for value in values):
        raise DataError(
            f"{path}: may be a label map of a few bones, or a map whose bits are the bones; say --format labels, or"
            " write the bits as npz"
        )
    return list(zip(names, unpack_masks(bits, len(names)), strict=True))


def read_bits(path: str | Path, anatomy: Anatomy = WRIST) -> np.ndarray:
    """Read an npz archive with `bits`, or a 16-bit grey PNG, as a (H, W) bit map, uint16 up to 16 bones.

    Raises:
        DataError: The file is damaged, or is not a bit map of the bones.
    """
    path, bones = Path(path), len(anatomy.bones)
    bits = read_npz(path, ("bits",)).get("bits") if path.suffix.lower() == ".npz" else read_png(path)
    if bits is None:
        raise DataError(f"{path}: holds no array `bits`; `jointwrist predict` writes it")
    if bits.ndim != 2 or bits.dtype.kind not in "iu" or bits.min(initial=0) < 0 or int(bits.max(initial=0)) >> bones:
        raise DataError(
            f"{path}: not a (height, width) map whose bits 0 to {bones - 1} are the bones; write one, or state another"
            " --format"
        )
    if len(np.unique(bits)) > _LEAST_LABELS and bits.max() <= bones:
        raise DataError(
            f"{path}: a label map, 0 to {bones}, not a map whose bits are the bones; say so with --format labels"
        )
    return bits.astype(bits_dtype(bones))


def write_png(path: Path, bits: np.ndarray) -> None:
    """Write a (H, W) bit map of at most 16 bones as a 16-bit grey PNG, whole or not at all."""
    with atomic(path) as temporary:
        # level 1 takes a third of the time of the usual one
        Image.fromarray(bits.astype(np.uint16)).save(temporary, format="PNG", compress_level=1)


def write_npz(path: Path, bits: np.ndarray, anatomy: Anatomy = WRIST) -> None:
    """Write a (H, W) bit map as `bits`, and the bones in order as `names`, whole or not at all."""
    write_arrays(path, bits=bits, names=np.array(anatomy.bone_names))


def read_stack(path: Path, size: tuple[int, int] | None = None, anatomy: Anatomy = WRIST) -> list[Named]:
    """Read a (C, H, W) npy array of 0 and 1 (or 255) by the bones' names."""
    names = anatomy.bone_names
    return list(zip(names, unpack_masks(read_masks(path, None, anatomy), len(names)), strict=True))
