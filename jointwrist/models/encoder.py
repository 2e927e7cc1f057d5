"""Encoders with features at strides 1, 2, 4, 8, 16 and 32, for images of any size."""

from __future__ import annotations

import torch.nn.functional as F
from timm.layers import DropPath
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from jointwrist.models.blocks import conv_block
from jointwrist.models.encoder_sizes import KINDS, SIZES, VERSIONS, EncoderSize, parse_layout
from jointwrist.models.mamba import VSSBlock
from jointwrist.models.swin import SwinBlock

STRIDES = (1, 2, 4, 8, 16, 32)
#: States per channel of the blocks with capital letters.
MORE_STATES = 8


class ChannelLastNorm(nn.LayerNorm):
    """Layer norm over the channels of (B, C, H, W)."""

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvBlock(nn.Module):
    """Residual depthwise 7x7 convolution and MLP (ConvNeXt, arXiv 2201.03545), on (B, H, W, C)."""

    def __init__(self, dim: int, drop_path: float = 0.0, hidden: int | None = None):
        super().__init__()
        hidden = hidden or 4 * dim
        self.depthwise = nn.Conv2d(dim, dim, 7, padding=3, groups=dim)
        self.norm = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, H, W, C)."""
        mixed = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return x + self.drop_path(self.mlp(self.norm(mixed)))


class Encoder(nn.Module):
    """Encoder with a convolutional stem and four stages.

    Args:
        layout: Blocks of the stages; see `jointwrist.models.encoder_sizes`.
        size: Widths of stem, stages and MLPs.
        in_channels: Image channels.
        drop_path: Stochastic depth rate of the last block; it grows linearly from 0.
        scan_backend: Backend of the selective scan.
        recompute: Recompute activations in the backward pass instead of storing them.
        padded_windows: Attend to the padding of fixed windows, as version 1 does.
    """

    def __init__(
        self,
        layout: str,
        size: EncoderSize,
        in_channels: int = 1,
        drop_path: float = 0.0,
        scan_backend: str = "auto",
        recompute: bool = False,
        padded_windows: bool = False,
    ):
        super().__init__()
        self.channels = (size.stem // 2, size.stem, *size.dims)
        self.strides = STRIDES
        self.recompute = recompute
        # group norm: a norm over the channels of each pixel would remove its grey value
        self.stem1 = conv_block(in_channels, size.stem // 2)
        self.stem2 = conv_block(size.stem // 2, size.stem, stride=2)
        stages = parse_layout(layout)
        depth = sum(map(len, stages))
        rates = iter([drop_path * i / max(depth - 1, 1) for i in range(depth)])
        self.down, self.stages = nn.ModuleList(), nn.ModuleList()
        previous = size.stem
        for place, (dim, letters) in enumerate(zip(size.dims, stages, strict=True)):
            self.down.append(nn.Sequential(nn.Conv2d(previous, dim, 3, 2, 1), ChannelLastNorm(dim)))
            blocks = []
            for i, letter in enumerate(letters):
                hidden = size.hidden[letter][place] if letter in size.hidden else None
                heads = max(dim // size.head_dim, 1)
                common = {"dim": dim, "drop_path": next(rates), "hidden": hidden}
                if letter == "c":
                    blocks.append(ConvBlock(**common))
                elif letter == "a":
                    blocks.append(SwinBlock(**common, heads=heads, shifted=i % 2 == 1, padded=padded_windows))
                else:
                    states = MORE_STATES if letter.isupper() else 1
                    blocks.append(VSSBlock(**common, states=states, local=letter in "lL", backend=scan_backend))
            self.stages.append(nn.ModuleList(blocks))
            previous = dim
        self.norms = nn.ModuleList(nn.LayerNorm(dim) for dim in size.dims)

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


def build_encoder(
    kind: str = "hybrid",
    size: str = "tiny",
    in_channels: int = 1,
    drop_path: float = 0.0,
    scan_backend: str = "auto",
    checkpoint: bool = False,
    version: int = VERSIONS[-1],
    layout: str = "",
) -> Encoder:
    """Build an encoder.

    Args:
        kind: "hybrid", "mamba", "swin" or "conv".
        size: "tiny" or "base".
        in_channels: Image channels.
        drop_path: Stochastic depth of the last block.
        scan_backend: Backend of the selective scan.
        checkpoint: Recompute activations in the backward pass instead of storing them.
        version: Version of the encoder; 1 builds that of earlier releases.
        layout: Blocks of a hybrid encoder in place of the size's own; see `jointwrist.models.encoder_sizes`.

    Raises:
        ValueError: Kind, size, version or layout is unknown, or a kind other than hybrid has a layout.
    """
    if kind not in KINDS:
        raise ValueError(f"encoder {kind!r} is unknown; choose one of {', '.join(KINDS)}")
    if version not in SIZES:
        raise ValueError(f"encoder version {version!r} is unknown; choose one of {', '.join(map(str, SIZES))}")
    if size not in SIZES[version]:
        raise ValueError(f"encoder size {size!r} is unknown; choose one of {', '.join(SIZES[version])}")
    if layout and kind != "hybrid":
        raise ValueError(f"encoder {kind!r} has a fixed layout; encoder_layout needs encoder hybrid")
    chosen = SIZES[version][size]
    return Encoder(
        layout or chosen.layouts[kind], chosen, in_channels, drop_path, scan_backend, checkpoint, version == 1
    )
