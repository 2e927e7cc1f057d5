"""Networks on joint crops: a descriptor, an erosion heat map, and the bone with and without its erosion."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.models.blocks import Norm, conv_block, group_norm

#: Planes that `ShapeNetwork` predicts: the bone with its erosion, the bone before erosion, the eroded pixels.
PLANES = 3
#: Normalisation of the crop network, by version of the erosion head. A small erosion hardly changes the mean over a
#: crop, and normalising each crop by itself removes much of that change: without eroded pixels as labels, version 1
#: hardly learns erosions from scores. Version 2 normalises over the batch.
NORMS: dict[int, Norm] = {1: group_norm, 2: nn.BatchNorm2d}
#: Versions of the erosion head; weight files that do not say theirs have the first.
VERSIONS = tuple(NORMS)


class CropFindings(NamedTuple):
    """Output of `CropNetwork` for N crops of P x P pixels.

    Attributes:
        described: (N, `out_channels`) descriptor.
        heat_maps: (N, 1, P/2, P/2) logits of erosion.
        features: (N, width, P/2, P/2) features that the heat maps are computed from.
    """

    described: Tensor
    heat_maps: Tensor
    features: Tensor


class CropShapes(NamedTuple):
    """Output of `ShapeNetwork` for N crops of P x P pixels.

    Attributes:
        described: (N, `out_channels`) descriptor.
        planes: (N, 3, P, P) changes of the bone's logits with and before erosion, and logits of eroded pixels.
    """

    described: Tensor
    planes: Tensor


class CropNetwork(nn.Module):
    """Small U-shaped network (arXiv 1505.04597) on one joint crop, with a descriptor and a heat map of erosion.

    Args:
        in_channels: Channels of the crop.
        feature_channels: Channels of the decoder features, concatenated at half the crop's side.
        width: Channels of the first stage; each further stage has twice as many.
        version: Entry of `NORMS`.
    """

    def __init__(self, in_channels: int, feature_channels: int, width: int, version: int = VERSIONS[-1]):
        super().__init__()
        block = partial(conv_block, norm=NORMS[version])
        # on a CPU, convolutions and their gradients are faster so, but PyTorch's group normalisation is far slower
        self.channels_last = NORMS[version] is not group_norm
        self.stem = nn.Sequential(block(in_channels, width), block(width, width, stride=2))
        self.level1 = nn.Sequential(block(width + feature_channels, width), block(width, width))
        self.level2 = nn.Sequential(block(width, 2 * width, stride=2), block(2 * width, 2 * width))
        self.level3 = nn.Sequential(block(2 * width, 4 * width, stride=2), block(4 * width, 4 * width))
        self.narrow2, self.up2 = nn.Conv2d(4 * width, 2 * width, 1), block(2 * width, 2 * width)
        self.narrow1, self.up1 = nn.Conv2d(2 * width, width, 1), block(width, width)
        self.map_head = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.map_head.bias, -3.0)
        self.out_channels = 4 * width + width

    def forward(self, crop: Tensor, features: Tensor) -> CropFindings:
        """Compute descriptors and erosion heat maps of crops.

        Args:
            crop: (N, in_channels, P, P), P a multiple of 8.
            features: (N, feature_channels, P/2, P/2).
        """
        if crop.device.type == "cpu" and self.channels_last:
            crop, features = (values.contiguous(memory_format=torch.channels_last) for values in (crop, features))
        first = self.level1(torch.cat([self.stem(crop), features], 1))
        second = self.level2(first)
        third = self.level3(second)
        up = self.up2(second + F.interpolate(self.narrow2(third), second.shape[-2:], mode="bilinear"))
        up = self.up1(first + F.interpolate(self.narrow1(up), first.shape[-2:], mode="bilinear"))
        logits = self.map_head(up)
        attention = logits.flatten(2).softmax(-1)
        attended = (up.flatten(2) * attention).sum(-1)
        return CropFindings(torch.cat([third.mean((-2, -1)), attended], 1), logits, up)


class ShapeNetwork(CropNetwork):
    """Crop network that also segments the bone; its last step predicts 2 x 2 pixels per feature.

    It holds a `CropNetwork` of the same width, and can start from its weights.
    """

    def __init__(self, in_channels: int, feature_channels: int, width: int, version: int = VERSIONS[-1]):
        super().__init__(in_channels, feature_channels, width, version)
        self.draw = nn.Conv2d(width, 4 * PLANES, 1)
        with torch.no_grad():
            self.draw.weight.mul_(0.1)
            self.draw.bias.zero_()

    def forward(self, crop: Tensor, features: Tensor) -> CropShapes:
        """Segment and describe crops; arguments as for `CropNetwork`."""
        found = super().forward(crop, features)
        bones, eroded = F.pixel_shuffle(self.draw(found.features), 2).split((PLANES - 1, 1), 1)
        coarse = F.interpolate(found.heat_maps, eroded.shape[-2:], mode="bilinear")
        return CropShapes(found.described, torch.cat([bones, eroded + coarse], 1))
