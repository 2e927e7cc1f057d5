"""Erosion classifiers that timm keeps."""

from __future__ import annotations

import timm
from torch import nn

from jointwrist.registry import ModelSpec, register_model


@register_model(
    ModelSpec(
        name="mobilenet",
        task="erosion",
        published_name="MobileNet",
        paper="Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks, 2018 (arXiv 1801.04381)",
        licence="Apache-2.0",
        code="timm mobilenetv2_050",
        parameters=689_954,
        input_size=224,
    )
)
def mobilenet(in_chans: int = 1, num_classes: int = 2, **options) -> nn.Module:
    """Build MobileNetV2 at half width."""
    return timm.create_model("mobilenetv2_050", in_chans=in_chans, num_classes=num_classes, **options)
