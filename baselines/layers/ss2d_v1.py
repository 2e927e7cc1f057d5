"""SS2D of VMamba's first version: a gated selective scan along four directions of a feature map.

Liu Y. et al., VMamba, arXiv 2401.10166v1. Used by Swin-UMamba and MedMamba, with their parameter names.
"""

from __future__ import annotations

import math

import torch
from timm.models.swin_transformer import PatchMerging as SwinPatchMerging
from torch import Tensor, nn
from torch.nn import functional as F

from jointwrist.models.mamba import cross_merge, cross_scan, init_rates, init_step
from jointwrist.ops.scan import selective_scan

DIRECTIONS = 4


def _uniform(*shape: int) -> Tensor:
    bound = shape[-1] ** -0.5
    return torch.empty(shape).uniform_(-bound, bound)


class SS2D(nn.Module):
    """Four-way selective scan of a channels-last feature map, with twice as many channels inside.

    Args:
        dim: Channels of input and output.
        state_dim: States of each channel in the scan (N).
    """

    def __init__(self, dim: int, state_dim: int = 16):
        super().__init__()
        inner, rank = 2 * dim, math.ceil(dim / 16)
        self.split = (rank, state_dim, state_dim)
        self.in_proj = nn.Linear(dim, 2 * inner, bias=False)
        self.conv2d = nn.Conv2d(inner, inner, 3, padding=1, groups=inner)
        self.x_proj_weight = nn.Parameter(_uniform(DIRECTIONS, sum(self.split), inner))
        self.dt_projs_weight = nn.Parameter(_uniform(DIRECTIONS, inner, rank))
        self.dt_projs_bias = nn.Parameter(init_step(DIRECTIONS * inner).view(DIRECTIONS, inner))
        self.A_logs = nn.Parameter(init_rates(DIRECTIONS * inner, state_dim))
        self.Ds = nn.Parameter(torch.ones(DIRECTIONS * inner))
        self.out_norm = nn.LayerNorm(inner)
        self.out_proj = nn.Linear(inner, dim, bias=False)

    def scan(self, u: Tensor) -> Tensor:
        """Scan (B, inner, H, W) along rows and columns, both ways, and return the sum in float32."""
        ways = cross_scan(u)
        low, b, c = torch.einsum("bkdl,kcd->bkcl", ways, self.x_proj_weight).split(self.split, dim=2)
        delta = torch.einsum("bkrl,kdr->bkdl", low, self.dt_projs_weight)
        y = selective_scan(
            ways.flatten(1, 2).float(),
            delta.flatten(1, 2).float(),
            -self.A_logs.float().exp(),
            b.float(),
            c.float(),
            self.Ds.float(),
            delta_bias=self.dt_projs_bias.flatten().float(),
            delta_softplus=True,
        )
        return cross_merge(y.unflatten(1, (DIRECTIONS, -1)), *u.shape[2:])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to the same shape."""
        u, gate = self.in_proj(x).chunk(2, dim=-1)
        u = F.silu(self.conv2d(u.permute(0, 3, 1, 2)))
        y = self.scan(u).permute(0, 2, 3, 1).to(x.dtype)
        return self.out_proj(self.out_norm(y) * F.silu(gate))


class PatchMerging(SwinPatchMerging):
    """Swin's patch merging, except that an odd last row or column is dropped, not padded."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, C) to (B, H//2, W//2, 2C)."""
        return super().forward(x[:, : x.shape[1] // 2 * 2, : x.shape[2] // 2 * 2])


class PatchEmbed(nn.Module):
    """Patch embedding to channels-last features: a strided convolution and a layer norm."""

    def __init__(self, in_chans: int, dim: int, patch: int):
        super().__init__()
        self.proj = nn.Conv2d(in_chans, dim, patch, patch)
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in_chans, H, W) to (B, H//patch, W//patch, dim)."""
        return self.norm(self.proj(x).permute(0, 2, 3, 1))
