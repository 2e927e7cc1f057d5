"""Preprocess radiographs for a network, identically in training, evaluation and prediction."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def normalise(image: Tensor) -> Tensor:
    """Stretch each image of (..., H, W) to [0, 1] by its own minimum and maximum; a flat image becomes 0."""
    low = image.amin(dim=(-2, -1), keepdim=True)
    span = image.amax(dim=(-2, -1), keepdim=True) - low
    return (image - low) / span.clamp_min(torch.finfo(image.dtype).tiny) * (span > 0)


def resize_image(image: Tensor, size: int) -> Tensor:
    """Resize (B, C, H, W) images to size x size, bilinear, with antialiasing when they shrink."""
    if image.shape[-2:] == (size, size):
        return image
    return F.interpolate(image, (size, size), mode="bilinear", align_corners=False, antialias=True)


def prepare_image(image: Tensor, size: int) -> Tensor:
    """Normalise (B, 1, H, W) images and resize them to size x size."""
    return resize_image(normalise(image), size)


def unpack_bits(bits: Tensor, channels: int) -> Tensor:
    """Unpack (B, H, W) integer bit maps into (B, channels, H, W) float32 masks."""
    if bits.device.type == "cpu":
        from jointwrist.data.bit_planes import bit_planes

        return torch.from_numpy(bit_planes(bits.numpy(), channels))
    masks = torch.empty(len(bits), channels, *bits.shape[1:], device=bits.device)
    for channel in range(channels):  # intermediates of all channels at once would cost several times the memory
        masks[:, channel] = (bits >> channel) & 1
    return masks
