"""Convolution block of stem, decoder and erosion head."""

from __future__ import annotations

from torch import nn


def conv_block(in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """Build convolution, group norm and SiLU; group norm, because the images of a batch are labelled differently."""
    groups = max(g for g in (8, 4, 2, 1) if out_channels % g == 0)
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, bias=False),
        nn.GroupNorm(groups, out_channels),
        nn.SiLU(),
    )
