"""The erosion classifier from MONAI."""

from __future__ import annotations

from torch import Tensor, nn

from jointwrist.errors import require
from jointwrist.models.crop_heat_map import CropOutput, HeatMapHead
from jointwrist.registry import ModelSpec, register_model

#: Channels of the four stages.
WIDTHS = [16, 32, 64, 128]


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
def resnet(in_chans: int = 1, num_classes: int = 2, map_head: bool = False) -> nn.Module:
    """Build a ResNet-18 with a quarter of the width, whose first convolution has stride 1.

    Args:
        in_chans: Channels of the image.
        num_classes: Logits.
        map_head: Add a heat map of the eroded area, on which the score depends; see `jointwrist.models.crop_heat_map`.
    """
    nets = require("monai.networks.nets", "baselines")
    network = nets.ResNet(
        "basic",
        layers=[2, 2, 2, 2],
        block_inplanes=WIDTHS,
        spatial_dims=2,
        n_input_channels=in_chans,
        conv1_t_size=7,
        conv1_t_stride=1,
        num_classes=num_classes,
    )
    return MappedResNet(network) if map_head else network


class MappedResNet(nn.Module):
    """A ResNet of MONAI with a heat map head in place of its classifier.

    Args:
        network: The ResNet.
    """

    def __init__(self, network: nn.Module):
        super().__init__()
        network.fc = nn.Identity()
        self.network, self.head = network, HeatMapHead(WIDTHS)

    def forward(self, image: Tensor) -> CropOutput:
        """Score (N, C, P, P) crops and compute heat maps of P/2 pixels a side."""
        net = self.network
        x = net.maxpool(net.act(net.bn1(net.conv1(image))))
        features = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            features.append(x)
        return self.head(features)
