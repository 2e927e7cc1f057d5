"""Erosion heat map head for crop classifiers, the counterpart of the joint network's heat map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.models.blocks import conv_block


class CropOutput(NamedTuple):
    """Output of a classifier with a heat map head.

    Attributes:
        logits: (N, 2), healthy and eroded.
        heat_maps: (N, 1, h, w) logits of erosion at each pixel of the crop.
    """

    logits: Tensor
    heat_maps: Tensor


class HeatMapHead(nn.Module):
    """Heat map decoder on a classifier's features, and a score that uses the heat map.

    The decoder is a feature pyramid (Lin et al., arXiv 1612.03144). As in the joint network, the score depends on the
    mean of the coarsest features, the finest features weighted by the heat map, and the mean of its highest pixels.

    Args:
        channels: Channels of the feature maps, from fine to coarse.
        width: Channels of the decoder.
        top: Number of highest heat map pixels whose mean enters the score.
    """

    def __init__(self, channels: Sequence[int], width: int = 32, top: int = 25):
        super().__init__()
        self.top = top
        self.narrow = nn.ModuleList(nn.Conv2d(count, width, 1) for count in channels)
        self.smooth = nn.ModuleList(conv_block(width, width) for _ in channels[:-1])
        self.draw = nn.Conv2d(width, 1, 1)
        nn.init.constant_(self.draw.bias, -3.0)
        self.score = nn.Linear(channels[-1] + width, 2)
        self.gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, features: Sequence[Tensor]) -> CropOutput:
        """Compute scores and heat maps from (N, C_i, h_i, w_i) features; heat maps have the size of the finest."""
        up = self.narrow[-1](features[-1])
        for feature, narrow, smooth in zip(features[-2::-1], self.narrow[-2::-1], self.smooth[::-1], strict=True):
            up = smooth(narrow(feature) + F.interpolate(up, feature.shape[-2:], mode="bilinear"))
        heat_maps = self.draw(up)
        attended = (up.flatten(2) * heat_maps.flatten(2).softmax(-1)).sum(-1)
        highest = heat_maps.flatten(1).topk(min(self.top, heat_maps[0].numel()), 1).values
        logits = self.score(torch.cat([features[-1].mean((-2, -1)), attended], 1))
        return CropOutput(logits + F.pad(self.gain * highest.mean(1, keepdim=True), (1, 0)), heat_maps)
