"""Swin-Unet with blocks similar to Swin Transformer V2, in the configuration of the RAM-W600 benchmark.

Cao H. et al., Swin-Unet, arXiv 2105.05537, a U-Net of windowed attention without convolutions between patch embedding
and output. The blocks follow Liu Z. et al., Swin Transformer V2, arXiv 2111.09883 (norms after the branches, cosine
attention, position bias from logarithmic offsets), with a temperature for each pair of tokens; the merging is V1's.
Tensors stay (B, H, W, C) from the patch embedding to the last expansion. Parameters have the authors' names.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from timm.layers import DropPath, Mlp, PatchEmbed
from timm.models.swin_transformer import PatchMerging, window_partition, window_reverse
from torch import Tensor, nn

from jointwrist.anatomy import NUM_BONES
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_size

PATCH = 4
WINDOW = 8
WIDTHS = (128, 256, 512, 1024)
DEPTHS = (2, 2, 18, 2)
HEAD_WIDTH = 32
DROP_PATH = 0.1


class WindowAttention(nn.Module):
    """Cosine attention among the tokens of a square window."""

    def __init__(self, dim: int, window: int):
        super().__init__()
        self.heads = dim // HEAD_WIDTH
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.tau = nn.Parameter(torch.ones(self.heads, window**2, window**2))
        self.cpb = Mlp(2, 256, self.heads, act_layer=nn.ReLU)
        side = torch.arange(window)
        position = torch.cartesian_prod(side, side)
        offset = position.unsqueeze(1) - position
        # not log1p: it rounds otherwise, and the temperatures can magnify that a hundredfold in every block
        log_offset = offset.sign() * (1 + offset.abs().float()).log()
        self.register_buffer("log_offset", log_offset, persistent=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map windows (B * n, N, dim) to the same shape.

        Args:
            x: Tokens, with the n windows of an image in sequence.
            mask: Addition to the logits, (n, N, N).
        """
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, HEAD_WIDTH)).permute(2, 0, 3, 1, 4)
        q = q * HEAD_WIDTH**-0.5
        lengths = q.norm(dim=-1).unsqueeze(-1) * k.norm(dim=-1).unsqueeze(-2)
        cosine = q @ k.transpose(-2, -1) / lengths.clamp(min=1e-6)
        logits = cosine / self.tau.clamp(min=0.01) + self.cpb(self.log_offset).permute(2, 0, 1)
        if mask is not None:
            logits = (logits.unflatten(0, (-1, len(mask))) + mask.unsqueeze(1)).flatten(0, 1)
        return self.proj((logits.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))


def _shift_mask(grid: int, window: int, shift: int) -> Tensor:
    """Return (n, N, N): -100 for pairs of tokens that are neighbours only by the cyclic shift, else 0."""
    row = torch.arange(grid)
    strip = (row >= grid - window).int() + (row >= grid - shift).int()
    region = 3 * strip.unsqueeze(1) + strip
    region = window_partition(region[None, :, :, None], (window, window)).flatten(1)
    return torch.where(region.unsqueeze(1) == region.unsqueeze(2), 0.0, -100.0)


class SwinBlock(nn.Module):
    """Window attention and MLP, each followed by a layer norm within its residual branch.

    Args:
        dim: Channels.
        grid: Side of the square of tokens; where it is not above the window's, the whole is the one window.
        shifted: Whether the windows are shifted by half a window.
        drop_path: Drop rate of each branch.
    """

    def __init__(self, dim: int, grid: int, shifted: bool, drop_path: float):
        super().__init__()
        self.window = min(WINDOW, grid)
        self.shift = WINDOW // 2 if shifted and grid > WINDOW else 0
        self.attn = WindowAttention(dim, self.window)
        self.norm1 = nn.LayerNorm(dim)
        self.mlp = Mlp(dim, 4 * dim)
        self.norm2 = nn.LayerNorm(dim)
        self.drop_path = DropPath(drop_path)
        mask = _shift_mask(grid, self.window, self.shift) if self.shift else None
        self.register_buffer("attn_mask", mask, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, grid, grid, dim) to the same shape."""
        x = x + self.drop_path(self.norm1(self._attend(x)))
        return x + self.drop_path(self.norm2(self.mlp(x)))

    def _attend(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        window = (self.window, self.window)
        windows = window_partition(x.roll((-self.shift, -self.shift), (1, 2)), window)
        windows = self.attn(windows.flatten(1, 2), self.attn_mask).unflatten(1, window)
        return window_reverse(windows, window, height, width).roll((self.shift, self.shift), (1, 2))


class PatchExpanding(nn.Module):
    """Linear map of each token to `scale` x `scale` tokens, then a layer norm."""

    def __init__(self, dim_in: int, dim_out: int, scale: int):
        super().__init__()
        self.scale = scale
        self.expand = nn.Linear(dim_in, scale**2 * dim_out, bias=False)
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim_in) to (B, scale * H, scale * W, dim_out)."""
        x = self.expand(x).unflatten(-1, (self.scale, self.scale, -1)).transpose(2, 3)
        return self.norm(x.flatten(3, 4).flatten(1, 2))


