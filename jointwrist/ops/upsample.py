"""Bilinear upsampling to the size of another map, with a faster gradient on a CPU."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Upsample bilinearly, as `torch.nn.functional.interpolate` does with `align_corners=False`.

    On a CPU, the gradient of doubling both sides is computed by a strided convolution, which takes less than half the
    time of PyTorch's own.

    Args:
        x: (B, C, h, w).
        size: Height and width of the result, H and W.

    Returns:
        (B, C, H, W).
    """
    doubled = tuple(size) == (2 * x.shape[-2], 2 * x.shape[-1])
    if doubled and x.device.type == "cpu" and torch.is_grad_enabled() and x.requires_grad:
        return _Doubling.apply(x)
    return F.interpolate(x, size, mode="bilinear", align_corners=False)


class _Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # a pixel contributes to four pixels in each direction; at the border, to its nearest one in full, which is as
        # if the gradient continued there
        channels = gradient.shape[1]
        weights = torch.tensor([0.25, 0.75, 0.75, 0.25], dtype=gradient.dtype)
        kernel = torch.outer(weights, weights).expand(channels, 1, 4, 4)
        padded = F.pad(gradient, (1, 1, 1, 1), mode="replicate")
        return F.conv2d(padded, kernel, stride=2, groups=channels)
