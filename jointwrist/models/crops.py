"""Cut the crops of the joints out of images and feature maps, at the boxes of `ops.roi`, for the erosion heads."""

from __future__ import annotations

from torch import Tensor

from jointwrist.ops.roi import roi_align


def cut(source: Tensor, boxes: Tensor, scale: float, side: int) -> Tensor:
    """Crop (B, J, 4) boxes from (B, C, h, w) maps by `roi_align` in float32, and return the dtype of the maps.

    torchvision needs one dtype for maps and boxes, and half precision would move boxes by pixels.
    """
    return roi_align(source.float(), boxes.float(), side, scale).to(source.dtype)


def standardise(crop: Tensor) -> Tensor:
    """Standardise each (N, 1, P, P) crop to mean 0 and standard deviation 1; a constant crop becomes 0."""
    mean, deviation = crop.mean((-2, -1), keepdim=True), crop.std((-2, -1), keepdim=True)
    return (crop - mean) / (deviation + 1e-3)
