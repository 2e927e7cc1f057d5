"""Encoder and decoder of the joint network as a segmentation network, for anatomies without joints: a plug-in.

python benchmarks/run_all.py --plugin benchmarks/mask_network.py --models jointwrist_masks ...
"""

from __future__ import annotations

from torch import Tensor, nn

from jointwrist.anatomy import WRIST
from jointwrist.models.decoder import Decoder
from jointwrist.models.encoder import build_encoder
from jointwrist.registry import ModelSpec, register_model

#: Decoder channels at strides 16, 8, 4, 2, 1, as of `jointwrist_tiny`.
WIDTHS = (96, 64, 48, 32, 24)


class MaskNetwork(nn.Module):
    """Masks without an erosion head; the distance head of the decoder is not trained.

    Args:
        in_channels: Channels of the images.
        bones: Number of bones, C.
        encoder: Kind of the encoder, as of `jointwrist_tiny`.
    """

    def __init__(self, in_channels: int, bones: int, encoder: str):
        super().__init__()
        self.encoder = build_encoder(encoder, in_channels=in_channels)
        self.decoder = Decoder(self.encoder.channels, WIDTHS, bones)
        self.decoder.distance_head.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Compute mask logits (B, C, H, W) of (B, 1, H, W) images."""
        return self.decoder(self.encoder(image)).mask_logits


@register_model(
    ModelSpec(
        name="jointwrist_masks",
        task="segmentation",
        published_name=None,
        paper="this project",
        licence="Apache-2.0",
        code="benchmarks/mask_network.py",
        parameters=1_431_616,
        input_size=512,
    )
)
def jointwrist_masks(in_channels: int = 1, num_classes: int = len(WRIST.bones), encoder: str = "hybrid") -> nn.Module:
    """Build the network."""
    return MaskNetwork(in_channels, num_classes, encoder)
