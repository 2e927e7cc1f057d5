"""Full-resolution decoder with heads for masks and signed distances."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from jointwrist.anatomy import WRIST
from jointwrist.models.blocks import conv_block
from jointwrist.models.feature_balance import FeatureBalance, split_features
from jointwrist.ops.upsample import upsample


class UpStep(nn.Module):
    """Upsampling to the size of the skip connection, concatenation and convolutions."""

    def __init__(self, in_channels: int, skip_channels: int, out_channels: int, depth: int):
        super().__init__()
        self.reduce = nn.Conv2d(in_channels, out_channels, 1)
        first = conv_block(out_channels + skip_channels, out_channels)
        self.convs = nn.Sequential(first, *(conv_block(out_channels, out_channels) for _ in range(depth - 1)))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Decode (B, in, h, w) and the skip (B, skip, H, W) to (B, out, H, W)."""
        x = upsample(self.reduce(x), skip.shape[-2:])
        return self.convs(torch.cat([x, skip], dim=1))


class DecoderOutput(NamedTuple):
    """Output of the decoder, B images of H x W pixels.

    Attributes:
        mask_logits: (B, C, H, W).
        distance_logits: (B, C, H, W) logits of the clipped distance, tanh(d / 4 px).
        features: (B, widths[-2], H/2, W/2) at stride 2, for the erosion head.
        coarse_logits: Mask logits at strides 8, 4 and 2, in training with deep supervision; otherwise empty.
    """

    mask_logits: Tensor
    distance_logits: Tensor
    features: Tensor
    coarse_logits: tuple[Tensor, ...] = ()


class Decoder(nn.Module):
    """Decoder of five steps from stride 32 to full resolution, with mask logits and signed distances of every bone.

    Args:
        encoder_channels: Channels of the features at strides 1, 2, 4, 8, 16, 32.
        widths: Channels after the steps to strides 16, 8, 4, 2, 1.
        bones: Number of bones, C.
        deep_supervision: Add mask heads at strides 8, 4 and 2, for training.
    """

    def __init__(
        self,
        encoder_channels: tuple[int, ...],
        widths: tuple[int, ...],
        bones: int = len(WRIST.bones),
        deep_supervision: bool = False,
    ):
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
        coarse = widths[1:4] if deep_supervision else ()
        self.coarse_heads = nn.ModuleList(nn.Conv2d(width, bones, 1) for width in coarse)
        for head in self.coarse_heads:
            nn.init.constant_(head.bias, -3.0)

    def forward(self, features: list[Tensor], balance: FeatureBalance | None = None) -> DecoderOutput:
        """Decode features.

        Args:
            features: (B, C_i, H/s_i, W/s_i) at strides 1, 2, 4, 8, 16, 32.
            balance: How the gradient that `DecoderOutput.features` receive is combined with that of the masks; None
                adds it unchanged.
        """
        x, decoded = features[-1], []
        for step, skip in zip(self.steps[:-1], features[-2:0:-1], strict=True):
            x = step(x, skip)
            decoded.append(x)
        half, shared = (x, x) if balance is None else split_features(x, balance)
        x = self.steps[-1](half, features[0])
        coarse = ()
        if self.training and self.coarse_heads:
            coarse = tuple(head(level) for head, level in zip(self.coarse_heads, decoded[1:], strict=True))
        return DecoderOutput(*self._heads(x), shared, coarse)

    def _heads(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mask and distance logits of the full-resolution features."""
        heads = (self.mask_head, self.distance_head)
        if not self.training:
            masks, distances = (head(x) for head in heads)
            return masks, distances
        # one matrix product reads the network's largest map once, and is faster than two convolutions of 1 x 1
        weight = torch.cat([head.weight.flatten(1) for head in heads]).expand(len(x), -1, -1)
        bias = torch.cat([head.bias for head in heads])[:, None]
        masks, distances = torch.baddbmm(bias, weight, x.flatten(2)).unflatten(2, x.shape[-2:]).chunk(2, 1)
        return masks, distances
