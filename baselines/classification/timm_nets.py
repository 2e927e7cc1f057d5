"""Erosion classifiers from timm."""

from __future__ import annotations

import timm
from torch import nn

from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_size, with_check


def _register(
    name: str,
    architecture: str,
    published_name: str | None,
    paper: str,
    licence: str,
    parameters: int,
    multiple: int = 0,
) -> None:
    """Register a model of timm; its builder takes `in_chans`, `num_classes` and timm's options, such as `pretrained`.

    Args:
        multiple: Divisor of the image side, for models whose image size is fixed at construction; 0 for all others.
    """

    def build(in_chans: int = 1, num_classes: int = 2, **options) -> nn.Module:
        return timm.create_model(architecture, in_chans=in_chans, num_classes=num_classes, **options)

    def build_for_size(img_size: int = 224, **options) -> nn.Module:
        if img_size < multiple or img_size % multiple:
            raise ValueError(f"{architecture} cannot be built for {img_size} pixels: use a multiple of {multiple}")
        return with_check(build(img_size=img_size, **options), check_size, architecture, img_size)

    spec = ModelSpec(
        name=name,
        task="erosion",
        published_name=published_name,
        paper=paper,
        licence=licence,
        code=f"timm {architecture}",
        parameters=parameters,
        input_size=224,
        size_dependent=multiple > 0,
    )
    register_model(spec)(build_for_size if multiple else build)


_register(
    "mobilenet",
    "mobilenetv2_050",
    "MobileNet",
    "Sandler et al., MobileNetV2, arXiv 1801.04381",
    "Apache-2.0",
    689_954,
)
_register(
    "efficientformer",
    "efficientformerv2_s0",
    "EfficientFormer",
    "Li et al., EfficientFormerV2, arXiv 2212.08059",
    "MIT",
    3_246_676,
    multiple=32,
)
_register(
    "mobilevit",
    "mobilevit_s",
    "MobileViT",
    "Mehta and Rastegari, MobileViT, arXiv 2110.02178",
    "Apple Sample Code",
    4_938_626,
)
_register(
    "levit",
    "levit_128s",
    "LeViT",
    "Graham et al., LeViT, arXiv 2104.01136",
    "Apache-2.0",
    7_008_310,
    multiple=16,
)
_register(
    "repvit",
    "repvit_m2_3",
    None,
    "Wang et al., RepViT, arXiv 2307.09283",
    "Apache-2.0",
    22_408_636,
)
