"""Network on joint crops that draws the bone as it is and as it was before erosion, and the eroded pixels."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.models.blocks import conv_block

#: Planes that the network draws: the bone as it is, the bone before erosion, the eroded pixels.
PLANES = 3
#: Logits of the planes' biases at the start; few pixels are eroded.
_START = (0.0, 0.0, -4.0)


class CropShapes(NamedTuple):
    """What the network finds on N crops of P x P pixels.

    Attributes:
        described: (N, `out_channels`) descriptor.
        planes: (N, 3, P, P) changes of the bone's logits as it is and before erosion, and logits of eroded pixels.
    """

    described: Tensor
    planes: Tensor


class ShapeNetwork(nn.Module):
    """U-shaped network (arXiv 1505.04597) on joint crops; its last step draws 2 x 2 pixels per feature.

    Args:
        in_channels: Channels of the crop.
        feature_channels: Channels of the decoder features, concatenated at half the crop's side.
        width: Channels at half the crop's side; twice and four times as many at a quarter and an eighth.
    """

    def __init__(self, in_channels: int, feature_channels: int, width: int):
        super().__init__()
        # the first convolution sees 2 x 2 pixels as channels: no feature map of the crop's full size is needed
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), conv_block(4 * in_channels, width))
        self.level1 = nn.Sequential(conv_block(width + feature_channels, width), conv_block(width, width))
        self.level2 = nn.Sequential(conv_block(width, 2 * width, stride=2), conv_block(2 * width, 2 * width))
        self.level3 = nn.Sequential(conv_block(2 * width, 4 * width, stride=2), conv_block(4 * width, 4 * width))
        self.narrow2, self.up2 = nn.Conv2d(4 * width, 2 * width, 1), conv_block(2 * width, 2 * width)
        self.narrow1, self.up1 = nn.Conv2d(2 * width, width, 1), conv_block(width, width)
        self.draw = nn.Conv2d(width, 4 * PLANES, 1)
        with torch.no_grad():
            self.draw.weight.mul_(0.1)
            self.draw.bias.copy_(torch.tensor(_START).repeat_interleave(4))
        self.out_channels = 4 * width + width

    def forward(self, crop: Tensor, features: Tensor) -> CropShapes:
        """Draw the planes and describe the crop.

        Args:
            crop: (N, in_channels, P, P), P a multiple of 8.
            features: (N, feature_channels, P/2, P/2).
        """
        first = self.level1(torch.cat([self.stem(crop), features], 1))
        second = self.level2(first)
        third = self.level3(second)
        up = self.up2(second + F.interpolate(self.narrow2(third), second.shape[-2:], mode="bilinear"))
        up = self.up1(first + F.interpolate(self.narrow1(up), first.shape[-2:], mode="bilinear"))
        fine = self.draw(up)
        eroded = fine[:, -4:].mean(1).flatten(1)
        attended = (up.flatten(2) * eroded.softmax(-1)[:, None]).sum(-1)
        return CropShapes(torch.cat([third.mean((-2, -1)), attended], 1), F.pixel_shuffle(fine, 2))
