"""Window attention on (B, H, W, C) feature maps of any size, by timm's Swin block."""

from __future__ import annotations

import torch.nn.functional as F
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn


class SwinBlock(nn.Module):
    """timm's Swin block; feature maps are padded to whole windows, and the padding is removed again.

    Args:
        dim: Width.
        heads: Attention heads.
        window: Side of a window in pixels.
        shifted: Shift the windows by half their side.
        drop_path: Stochastic depth rate.
    """

    #: Published weights that fit this block; see `jointwrist.weights.pretrained`.
    pretrained_kind = "Swin"

    def __init__(self, dim: int, heads: int, window: int = 8, shifted: bool = False, drop_path: float = 0.0):
        super().__init__()
        self.block = SwinTransformerBlock(
            dim=dim,
            input_resolution=(window, window),
            num_heads=heads,
            window_size=window,
            shift_size=window // 2 if shifted else 0,
            always_partition=True,
            dynamic_mask=True,
            drop_path=drop_path,
        )
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        """Keep the shape (B, H, W, C)."""
        height, width = x.shape[1:3]
        x = F.pad(x, (0, 0, 0, -width % self.window, 0, -height % self.window))
        return self.block(x)[:, :height, :width]
