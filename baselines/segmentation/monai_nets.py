"""Segmentation networks from MONAI."""

from __future__ import annotations

from torch import Tensor, nn

from jointwrist.anatomy import NUM_BONES
from jointwrist.errors import require
from jointwrist.registry import ModelSpec, register_model

from ..layers.sides import check_sides, with_check


class FirstOutput(nn.Module):
    """Wrapper of a network that returns a list, whose first entry is the prediction.

    Args:
        network: The wrapped network.
        unused_parameters: Prefixes of parameters outside the forward pass.

    Attributes:
        official_names: See `load_official_state`.
    """

    official_names = ((r"^", "network."),)

    def __init__(self, network: nn.Module, unused_parameters: tuple[str, ...] = ()):
        super().__init__()
        self.network = network
        self.unused_parameters = unused_parameters

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 14, H, W)."""
        return self.network(image)[0]


@register_model(
    ModelSpec(
        name="unet",
        task="segmentation",
        published_name="Unet",
        paper="Ronneberger et al., U-Net, arXiv 1505.04597; Isensee et al., nnU-Net, arXiv 1904.08128",
        licence="Apache-2.0",
        code="MONAI DynUNet",
        parameters=7_938_510,
        input_size=512,
    )
)
def unet(in_chans: int = 1, num_classes: int = NUM_BONES) -> nn.Module:
    """Build a U-Net of five levels with residual blocks; sides must be multiples of 16."""
    nets = require("monai.networks.nets", "baselines")
    network = nets.DynUNet(
        spatial_dims=2,
        in_channels=in_chans,
        out_channels=num_classes,
        kernel_size=[3] * 5,
        strides=[1, 2, 2, 2, 2],
        upsample_kernel_size=[2] * 4,
        filters=[32, 64, 128, 256, 512],
        norm_name="batch",
        res_block=True,
    )
    return with_check(network, check_sides, "U-Net", 16)


@register_model(
    ModelSpec(
        name="segresnet",
        task="segmentation",
        published_name="SegResNet",
        paper="Myronenko, 3D MRI Brain Tumor Segmentation Using Autoencoder Regularization, arXiv 1810.11654",
        licence="Apache-2.0",
        code="MONAI SegResNet",
        parameters=1_598_222,
        input_size=512,
    )
)
def segresnet(in_chans: int = 1, num_classes: int = NUM_BONES) -> nn.Module:
    """Build SegResNet; sides must be multiples of 8."""
    nets = require("monai.networks.nets", "baselines")
    network = nets.SegResNet(
        spatial_dims=2,
        init_filters=16,
        in_channels=in_chans,
        out_channels=num_classes,
        act="leakyrelu",
        norm="batch",
        blocks_down=(1, 2, 2, 4),
        blocks_up=(1, 1, 1),
        upsample_mode="deconv",
    )
    return with_check(network, check_sides, "SegResNet", 8)


@register_model(
    ModelSpec(
        name="unetpp",
        task="segmentation",
        published_name="Unet++",
        paper="Zhou et al., UNet++, arXiv 1807.10165",
        licence="Apache-2.0",
        code="MONAI BasicUNetPlusPlus",
        parameters=2_411_896,
        input_size=512,
    )
)
def unetpp(in_chans: int = 1, num_classes: int = NUM_BONES) -> nn.Module:
    """Build UNet++ as the paper did; sides of 16 pixels or more."""
    nets = require("monai.networks.nets", "baselines")
    features = (32, 32, 64, 128, 256, 32)
    network = nets.BasicUNetPlusPlus(2, in_chans, num_classes, features=features)
    heads_for_deep_supervision = tuple(f"network.final_conv_0_{level}." for level in (1, 2, 3))
    return with_check(FirstOutput(network, heads_for_deep_supervision), check_sides, "UNet++", 1, 16)
