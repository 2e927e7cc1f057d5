"""Segmentation networks from segmentation_models_pytorch, with a ResNet-34 encoder or, for DPT, a ViT-B/16."""

from __future__ import annotations

from torch import nn

from jointwrist.anatomy import NUM_BONES
from jointwrist.errors import require
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_sides, with_check


def _register(
    name: str,
    architecture: str,
    published_name: str | None,
    paper: str,
    licence: str,
    parameters: int,
    multiple: int,
    least: int = 1,
    unused: tuple[str, ...] = (),
    **fixed: object,
) -> None:
    """Register an architecture of smp; its builder takes `in_chans`, `num_classes` and `encoder_weights`.

    Args:
        multiple: Divisor of the image sides.
        least: Smallest image side.
        unused: Prefixes of parameters outside the forward pass; the model has them as `unused_parameters`.
        **fixed: Options of smp.
    """

    def build(in_chans: int = 1, num_classes: int = NUM_BONES, encoder_weights: str | None = None) -> nn.Module:
        smp = require("segmentation_models_pytorch", "baselines")
        network = getattr(smp, architecture)(
            encoder_weights=encoder_weights, in_channels=in_chans, classes=num_classes, **fixed
        )
        network.unused_parameters = unused
        return with_check(network, check_sides, architecture, multiple, least)

    spec = ModelSpec(
        name=name,
        task="segmentation",
        published_name=published_name,
        paper=paper,
        licence=licence,
        code=f"segmentation_models_pytorch {architecture}",
        parameters=parameters,
        input_size=512,
    )
    register_model(spec)(build)


_register(
    "pspnet",
    "PSPNet",
    "PSPNet",
    "Zhao et al., Pyramid Scene Parsing Network, arXiv 1612.01105",
    "BSD-2-Clause",
    21_491_630,
    multiple=8,
    # the pyramid uses the features at stride 8; the parameters of the whole encoder are counted
    unused=("encoder.layer3.", "encoder.layer4."),
)
_register(
    "deeplabv3plus",
    "DeepLabV3Plus",
    "DeepLabV3+",
    "Chen et al., Encoder-Decoder with Atrous Separable Convolution, arXiv 1802.02611",
    "Apache-2.0",
    22_434_526,
    multiple=16,
)
_register(
    "fpn",
    "FPN",
    "FPN",
    "Lin et al., Feature Pyramid Networks, arXiv 1612.03144; Kirillov et al., Panoptic FPN, arXiv 1901.02446",
    "Apache-2.0",
    23_150_798,
    multiple=32,
)
_register(
    "segformer",
    "Segformer",
    "SegFormer",
    "Xie et al., SegFormer, arXiv 2105.15203 (its decoder alone; the encoder is a ResNet-34)",
    "NVIDIA, non-commercial",
    21_873_614,
    multiple=32,
)
_register(
    "deeplabv3",
    "DeepLabV3",
    None,
    "Chen et al., Rethinking Atrous Convolution, arXiv 1706.05587",
    "Apache-2.0",
    26_004_174,
    multiple=8,
)
_register(
    "pan",
    "PAN",
    None,
    "Li et al., Pyramid Attention Network for Semantic Segmentation, arXiv 1805.10180",
    "not stated",
    21_473_301,
    multiple=16,
    least=128,
)
# `dynamic_img_size` interpolates the position embeddings of 224 pixels to any other size
_register(
    "dpt",
    "DPT",
    None,
    "Ranftl et al., Vision Transformers for Dense Prediction, arXiv 2103.13413",
    "MIT",
    137_416_545,
    multiple=32,
    # the final norm and the classifier of the ViT are built and counted too
    unused=("encoder.model.norm.", "encoder.model.head."),
    dynamic_img_size=True,
)
