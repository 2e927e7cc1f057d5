"""U-Mamba, bottleneck (Bot) and encoder (Enc) variant, in the fixed four-stage layout of the RAM-W600 benchmark.

Ma J., Li F., Wang B., U-Mamba, arXiv 2401.04722. A residual U-Net whose feature maps pass through a Mamba layer: the
deepest one (Bot), or the one after each encoder stage (Enc). Parameters have the authors' names.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from jointwrist.anatomy import NUM_BONES
from jointwrist.models.mamba import MambaBlock
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_sides

WIDTHS = (32, 64, 128, 256)
STRIDES = (1, 2, 2, 2)


class ConvNorm(nn.Module):
    """Convolution, affine instance norm and optionally leaky ReLU."""

    def __init__(
        self, dim_in: int, dim_out: int, kernel: int = 3, stride: int = 1, bias: bool = True, act: bool = True
    ):
        super().__init__()
        self.conv = nn.Conv2d(dim_in, dim_out, kernel, stride, kernel // 2, bias=bias)
        self.norm = nn.InstanceNorm2d(dim_out, affine=True)
        self.act = nn.LeakyReLU() if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim_in, H, W) to (B, dim_out, H/stride, W/stride)."""
        return self.act(self.norm(self.conv(x)))


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut that pools before its 1x1 convolution (the ResNet-D form)."""

    def __init__(self, dim_in: int, dim_out: int, stride: int = 1):
        super().__init__()
        self.conv1 = ConvNorm(dim_in, dim_out, stride=stride)
        self.conv2 = ConvNorm(dim_out, dim_out, act=False)
        shortcut: list[nn.Module] = [nn.AvgPool2d(stride)] if stride > 1 else []
        if dim_in != dim_out:
            shortcut.append(ConvNorm(dim_in, dim_out, kernel=1, bias=False, act=False))
        self.skip = nn.Sequential(*shortcut)
        self.act = nn.LeakyReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim_in, H, W) to (B, dim_out, H/stride, W/stride)."""
        return self.act(self.conv2(self.conv1(x)) + self.skip(x))


def _stage(dim_in: int, dim_out: int, stride: int = 1) -> nn.Sequential:
    blocks = nn.Sequential(ResidualBlock(dim_in, dim_out, stride), ResidualBlock(dim_out, dim_out))
    return nn.Sequential(OrderedDict(blocks=blocks))


def _mix_tokens(norm: nn.LayerNorm, mamba: MambaBlock, x: Tensor) -> Tensor:
    """Replace (B, C, H, W) by the Mamba block's output on its H*W tokens, row by row; with no residual around it."""
    tokens = mamba(norm(x.flatten(2).transpose(1, 2)))
    return tokens.transpose(1, 2).reshape(x.shape)


class MambaLayer(nn.Module):
    """Layer norm and Mamba block on the tokens of a feature map, outside autocast."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.mamba = MambaBlock(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim, H, W) to the same shape."""
        with torch.autocast(x.device.type, enabled=False):
            return _mix_tokens(self.norm, self.mamba, x.to(self.norm.weight.dtype))


class Encoder(nn.Module):
    """Stem and four residual stages, each followed by a Mamba layer in the Enc variant."""

    def __init__(self, in_chans: int, mamba: bool):
        super().__init__()
        self.stem = nn.Sequential(OrderedDict(convs=nn.Sequential(ConvNorm(in_chans, WIDTHS[0]))))
        dims_in = (WIDTHS[0], *WIDTHS[:-1])
        self.stages = nn.ModuleList(map(_stage, dims_in, WIDTHS, STRIDES))
        self.mamba_layers = nn.ModuleList(MambaLayer(dim) if mamba else nn.Identity() for dim in WIDTHS)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the four feature maps, at strides 1, 2, 4 and 8, of an image (B, in_chans, H, W)."""
        x = self.stem(x)
        features = []
        for stage, mix in zip(self.stages, self.mamba_layers, strict=True):
            x = mix(stage(x))
            features.append(x)
        return features


class Decoder(nn.Module):
    """Three upsampling stages: a transposed convolution, the skip and two residual blocks each."""

    def __init__(self, num_classes: int):
        super().__init__()
        down, up = WIDTHS[:0:-1], WIDTHS[-2::-1]
        self.transpconvs = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, 2) for i, o in zip(down, up, strict=True))
        self.stages = nn.ModuleList(_stage(2 * dim, dim) for dim in up)
        self.seg_layers = nn.ModuleList(nn.Conv2d(dim, num_classes, 1) for dim in up)

    def forward(self, features: list[Tensor]) -> Tensor:
        """Return logits (B, num_classes, H, W) from the encoder's feature maps."""
        *skips, x = features
        for upsample, stage, skip in zip(self.transpconvs, self.stages, reversed(skips), strict=True):
            x = stage(torch.cat((upsample(x), skip), dim=1))
        return self.seg_layers[-1](x)


class UMambaEnc(nn.Module):
    """U-Mamba with a Mamba layer after every encoder stage, the first on the tokens of the full resolution.

    Attributes:
        unused_parameters: Prefixes of parameters outside the forward pass: heads for deep supervision, off here.
        official_names: See `load_official_state`; the authors' code holds the encoder twice, and in every block both
            the layers and the list of them.
    """

    unused_parameters = ("decoder.seg_layers.0.", "decoder.seg_layers.1.")
    official_names = (
        (r"^decoder\.encoder\.", "encoder."),
        (r"\.all_modules\.0\.", ".conv."),
        (r"\.all_modules\.1\.", ".norm."),
    )

    def __init__(self, in_chans: int = 1, num_classes: int = NUM_BONES):
        super().__init__()
        self.encoder = Encoder(in_chans, mamba=True)
        self.decoder = Decoder(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) of images (B, in_chans, H, W), H and W multiples of 8, at least 16."""
        check_sides(x, "U-Mamba", 8, 16)
        return self.decoder(self.encoder(x))


class UMambaBot(nn.Module):
    """U-Mamba with one Mamba layer, on the deepest feature map.

    Attributes:
        unused_parameters: Prefixes of parameters outside the forward pass: heads for deep supervision, off here.
        official_names: See `UMambaEnc`.
    """

    unused_parameters = UMambaEnc.unused_parameters
    official_names = UMambaEnc.official_names

    def __init__(self, in_chans: int = 1, num_classes: int = NUM_BONES):
        super().__init__()
        self.encoder = Encoder(in_chans, mamba=False)
        self.ln = nn.LayerNorm(WIDTHS[-1])
        self.mamba = MambaBlock(WIDTHS[-1])
        self.decoder = Decoder(num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) of images (B, in_chans, H, W), H and W multiples of 8, at least 16."""
        check_sides(x, "U-Mamba", 8, 16)
        *skips, deepest = self.encoder(x)
        return self.decoder([*skips, _mix_tokens(self.ln, self.mamba, deepest)])


def _spec(name: str, published_name: str, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        task="segmentation",
        published_name=published_name,
        paper="Ma et al., U-Mamba, arXiv 2401.04722",
        licence="Apache-2.0",
        code="jointwrist_baselines.segmentation.umamba",
        parameters=parameters,
        input_size=512,
    )


register_model(_spec("umamba_bot", "UMambaBot", 4_423_946))(UMambaBot)
register_model(_spec("umamba_enc", "UMambaEnc", 4_583_434))(UMambaEnc)
