"""Segmentation networks that MONAI keeps."""

from __future__ import annotations

from torch import Tensor, nn

from jointwrist.anatomy import NUM_BONES
from jointwrist.errors import require
from jointwrist.registry import ModelSpec, register_model


class FirstOutput(nn.Module):
    """A network that returns a list, of which the first entry is the prediction.

    Args:
        network: The wrapped network.

    Attributes:
        official_names: See `load_official_state`.
    """

    official_names = ((r"^", "network."),)

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (B, 14, H, W)."""
        return self.network(image)[0]


@register_model(
    ModelSpec(
        name="unetpp",
        task="segmentation",
        published_name="Unet++",
        paper="Zhou et al., UNet++: A Nested U-Net Architecture for Medical Image Segmentation, 2018 (arXiv 1807.10165)",
        licence="Apache-2.0",
        code="MONAI",
        parameters=2_411_896,
        input_size=512,
    )
)
def unetpp(in_chans: int = 1, num_classes: int = NUM_BONES) -> nn.Module:
    """Build UNet++ as the paper did; sides must be multiples of 16."""
    nets = require("monai.networks.nets", "baselines")
    features = (32, 32, 64, 128, 256, 32)
    return FirstOutput(nets.BasicUNetPlusPlus(2, in_chans, num_classes, features=features))
