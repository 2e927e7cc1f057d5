"""ConvKAN: convolutions whose kernels consist of univariate functions instead of weights.

Source: Liu et al., KAN, arXiv 2404.19756; Drokin, Kolmogorov-Arnold Convolutions, arXiv 2407.01092. Parameter names are
those of the RAM-W600 authors' code.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.registry import ModelSpec, register_model

from ..layers.spline import NUM_BASIS, cubic_basis

WIDTHS = (32, 64, 128, 256)
STRIDES = (1, 2, 2, 1)


class KANConv(nn.Module):
    """A 3 x 3 convolution of the GELU and the cubic spline basis of its input, batch norm and PReLU.

    The authors' layer holds each part in a list with one entry per group of channels; here there is one group.
    """

    def __init__(self, dim_in: int, dim_out: int, stride: int):
        super().__init__()

        def conv(channels: int) -> nn.Module:
            layer = nn.Conv2d(channels, dim_out, 3, stride=stride, padding=1, bias=False)
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="linear")
            return layer

        self.base_conv = nn.ModuleList([conv(dim_in)])
        self.spline_conv = nn.ModuleList([conv(NUM_BASIS * dim_in)])
        self.layer_norm = nn.ModuleList([nn.BatchNorm2d(dim_out)])
        self.prelus = nn.ModuleList([nn.PReLU()])

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, dim_in, H, W) to (B, dim_out, ceil(H / stride), ceil(W / stride))."""
        basis = cubic_basis(x).movedim(-1, 2).flatten(1, 2)
        y = self.base_conv[0](F.gelu(x)) + self.spline_conv[0](basis)
        return self.prelus[0](self.layer_norm[0](y))


class Regularised(nn.Module):
    """A layer followed by dropout of whole channels.

    `module` is the name in the authors' L1 regularisation wrapper, which has no effect at their strength of 0.
    """

    def __init__(self, layer: KANConv, dropout: float):
        super().__init__()
        self.module = layer
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Apply layer and dropout."""
        return self.dropout(self.module(x))


class ConvKAN(nn.Module):
    """Four KAN convolutions, global average pooling and a linear head."""

    def __init__(self, in_chans: int = 1, num_classes: int = 2, dropout: float = 0.25, head_dropout: float = 0.5):
        super().__init__()
        first, *others = (
            KANConv(dim_in, dim_out, stride)
            for dim_in, dim_out, stride in zip((in_chans, *WIDTHS[:-1]), WIDTHS, STRIDES, strict=True)
        )
        self.layers = nn.Sequential(first, *(Regularised(layer, dropout) for layer in others), nn.AdaptiveAvgPool2d(1))
        self.output = nn.Sequential(nn.Dropout(head_dropout), nn.Linear(WIDTHS[-1], num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (B, num_classes) of images (B, in_chans, H, W) of any size."""
        return self.output(self.layers(x).flatten(1))


register_model(
    ModelSpec(
        name="convkan",
        task="erosion",
        published_name="ConvKAN",
        paper="Drokin, Kolmogorov-Arnold Convolutions, arXiv 2407.01092",
        licence="MIT",
        code="jointwrist_baselines.classification.convkan",
        parameters=3_487_718,
        input_size=224,
    )
)(ConvKAN)
