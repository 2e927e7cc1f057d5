"""The erosion classifier that MONAI keeps."""

from __future__ import annotations

from torch import nn

from jointwrist.errors import require
from jointwrist.registry import ModelSpec, register_model


@register_model(
    ModelSpec(
        name="resnet",
        task="erosion",
        published_name="ResNet",
        paper="He et al., Deep Residual Learning for Image Recognition, arXiv 1512.03385",
        licence="MIT",
        code="MONAI ResNet",
        parameters=701_010,
        input_size=224,
    )
)
def resnet(in_chans: int = 1, num_classes: int = 2) -> nn.Module:
    """Build a ResNet-18 of a quarter of the width, whose first convolution keeps the resolution."""
    nets = require("monai.networks.nets", "baselines")
    return nets.ResNet(
        "basic",
        layers=[2, 2, 2, 2],
        block_inplanes=[16, 32, 64, 128],
        spatial_dims=2,
        n_input_channels=in_chans,
        conv1_t_size=7,
        conv1_t_stride=1,
        num_classes=num_classes,
    )
