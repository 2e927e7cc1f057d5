"""A map of the eroded area on the features of a crop classifier, as the joint network's erosion head draws one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.models.blocks import conv_block


class CropOutput(NamedTuple):
    """Output of a classifier with a map head.

    Attributes:
        logits: (N, 2), healthy and eroded.
        maps: (N, 1, h, w) logits of the eroded area in the crop.
    """

    logits: Tensor
    maps: Tensor


class MapHead(nn.Module):
    """Decoder from a classifier's features to a map of the eroded area, and the score that reads the map.

    The decoder is a feature pyramid (Lin et al., arXiv 1612.03144). The score takes what the joint network's takes:
    the mean of the coarsest features, the finest ones where the map is high, and the mean of the map's highest pixels.

    Args:
        channels: Channels of the features, from fine to coarse.
        width: Channels of the decoder.
        top: Highest pixels of the map whose mean joins the score.
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
        """Score and draw, from (N, C_i, h_i, w_i) features; the map has the size of the finest."""
        up = self.narrow[-1](features[-1])
        for feature, narrow, smooth in zip(features[-2::-1], self.narrow[-2::-1], self.smooth[::-1], strict=True):
            up = smooth(narrow(feature) + F.interpolate(up, feature.shape[-2:], mode="bilinear"))
        maps = self.draw(up)
        attended = (up.flatten(2) * maps.flatten(2).softmax(-1)).sum(-1)
        peak = maps.flatten(1).topk(min(self.top, maps[0].numel()), 1).values.mean(1, keepdim=True)
        logits = self.score(torch.cat([features[-1].mean((-2, -1)), attended], 1))
        return CropOutput(logits + F.pad(self.gain * peak, (1, 0)), maps)
