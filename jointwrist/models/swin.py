"""Window attention on (B, H, W, C) feature maps of any size, with the layers of timm's Swin block."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn


class SwinBlock(nn.Module):
    """Swin block (arXiv 2103.14030) with windows that fit the feature map.

    Each axis is divided into the smallest number of windows of at most `window` pixels, all of the same size. Padding
    to whole windows is masked out of the attention. An axis that one window covers is not shifted.

    Args:
        dim: Width.
        heads: Attention heads.
        window: Largest side of a window in pixels.
        shifted: Shift the windows by half their side.
        drop_path: Stochastic depth rate.
        hidden: Hidden width of the MLP; None takes four times the width.
        padded: Use windows of exactly `window` pixels, shift them always, and attend to the padding, as version 1 of
            the encoder does.
    """

    #: Published weights that fit this block; see `jointwrist.weights.pretrained`.
    pretrained_kind = "Swin"

    def __init__(
        self,
        dim: int,
        heads: int,
        window: int = 8,
        shifted: bool = False,
        drop_path: float = 0.0,
        hidden: int | None = None,
        padded: bool = False,
    ):
        super().__init__()
        self.block = SwinTransformerBlock(
            dim=dim,
            input_resolution=(window, window),
            num_heads=heads,
            window_size=window,
            shift_size=window // 2 if shifted else 0,
            always_partition=True,
            dynamic_mask=True,
            mlp_ratio=(hidden or 4 * dim) / dim,
            drop_path=drop_path,
        )
        self.block.attn.relative_position_bias_table._no_weight_decay = True
        self.window, self.shifted, self.padded = window, shifted, padded

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, H, W, C)."""
        if self.padded:
            height, width = x.shape[1:3]
            x = F.pad(x, (0, 0, 0, -width % self.window, 0, -height % self.window))
            return self.block(x)[:, :height, :width]
        x = x + self.block.drop_path1(self._attend(self.block.norm1(x)))
        return x + self.block.drop_path2(self.block.mlp(self.block.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        """Attend within windows; the layers and their names are those of timm's `WindowAttention`."""
        height, width = x.shape[1:3]
        counts = [-(-side // self.window) for side in (height, width)]
        rows, columns = (-(-side // count) for side, count in zip((height, width), counts, strict=True))
        shifts = [side // 2 * (self.shifted and n > 1) for side, n in zip((rows, columns), counts, strict=True)]
        padding = [rows * counts[0] - height, columns * counts[1] - width]
        attn = self.block.attn
        x = F.pad(x, (0, 0, 0, padding[1], 0, padding[0]))
        if any(shifts):
            x = x.roll((-shifts[0], -shifts[1]), (1, 2))
        windows = rearrange(x, "b (i r) (j c) d -> (b i j) (r c) d", r=rows, c=columns)
        query, key, value = rearrange(attn.qkv(windows), "w n (three h d) -> three w h n d", three=3, h=attn.num_heads)
        bias = self._position_bias(rows, columns)
        if any(shifts) or any(padding):
            apart = window_mask(counts, (rows, columns), shifts, padding, x.device)
            apart = bias + torch.where(apart, 0.0, -torch.inf).to(bias.dtype)[:, None]
            bias = apart.repeat(len(windows) // len(apart), 1, 1, 1)
        # PyTorch's fused attention has no derivative in forward mode
        scores = attn.scale * query @ key.transpose(-2, -1) + bias.to(query.dtype)
        mixed = attn.proj(rearrange(scores.softmax(-1) @ value, "w h n d -> w n (h d)"))
        x = rearrange(mixed, "(b i j) (r c) d -> b (i r) (j c) d", i=counts[0], j=counts[1], r=rows, c=columns)
        if any(shifts):
            x = x.roll(shifts, (1, 2))
        return x[:, :height, :width]

    def _position_bias(self, rows: int, columns: int) -> Tensor:
        """Relative position bias (heads, N, N) of a window of N = rows x columns pixels."""
        side = self.window
        index = self.block.attn.relative_position_index.view(side, side, side, side)[:rows, :columns, :rows, :columns]
        places = rows * columns
        table = self.block.attn.relative_position_bias_table
        return table[index.reshape(-1)].view(places, places, -1).permute(2, 0, 1)


def window_mask(
    counts: list[int], window: tuple[int, int], shifts: list[int], padding: list[int], device: torch.device
) -> Tensor:
    """Return which pixels of a window may attend to each other.

    Pixels that the cyclic shift brought together from opposite borders of the map may not, and none may attend to
    padding; padding attends to itself, so that no pixel is left without any.

    Args:
        counts: Number of windows along rows and columns.
        window: Height and width of a window.
        shifts: Cyclic shift of rows and columns.
        padding: Rows and columns of padding at the end of the map, before the shift.
        device: Device of the result.

    Returns:
        (windows, N, N) bool for N pixels of a window.
    """
    labels = []
    for count, side, shift, pad in zip(counts, window, shifts, padding, strict=True):
        place = torch.arange(count * side, device=device)
        original = (place + shift) % (count * side)
        wrapped = (place + shift >= count * side).long()
        labels.append(torch.where(original >= count * side - pad, 4, wrapped))
    label = 2 * labels[0][:, None] + labels[1]  # 4 or more where either axis is padding
    label = rearrange(label.clamp(max=4), "(i r) (j c) -> (i j) (r c)", r=window[0], c=window[1])
    return label[:, :, None] == label[:, None, :]
