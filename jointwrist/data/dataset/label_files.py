"""Label files of a radiograph: its bone masks, and the pixels of its erosions."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.faults import Fault, refuse
from jointwrist.data.numpy_files import read_npy, read_npz
from jointwrist.data.sample import Scope, pack_masks


def read_masks(path: Path, size: tuple[int, int] | None, anatomy: Anatomy = WRIST) -> np.ndarray:
    """Read (C, H, W) bone masks of any dtype, with set pixels 1 or 255.

    Args:
        path: npy file.
        size: Height and width of the image, or None for any.
        anatomy: Its bones, in order.

    Returns:
        (H, W) bit map, bit b for bone b, uint16 up to 16 bones.

    Raises:
        DataError: The file is damaged, is not a mask of every bone of the image's size, or holds other values.
    """
    masks = read_npy(path)
    bones = anatomy.bone_names
    if masks.ndim != 3 or masks.shape[0] != len(bones):
        message = f"masks are {masks.shape}, not ({len(bones)}, H, W); write all bones, along the first axis"
        refuse(Fault("wrong channel count", path, message))
    if size is not None and masks.shape[1:] != size:
        message = f"masks are {masks.shape[1:]} pixels (height, width), their image {size}; write them at its size"
        refuse(Fault("size mismatch", path, message))
    if masks.dtype.kind not in "buif":
        refuse(Fault("non-binary mask", path, f"values of type {masks.dtype}; store 0 and 1"))
    for bone, mask in zip(bones, masks, strict=True):
        top = mask.max()
        # unsigned values up to 1 are 0 and 1
        binary = (top <= 1 and mask.dtype.kind in "bu") or ((mask == 0) | (mask == top)).all()
        if top not in (0, 1, 255) or not binary:
            refuse(Fault("non-binary mask", path, f"{bone} has values other than 0 and 1; threshold the masks"))
    return pack_masks(masks)


def read_families(path: Path) -> tuple[str, ...] | None:
    """Read the family of erosions or look-alikes at each joint surface of a phantom; None where it is unknown.

    Raises:
        DataError: The file is damaged, or does not hold a name per joint surface.
    """
    families = read_npz(path, ("families",)).get("families")
    if families is None:
        return None
    if families.shape != (len(WRIST.joints),) or families.dtype.kind != "U":
        message = (
            f"families are {families.dtype} {families.shape}, not {len(WRIST.joints)} names; make the phantom again"
        )
        refuse(Fault("unreadable array", path, message))
    return tuple(families.tolist())


def read_scope(path: Path) -> Scope | None:
    """Read the out-of-scope findings of a phantom; None where they are unknown.

    Raises:
        DataError: The file is damaged, or does not hold a value per bone and names of findings.
    """
    found = read_npz(path, ("not_separable", "findings"))
    if len(found) < 2:
        return None
    bones, findings = found["not_separable"], found["findings"]
    if bones.shape != (len(WRIST.bones),) or bones.dtype != bool or findings.ndim != 1 or findings.dtype.kind != "U":
        message = f"not_separable is {bones.dtype} {bones.shape}, findings {findings.dtype}; make the phantom again"
        refuse(Fault("unreadable array", path, message))
    return Scope(tuple(bones.tolist()), tuple(findings.tolist()))


def read_truth(path: Path, size: tuple[int, int] | None) -> dict[str, np.ndarray]:
    """Read the eroded pixels of a radiograph and, for a phantom, its bones before erosion.

    Args:
        path: npz file.
        size: Height and width of the image, or None for any.

    Returns:
        `eroded` (H, W) bit map, bit j for joint surface j; `healthy` (H, W) bit map, bit b for bone b; and `unsure`
        (H, W) bool, pixels of which it is not known whether they are eroded; those that are there.

    Raises:
        DataError: The file is damaged, or an array has another size than the image.
    """
    truth = read_npz(path, ("eroded", "healthy", "unsure"))
    for name, array in truth.items():
        if size is not None and array.shape != size:
            refuse(
                Fault(
                    "size mismatch",
                    path,
                    f"{name} is {array.shape}, its image {size}; make the phantom or import the annotations again",
                )
            )
    return truth
