"""Between a radiograph and the square that the network sees: a right hand, padded, never squeezed."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from jointwrist.data.collimation import exposed_window
from jointwrist.data.preprocess import prepare_image
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.postprocess import (
    NECK,
    clean_mask,
    close_slits,
    cut_necks,
    smallest_piece,
    smooth_outlines,
)
from jointwrist.inference.upright import upright


def to_square(radiograph: Radiograph, size: int) -> Tensor:
    """Bring a radiograph to (1, size, size) in right-hand orientation with the fingers upwards, as in training."""
    wrist = upright(radiograph).pixels
    pixels = torch.from_numpy(wrist[:, ::-1].copy() if radiograph.side == "L" else wrist)
    height, width = pixels.shape
    square, top, left = _place(height, width)
    padding = (left, square - width - left, top, square - height - top)
    return prepare_image(F.pad(pixels[None, None], padding, value=float(pixels.min())), size)[0]


def masks_on_radiograph(radiograph: Radiograph, logits: Tensor, threshold: float, tidy: bool) -> np.ndarray:
    """Bring the logits of a square to an upright radiograph, and threshold them there.

    Args:
        radiograph: Upright radiograph of H x W pixels.
        logits: (14, S, S).
        threshold: Logit above which a pixel belongs to a bone.
        tidy: Close slits, smooth outlines, cut necks, fill holes, drop stray islands and what lies under bars.

    Returns:
        (14, H, W) bool.
    """
    height, width = radiograph.pixels.shape
    square, top, left = _place(height, width)
    masks = np.zeros((len(logits), height, width), bool)
    if tidy:
        logits = smooth_outlines(close_slits(logits), threshold)
    shown = exposed_window(radiograph.pixels[:, ::-1] if radiograph.side == "L" else radiograph.pixels)
    for bone, plane in enumerate(logits):  # one at a time: a whole hand has 14 x 10 million pixels
        full = F.interpolate(plane[None, None], (square, square), mode="bilinear", align_corners=False)[0, 0]
        mask = (full[top : top + height, left : left + width] > threshold).cpu().numpy()
        if tidy:
            parted = cut_necks(mask[shown], bone, NECK * square)
            masks[bone][shown] = clean_mask(parted, smallest_piece(bone))
        else:
            masks[bone] = mask
    return masks[..., ::-1] if radiograph.side == "L" else masks


def boxes_on_radiograph(radiograph: Radiograph, boxes: np.ndarray, size: int) -> np.ndarray:
    """Bring (6, 4) boxes (x0, y0, x1, y1) in a square of `size` pixels to an upright radiograph."""
    height, width = radiograph.pixels.shape
    square, top, left = _place(height, width)
    boxes = boxes * (square / size) - np.array([left, top, left, top], np.float32)
    if radiograph.side == "L":
        boxes = np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)
    return boxes


def _place(height: int, width: int) -> tuple[int, int, int]:
    """Side of the square that holds a radiograph, and the radiograph's place in it from the top and from the left."""
    square = max(height, width)
    return square, (square - height) // 2, (square - width) // 2
