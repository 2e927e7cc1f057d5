"""MedMamba-T: blocks that convolve one half of the channels, scan the other half and shuffle both.

Yue Y., Li Z., MedMamba, arXiv 2403.03849. Parameters have the authors' names.
"""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_sides
from ..layers.ss2d_v1 import SS2D, PatchEmbed, PatchMerging

WIDTHS = (96, 192, 384, 768)
DEPTHS = (2, 2, 4, 2)
DROP_PATH = 0.1


class Block(nn.Module):
    """Convolutions on the left half of the channels, SS2D on the right, channel shuffle, residual."""

    def __init__(self, dim: int, drop_path: float):
        super().__init__()
        half = dim // 2
        self.ln_1 = nn.LayerNorm(half)
        self.self_attention = SS2D(half)
        self.drop_path = DropPath(drop_path)
        self.conv33conv33conv11 = nn.Sequential(
            nn.BatchNorm2d(half),
            nn.Conv2d(half, half, 3, padding=1),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 3, padding=1),
            nn.BatchNorm2d(half),
            nn.ReLU(),
            nn.Conv2d(half, half, 1),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to the same shape."""
        left, right = x.chunk(2, dim=-1)
        left = self.conv33conv33conv11(left.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        right = self.drop_path(self.self_attention(self.ln_1(right)))
        # Interleaving the two halves is the channel shuffle of two groups.
        return x + torch.stack((left, right), dim=-1).flatten(-2)


class Stage(nn.Module):
    """Blocks of one width, followed by patch merging except in the last stage."""

    def __init__(self, dim: int, drop_paths: list[float], downsample: bool):
        super().__init__()
        self.blocks = nn.Sequential(*(Block(dim, rate) for rate in drop_paths))
        self.downsample = PatchMerging(dim) if downsample else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to (B, H//2, W//2, 2 dim), or to the same shape in the last stage."""
        return self.downsample(self.blocks(x))


class MedMamba(nn.Module):
    """MedMamba-T, without a norm between the last block and the head."""

    def __init__(self, in_chans: int = 1, num_classes: int = 2):
        super().__init__()
        rates = torch.linspace(0, DROP_PATH, sum(DEPTHS), device="cpu").split(DEPTHS)
        self.patch_embed = PatchEmbed(in_chans, WIDTHS[0], patch=4)
        self.layers = nn.Sequential(
            *(Stage(dim, rate.tolist(), dim != WIDTHS[-1]) for dim, rate in zip(WIDTHS, rates, strict=True))
        )
        self.head = nn.Linear(WIDTHS[-1], num_classes)
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) of images (B, in_chans, H, W), H and W at least 32."""
        check_sides(x, "MedMamba", least=32)
        x = self.layers(self.patch_embed(x)).permute(0, 3, 1, 2)
        return self.head(F.adaptive_avg_pool2d(x, 1).flatten(1))


register_model(
    ModelSpec(
        name="medmamba",
        task="erosion",
        published_name="MedMamba",
        paper="Yue and Li, MedMamba, arXiv 2403.03849",
        licence="not stated",
        code="jointwrist_baselines.classification.medmamba",
        parameters=14_451_074,
        input_size=224,
    )
)(MedMamba)
