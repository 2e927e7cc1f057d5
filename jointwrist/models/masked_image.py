"""Masked-image pretraining of an encoder (SimMIM, arXiv 2111.09886)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class MaskedImageModel(nn.Module):
    """Encoder with a linear head that predicts the pixels of hidden patches.

    Args:
        encoder: Encoder with the attributes `channels` and `strides`; the head reads its last features.
    """

    def __init__(self, encoder: nn.Module):
        super().__init__()
        self.encoder = encoder
        self.stride = encoder.strides[-1]
        #: Grey value of hidden pixels.
        self.token = nn.Parameter(torch.full((1,), 0.5))
        self.head = nn.Conv2d(encoder.channels[-1], self.stride**2, 1)

    def forward(self, image: Tensor, hidden: Tensor) -> Tensor:
        """Predict a radiograph from its visible patches.

        Args:
            image: (B, 1, H, W).
            hidden: (B, 1, H, W) bool, True where pixels are hidden from the encoder.

        Returns:
            (B, 1, H, W) pixels.
        """
        features = self.encoder(torch.where(hidden, self.token.to(image.dtype), image))[-1]
        pixels = F.pixel_shuffle(self.head(features), self.stride)
        return pixels[..., : image.shape[-2], : image.shape[-1]]
