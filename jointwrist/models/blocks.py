"""Building blocks of stem, decoder and erosion heads."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

#: Builds the normalisation of a number of channels.
Norm = Callable[[int], nn.Module]


def group_norm(channels: int) -> nn.Module:
    """Normalise groups of channels of each image by themselves; the other images of the batch have no effect."""
    return nn.GroupNorm(max(groups for groups in (8, 4, 2, 1) if channels % groups == 0), channels)


def conv_block(in_channels: int, out_channels: int, stride: int = 1, norm: Norm = group_norm) -> nn.Sequential:
    """Build a 3 x 3 convolution, normalisation and SiLU.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the convolution.
        norm: Builds the normalisation of the output.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False),
        norm(out_channels),
        nn.SiLU(),
    )


class ChannelGain(nn.Module):
    """Factor of each channel, 0 at first, so that a branch takes part as training finds it useful.

    Bachlechner et al., ReZero, arXiv 2003.04887.

    Args:
        channels: Channels C.
    """

    def __init__(self, channels: int):
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Multiply (N, C, ...) values."""
        return values * self.gain.view(-1, *[1] * (values.ndim - 2))
