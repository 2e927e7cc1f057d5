"""Swin-UMamba: a strided stem, a VMamba-Tiny encoder, and UNETR's residual blocks for skips and decoder.

Liu J. et al., Swin-UMamba, arXiv 2402.03302. Built for the RAM-W600 benchmark without the pretrained encoder of the
paper. Parameters have the authors' names.
"""

from __future__ import annotations

import torch
from timm.layers import DropPath
from torch import Tensor, nn

from jointwrist.anatomy import NUM_BONES
from jointwrist.errors import require
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_sides
from ..layers.ss2d_v1 import SS2D, PatchEmbed, PatchMerging

WIDTHS = (48, 96, 192, 384, 768)
DEPTHS = (2, 2, 9, 2)
DROP_PATH = 0.2


class VSSBlock(nn.Module):
    """Layer norm and SS2D with a residual connection, without an MLP."""

    def __init__(self, dim: int, drop_path: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(dim)
        self.self_attention = SS2D(dim)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to the same shape."""
        return x + self.drop_path(self.self_attention(self.ln_1(x)))


class Stage(nn.Module):
    """VSS blocks of one width."""

    def __init__(self, dim: int, drop_paths: list[float]):
        super().__init__()
        self.blocks = nn.Sequential(*(VSSBlock(dim, rate) for rate in drop_paths))

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to the same shape."""
        return self.blocks(x)


class VSSEncoder(nn.Module):
    """Four stages of VSS blocks; patch merging before all but the first."""

    def __init__(self):
        super().__init__()
        dims = WIDTHS[1:]
        rates = torch.linspace(0, DROP_PATH, sum(DEPTHS), device="cpu").split(DEPTHS)
        self.patch_embed = PatchEmbed(WIDTHS[0], dims[0], patch=2)
        self.layers = nn.ModuleList(Stage(dim, rate.tolist()) for dim, rate in zip(dims, rates, strict=True))
        self.downsamples = nn.ModuleList(PatchMerging(dim) for dim in dims[:-1])
        self.apply(self._initialise)

    @staticmethod
    def _initialise(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.trunc_normal_(module.weight, std=0.02)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of the four stages at strides 2 to 16 of the stem's output (B, 48, H, W)."""
        x = self.patch_embed(x)
        features = []
        for before, stage in zip((nn.Identity(), *self.downsamples), self.layers, strict=True):
            x = stage(before(x))
            features.append(x.permute(0, 3, 1, 2))
        return features


class SwinUMamba(nn.Module):
    """Swin-UMamba with MONAI's UNETR blocks (instance norm without parameters) around the VSS encoder.

    Attributes:
        unused_parameters: Prefixes of parameters outside the forward pass: heads for deep supervision, off here.
    """

    unused_parameters = ("out_layers.1.", "out_layers.2.", "out_layers.3.")

    def __init__(self, in_chans: int = 1, num_classes: int = NUM_BONES):
        super().__init__()
        blocks = require("monai.networks.blocks", "baselines")
        residual = {"spatial_dims": 2, "kernel_size": 3, "norm_name": "instance", "res_block": True}
        w0, w1, w2, w3, w4 = WIDTHS
        self.stem = nn.Sequential(nn.Conv2d(in_chans, w0, 7, stride=2, padding=3), nn.InstanceNorm2d(w0, affine=True))
        self.vssm_encoder = VSSEncoder()

        def skip(dim_in: int, dim_out: int) -> nn.Module:
            return blocks.UnetrBasicBlock(in_channels=dim_in, out_channels=dim_out, stride=1, **residual)

        def up(dim_in: int, dim_out: int) -> nn.Module:
            return blocks.UnetrUpBlock(in_channels=dim_in, out_channels=dim_out, upsample_kernel_size=2, **residual)

        self.encoder1 = skip(in_chans, w0)
        self.encoder2 = skip(w0, w1)
        self.encoder3 = skip(w1, w2)
        self.encoder4 = skip(w2, w3)
        self.encoder5 = skip(w3, w4)
        self.decoder6 = up(w4, w4)
        self.decoder5 = up(w4, w3)
        self.decoder4 = up(w3, w2)
        self.decoder3 = up(w2, w1)
        self.decoder2 = up(w1, w0)
        self.decoder1 = skip(w0, w0)
        self.out_layers = nn.ModuleList(blocks.UnetOutBlock(2, dim, num_classes) for dim in WIDTHS[:-1])

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) of images (B, in_chans, H, W), H and W multiples of 32."""
        check_sides(x, "Swin-UMamba", 32)
        stem = self.stem(x)
        stage1, stage2, stage3, deepest = self.vssm_encoder(stem)
        y = self.decoder6(deepest, self.encoder5(stage3))
        y = self.decoder5(y, self.encoder4(stage2))
        y = self.decoder4(y, self.encoder3(stage1))
        y = self.decoder3(y, self.encoder2(stem))
        y = self.decoder2(y, self.encoder1(x))
        return self.out_layers[0](self.decoder1(y))


register_model(
    ModelSpec(
        name="swin_umamba",
        task="segmentation",
        published_name="SwinUMamba",
        paper="Liu et al., Swin-UMamba, arXiv 2402.03302",
        licence="Apache-2.0",
        code="jointwrist_baselines.segmentation.swin_umamba",
        parameters=59_889_368,
        input_size=512,
    )
)(SwinUMamba)
