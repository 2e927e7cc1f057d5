"""Full-resolution decoder with heads for masks and signed distances."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import WRIST
from jointwrist.models.blocks import conv_block


class UpStep(nn.Module):
    """Upsampling to the size of the skip connection, concatenation and convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, depth: int):
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, out_channels, 1)
        first = conv_block(out_channels + skip_channels, out_channels)
        self.convs = nn.Sequential(first, *(conv_block(out_channels, out_channels) for _ in range(depth - 1)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Decode (B, in, h, w) and the skip (B, skip, H, W) to (B, out, H, W)."""
        x = F.interpolate(self.reduce(x), skip.shape[-2:], mode="bilinear", align_corners=False)
        return self.convs(torch.cat([x, skip], dim=1))


class Decoder(nn.Module):
    """Decoder of five steps from stride 32 to full resolution, with mask logits and signed distances of every bone.

    Args:
        encoder_channels: Channels of the features at strides 1, 2, 4, 8, 16, 32.
        widths: Channels after the steps to strides 16, 8, 4, 2, 1.
        bones: Number of bones, C.
    """

    def __init__(self, encoder_channels: tuple[int, ...], widths: tuple[int, ...], bones: int = len(WRIST.bones)):
        super().__init__()
        self.widths = widths
        skips = encoder_channels[-2::-1]
        inputs = (encoder_channels[-1], *widths[:-1])
        # one convolution in each of the last two steps, whose feature maps are the largest
        depths = (2, 2, 2, 1, 1)
        self.steps = nn.ModuleList(UpStep(i, s, w, d) for i, s, w, d in zip(inputs, skips, widths, depths, strict=True))
        self.mask_head = nn.Conv2d(widths[-1], bones, 1)
        self.distance_head = nn.Conv2d(widths[-1], bones, 1)
        # a bone covers about 5 % of an image
        nn.init.constant_(self.mask_head.bias, -3.0)

    def forward(self, features: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Decode features.

        Args:
            features: (B, C_i, H/s_i, W/s_i) at strides 1, 2, 4, 8, 16, 32.

        Returns:
            Mask logits (B, C, H, W); logits of the clipped distance, tanh(d / 4 px), (B, C, H, W); features at
            stride 2 (B, widths[-2], H/2, W/2).
        """
        x = features[-1]
        half = x
        for step, skip in zip(self.steps, features[-2::-1], strict=True):
            half, x = x, step(x, skip)
        return self.mask_head(x), self.distance_head(x), half
