"""The eroded pixels of joint crops, where they are known."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from jointwrist.data.dataset.case import Case, radiograph_boxes
from jointwrist.data.faults import Fault, refuse
from jointwrist.data.mask_resize import resize_bits
from jointwrist.data.numpy_files import read_npz


def load_crop_erosion(case: Case, joint: int, size: tuple[int, int], mirrored: bool = False) -> np.ndarray | None:
    """Read which pixels of a joint's released crop are eroded.

    Args:
        case: A case of a dataset.
        joint: Joint index.
        size: Height and width of the crop, which was cut by the rounded box of the joint.
        mirrored: Flip left to right.

    Returns:
        (H, W) uint8, 0 or 1; None where they are unknown, or some of them are in doubt.

    Raises:
        DataError: The file is damaged, or the crop has another size than its box.
    """
    truth = {} if case.truth is None else read_npz(case.truth, ("eroded", "unsure"))
    eroded = truth.get("eroded")
    boxes = None if eroded is None else radiograph_boxes(case, eroded.shape)
    if boxes is None or np.isnan(boxes[joint]).any():
        return None
    height, width = eroded.shape
    x0, y0, x1, y1 = np.clip(np.round(boxes[joint]), 0, (width, height, width, height)).astype(int)
    if "unsure" in truth and truth["unsure"][y0:y1, x0:x1].any():
        return None
    crop = (eroded[y0:y1, x0:x1] >> eroded.dtype.type(joint)) & 1
    if crop.shape != size:
        message = f"is {size} pixels (height, width), its box {crop.shape}; cut the crops by the boxes again"
        refuse(Fault("size mismatch", case.crops[joint], message))
    return np.ascontiguousarray(crop[:, ::-1]) if mirrored else crop


def crop_map(eroded: np.ndarray | None, size: int) -> dict[str, Tensor]:
    """Return the part of a crop's item that describes its eroded pixels.

    Args:
        eroded: (H, W), 0 or 1, or None if unknown.
        size: Side of the network's crop.

    Returns:
        eroded (S, S) uint8, 0 or 1; has_eroded bool.
    """
    if eroded is None:
        nothing = torch.zeros(1, 1, dtype=torch.uint8).expand(size, size)  # takes no memory
        return {"eroded": nothing, "has_eroded": torch.tensor(False)}
    bits = torch.from_numpy(eroded.astype(np.uint8))[None]
    return {"eroded": resize_bits(bits, size)[0], "has_eroded": torch.tensor(True)}
