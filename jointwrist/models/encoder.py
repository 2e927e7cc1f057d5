"""Encoders with features at strides 1, 2, 4, 8, 16 and 32, for images of any size."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from jointwrist.models.blocks import conv_block
from jointwrist.models.mamba import VSSBlock
from jointwrist.models.swin import SwinBlock

STRIDES = (1, 2, 4, 8, 16, 32)


@dataclass(frozen=True)
class EncoderSize:
    """Widths and depths of an encoder.

    Attributes:
        stem: Channels at stride 2; half as many at stride 1.
        dims: Channels at strides 4, 8, 16, 32.
        depths: Blocks of each stage.
        attention: Number of blocks at the end of each stage that are attention blocks in the hybrid encoder.
        head_dim: Channels of an attention head.
        mlp_ratio: Hidden width of the MLP of a Mamba block, relative to the block's width.
    """

    stem: int
    dims: tuple[int, int, int, int]
    depths: tuple[int, int, int, int]
    attention: tuple[int, int, int, int]
    head_dim: int
    mlp_ratio: float = 2.0


SIZES = {
    "tiny": EncoderSize(16, (24, 48, 96, 160), (2, 2, 3, 2), (0, 0, 1, 2), 16),
    # the widths of VMamba-T and Swin-T, whose weights can be loaded
    "base": EncoderSize(64, (96, 192, 384, 768), (2, 2, 8, 2), (0, 0, 2, 2), 32, 4.0),
}
KINDS = ("hybrid", "mamba", "swin", "conv")


class ChannelLastNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """Residual depthwise 7x7 convolution and MLP (ConvNeXt, arXiv 2201.03545), on (B, H, W, C)."""

    def __init__(self, dim: int, drop_path: float = 0.0):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, H, W, C)."""
        mixed = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.drop_path(self.mlp(self.norm(mixed)))


class Encoder(nn.Module):
    """Encoder with a convolutional stem and four stages.

    Args:
        kind: "hybrid" (Mamba blocks, and attention where feature maps are small), "mamba", "swin" or "conv".
        size: Widths and depths.
        in_channels: Image channels.
        drop_path: Stochastic depth rate of the last block; it grows linearly from 0.
        scan_backend: Backend of the selective scan.
        recompute: Recompute activations in the backward pass instead of storing them.
    """

    def __init__(
        self, kind: str, size: EncoderSize, in_channels: int, drop_path: float, scan_backend: str, recompute: bool
    ):
        super().__init__()
        self.channels = (size.stem // 2, size.stem, *size.dims)
        self.strides = STRIDES
        self.recompute = recompute
        # group norm: a norm over the channels of each pixel would remove its grey value
        self.stem1 = conv_block(in_channels, size.stem // 2)
        self.stem2 = conv_block(size.stem // 2, size.stem, stride=2)
        blocks = sum(size.depths)
        rates = iter([drop_path * i / max(blocks - 1, 1) for i in range(blocks)])
        self.down, self.stages = nn.ModuleList(), nn.ModuleList()
        previous = size.stem
        for dim, depth, attention in zip(size.dims, size.depths, size.attention, strict=True):
            self.down.append(nn.Sequential(nn.Conv2d(previous, dim, 3, 2, 1), ChannelLastNorm(dim)))
            letters = _layout(kind, depth, attention)
            stage = [self._block(letter, i, dim, size, next(rates), scan_backend) for i, letter in enumerate(letters)]
            self.stages.append(nn.ModuleList(stage))
            previous = dim
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in size.dims)

    @staticmethod
    def _block(letter: str, index: int, dim: int, size: EncoderSize, drop_path: float, backend: str) -> nn.Module:
        if letter == "m":
            return VSSBlock(dim, drop_path, size.mlp_ratio, backend)
        if letter == "c":
            return ConvBlock(dim, drop_path)
        return SwinBlock(dim, max(dim // size.head_dim, 1), shifted=index % 2 == 1, drop_path=drop_path)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Encode (B, C, H, W) to features (B, C_i, ceil(H / s_i), ceil(W / s_i))."""
        height, width = image.shape[-2:]
        x = self.stem1(F.pad(image, (0, -width % 32, 0, -height % 32), mode="replicate"))
        features = [x, self.stem2(x)]
        x = features[-1]
        for down, blocks, norm in zip(self.down, self.stages, self.norms, strict=True):
            x = down(x).permute(0, 2, 3, 1)
            for block in blocks:
                x = checkpoint(block, x, use_reentrant=False) if self.recompute and self.training else block(x)
            features.append(norm(x).permute(0, 3, 1, 2))
            x = x.permute(0, 3, 1, 2)
        return [f[..., : -(-height // s), : -(-width // s)] for f, s in zip(features, STRIDES, strict=True)]


def _layout(kind: str, depth: int, attention: int) -> str:
    """Kinds of the blocks of a stage: m for Mamba, a for attention, c for convolution."""
    if kind == "hybrid":
        return "m" * (depth - attention) + "a" * attention
    return {"mamba": "m", "swin": "a", "conv": "c"}[kind] * depth


def build_encoder(
    kind: str = "hybrid",
    size: str = "tiny",
    in_channels: int = 1,
    drop_path: float = 0.0,
    scan_backend: str = "auto",
    checkpoint: bool = False,
) -> Encoder:
    """Build an encoder.

    Args:
        kind: "hybrid", "mamba", "swin" or "conv".
        size: "tiny" or "base".
        in_channels: Image channels.
        drop_path: Stochastic depth of the last block.
        scan_backend: Backend of the selective scan.
        checkpoint: Recompute activations in the backward pass instead of storing them.

    Raises:
        ValueError: Kind or size is unknown.
    """
    if kind not in KINDS:
        raise ValueError(f"encoder {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if size not in SIZES:
        raise ValueError(f"encoder size {size!r} is unknown; choose one of {', '.join(SIZES)}")
    return Encoder(kind, SIZES[size], in_channels, drop_path, scan_backend, checkpoint)