def _stage(blocks: nn.Module, **resample: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(blocks=blocks, **resample))


class SwinUnet(nn.Module):
    """Swin-Unet with a decoder of the same depths as its encoder, in reverse order.

    The skips are taken before the blocks of a level. The output convolutions end in a ReLU, so that no output is
    negative and a sigmoid would give at least one half. The authors train without a sigmoid (`raw_output`).

    Args:
        in_chans: Channels of the image.
        num_classes: Masks.
        img_size: Side of the square image in pixels: a multiple of 256, or 32, 64 or 128.

    Raises:
        ValueError: The windows do not fit an image of that size.
    """

    def __init__(self, in_chans: int = 1, num_classes: int = NUM_BONES, img_size: int = 512):
        super().__init__()
        if img_size not in (32, 64, 128) and (img_size < 256 or img_size % 256):
            raise ValueError(f"Swin-Unet cannot be built for {img_size} pixels: use 32, 64, 128 or a multiple of 256")
        self.img_size = img_size
        rates = [rate.tolist() for rate in torch.linspace(0, DROP_PATH, sum(DEPTHS), device="cpu").split(DEPTHS)]

        def blocks(level: int) -> nn.Sequential:
            grid = img_size // PATCH // 2**level
            return nn.Sequential(
                *(SwinBlock(WIDTHS[level], grid, i % 2 == 1, rate) for i, rate in enumerate(rates[level]))
            )

        w0, w1, w2, w3 = WIDTHS
        self.patch_embed = PatchEmbed(None, PATCH, in_chans, w0, norm_layer=nn.LayerNorm, output_fmt="NHWC")
        self.layers = nn.ModuleList(
            (
                _stage(blocks(0), downsample=PatchMerging(w0)),
                _stage(blocks(1), downsample=PatchMerging(w1)),
                _stage(blocks(2), downsample=PatchMerging(w2)),
                _stage(blocks(3)),
            )
        )
        self.norm = nn.LayerNorm(w3)
        self.concat_back_dim = nn.ModuleList((nn.Identity(), *(nn.Linear(2 * dim, dim) for dim in (w2, w1, w0))))
        self.layers_up = nn.ModuleList(
            (
                PatchExpanding(w3, w2, scale=2),
                _stage(blocks(2), upsample=PatchExpanding(w2, w1, scale=2)),
                _stage(blocks(1), upsample=PatchExpanding(w1, w0, scale=2)),
                _stage(blocks(0)),
            )
        )
        self.norm_up = nn.LayerNorm(w0)
        self.up = PatchExpanding(w0, w0, scale=PATCH)
        self.apply(self._initialise)
        self.output = nn.Conv2d(w0, num_classes, 1, bias=False)
        self.outputlayer = nn.Sequential(
            nn.Conv2d(num_classes, num_classes, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(num_classes, num_classes, 3, padding=1),
            nn.ReLU(),
        )

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, img_size, img_size) of images (B, in_chans, img_size, img_size).

        Raises:
            DataError: The image has another size.
        """
        check_size(x, "Swin-Unet", self.img_size)
        x = self.patch_embed(x)
        skips = []
        for layer in self.layers:
            skips.append(x)
            x = layer(x)
        x = self.layers_up[0](self.norm(x))
        for fuse, layer, skip in zip(self.concat_back_dim[1:], self.layers_up[1:], skips[2::-1], strict=True):
            x = layer(fuse(torch.cat((x, skip), dim=-1)))
        return self.outputlayer(self.output(self.up(self.norm_up(x)).permute(0, 3, 1, 2)))


register_model(
    ModelSpec(
        name="swin_unet",
        task="segmentation",
        published_name="SwinUnet",
        paper="Cao et al., Swin-Unet, arXiv 2105.05537",
        licence="not stated",
        code="jointwrist_baselines.segmentation.swin_unet",
        parameters=152_136_084,
        input_size=512,
        size_dependent=True,
    )
)(SwinUnet)
