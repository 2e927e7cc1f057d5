"""U-KAN: a convolutional U-Net whose two deepest levels mix channels by Kolmogorov-Arnold layers.

Li C. et al., U-KAN, arXiv 2406.02918, at the widths of the RAM-W600 benchmark. A KAN block is three spline layers on
the channels of each position, each followed by a depthwise convolution. Parameters have the authors' names.
"""

from __future__ import annotations

import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional

from jointwrist.anatomy import NUM_BONES
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_sides
from ..layers.spline import NUM_BASIS, cubic_basis

CONV_WIDTHS = (16, 32, 128)
KAN_WIDTHS = (160, 256)


class KANLinear(nn.Module):
    """KAN layer: a sum of learned functions of the inputs, each a weighted SiLU plus a scaled cubic spline."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__()
        self.base_weight = nn.Parameter(torch.empty(dim_out, dim_in))
        self.spline_weight = nn.Parameter(torch.empty(dim_out, dim_in, NUM_BASIS))
        self.spline_scaler = nn.Parameter(torch.empty(dim_out, dim_in))
        nn.init.kaiming_uniform_(self.base_weight, a=math.sqrt(5))
        nn.init.kaiming_uniform_(self.spline_scaler, a=math.sqrt(5))
        self._start_from_noise(0.01)

    @torch.no_grad()
    def _start_from_noise(self, amplitude: float) -> None:
        """Fit the splines to noise at the six knots of [-1, 1], with coefficients of minimum norm."""
        at_knots = cubic_basis(torch.linspace(-1, 1, 6, device="cpu"))
        noise = torch.empty_like(self.spline_weight[..., :6]).uniform_(-amplitude, amplitude)
        self.spline_weight.copy_(noise @ torch.linalg.pinv(at_knots).T.to(noise))

    def forward(self, x: Tensor) -> Tensor:
        """Map (..., dim_in) to (..., dim_out)."""
        spline_weight = self.spline_weight * self.spline_scaler.unsqueeze(-1)
        base = functional.linear(functional.silu(x), self.base_weight)
        return base + functional.linear(cubic_basis(x).flatten(-2), spline_weight.flatten(-2))


def _fan_out_normal(conv: nn.Conv2d) -> nn.Conv2d:
    nn.init.normal_(conv.weight, std=math.sqrt(2 / (9 * conv.out_channels // conv.groups)))
    nn.init.zeros_(conv.bias)
    return conv


class DepthwiseConv(nn.Module):
    """Depthwise 3x3 convolution, batch norm and ReLU on a channels-last feature map."""

    def __init__(self, dim: int):
        super().__init__()
        self.dwconv = _fan_out_normal(nn.Conv2d(dim, dim, 3, padding=1, groups=dim))
        self.bn = nn.BatchNorm2d(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to the same shape."""
        return self.bn(self.dwconv(x.permute(0, 3, 1, 2))).relu().permute(0, 2, 3, 1)


class KANBlock(nn.Module):
    """Layer norm and three KAN layers with their depthwise convolutions, with a residual connection."""

    def __init__(self, dim: int):
        super().__init__()
        self.norm2 = nn.LayerNorm(dim)
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for number in (1, 2, 3):
            layers[f"fc{number}"] = KANLinear(dim, dim)
            layers[f"dwconv_{number}"] = DepthwiseConv(dim)
        self.layer = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, H, W, dim) to the same shape."""
        return x + self.layer(self.norm2(x))


class PatchEmbed(nn.Module):
    """Overlapping patches: a strided 3x3 convolution, then a layer norm."""

    def __init__(self, dim_in: int, dim_out: int):
        super().__init__()
        self.proj = _fan_out_normal(nn.Conv2d(dim_in, dim_out, 3, stride=2, padding=1))
        self.norm = nn.LayerNorm(dim_out)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim_in, H, W) to (B, H/2, W/2, dim_out)."""
        return self.norm(self.proj(x).permute(0, 2, 3, 1))


class DoubleConv(nn.Module):
    """Two convolutions, each with batch norm and ReLU."""

    def __init__(self, dim_in: int, dim_between: int, dim_out: int):
        super().__init__()
        layers: list[nn.Module] = []
        for a, b in ((dim_in, dim_between), (dim_between, dim_out)):
            layers += [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim_in, H, W) to (B, dim_out, H, W)."""
        return self.conv(x)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear")


class UKAN(nn.Module):
    """U-KAN with additive skips, taken after the pooling; three channels are read, one is repeated."""

    def __init__(self, num_classes: int = NUM_BONES):
        super().__init__()
        w1, w2, w3 = CONV_WIDTHS
        w4, w5 = KAN_WIDTHS
        self.encoder1 = DoubleConv(3, w1, w1)
        self.encoder2 = DoubleConv(w1, w2, w2)
        self.encoder3 = DoubleConv(w2, w3, w3)
        self.pool = nn.MaxPool2d(2)
        self.patch_embed3 = PatchEmbed(w3, w4)
        self.block1 = nn.Sequential(KANBlock(w4))
        self.norm3 = nn.LayerNorm(w4)
        self.patch_embed4 = PatchEmbed(w4, w5)
        self.block2 = nn.Sequential(KANBlock(w5))
        self.norm4 = nn.LayerNorm(w5)
        self.decoder1 = DoubleConv(w5, w5, w4)
        self.dblock1 = nn.Sequential(KANBlock(w4))
        self.dnorm3 = nn.LayerNorm(w4)
        self.decoder2 = DoubleConv(w4, w4, w3)
        self.dblock2 = nn.Sequential(KANBlock(w3))
        self.dnorm4 = nn.LayerNorm(w3)
        self.decoder3 = DoubleConv(w3, w3, w2)
        self.decoder4 = DoubleConv(w2, w2, w1)
        self.decoder5 = DoubleConv(w1, w1, w1)
        self.final = nn.Conv2d(w1, num_classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes, H, W) of images (B, 1 or 3, H, W), H and W multiples of 32."""
        check_sides(x, "U-KAN", 32)
        x = x.expand(-1, 3, -1, -1)
        half = self.pool(self.encoder1(x))
        quarter = self.pool(self.encoder2(half))
        eighth = self.pool(self.encoder3(quarter))
        sixteenth = self.norm3(self.block1(self.patch_embed3(eighth))).permute(0, 3, 1, 2)
        y = self.norm4(self.block2(self.patch_embed4(sixteenth))).permute(0, 3, 1, 2)

        y = _double(self.decoder1(y)) + sixteenth
        y = self.dnorm3(self.dblock1(y.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        y = _double(self.decoder2(y)) + eighth
        y = self.dnorm4(self.dblock2(y.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        y = _double(self.decoder3(y)) + quarter
        y = _double(self.decoder4(y)) + half
        return self.final(_double(self.decoder5(y)))


register_model(
    ModelSpec(
        name="ukan",
        task="segmentation",
        published_name="UKAN",
        paper="Li et al., U-KAN, arXiv 2406.02918",
        licence="not stated",
        code="jointwrist_baselines.segmentation.ukan",
        parameters=6_356_910,
        input_size=512,
    )
)(UKAN)
