"""The joint network: a shared encoder, a decoder for bone masks, and an erosion head driven by these masks."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy, anatomy_info
from jointwrist.hub_mixin import PretrainedMixin
from jointwrist.models.crop_network import VERSIONS as HEAD_VERSIONS
from jointwrist.models.decoder import Decoder, DecoderOutput
from jointwrist.models.encoder import build_encoder
from jointwrist.models.encoder_sizes import VERSIONS
from jointwrist.models.erosion_head import ErosionHead
from jointwrist.models.erosion_shape_head import ShapeErosionHead
from jointwrist.models.feature_balance import FeatureBalance
from jointwrist.registry import ModelSpec, register_model


class JointOutput(NamedTuple):
    """Output of the joint network, B images of H x W pixels, C bones and J joints; logits throughout.

    Attributes:
        mask_logits: (B, C, H, W) bone masks.
        distance_logits: (B, C, H, W); their tanh is tanh(d / 4 px) of the signed distance d to the bone's boundary.
        erosion_logits: (B, J, K) of P(level > k), K = 3.
        roi_boxes: (B, J, 4) boxes of the joint crops in input pixels.
        roi_valid: (B, J) bool, False where the bone was not found.
        erosion_heat_maps: (B, J, M, M) erosion at each pixel of the crop; M is P, or P/2 with pooled features.
        crops: (B, J, P, P) image crops, the input of the head.
        bone_shapes: (B, J, 2, P, P) the joint's bone with its erosion and before erosion, in its crop; None with pooled
            features.
        erosion_extent: (B, J, 3) eroded share of the healthy contour, depth in input pixels, and area in squared input
            pixels; None with pooled features.
        further_logits: (B, F, J, K') of P(level > k) of the anatomy's F further scores, K' that of the score with most
            levels; None of an anatomy that has erosion alone.
        coarse_logits: Bone masks at strides 8, 4 and 2, in training with deep supervision; otherwise empty.
    """

    mask_logits: Tensor
    distance_logits: Tensor
    erosion_logits: Tensor
    roi_boxes: Tensor
    roi_valid: Tensor
    erosion_heat_maps: Tensor
    crops: Tensor
    bone_shapes: Tensor | None = None
    erosion_extent: Tensor | None = None
    further_logits: Tensor | None = None
    coarse_logits: tuple[Tensor, ...] = ()


#: Erosion heads, with their first width and the side of a crop.
EROSION_HEADS = {"pooled": (ErosionHead, 32, 64), "shapes": (ShapeErosionHead, 32, 144)}


class JointWrist(PretrainedMixin, nn.Module):
    """Shared encoder, bone decoder and erosion head.

    Args:
        encoder: Encoder kind: "hybrid", "mamba", "swin" or "conv".
        size: Encoder size: "tiny" or "base".
        widths: Decoder channels at strides 16, 8, 4, 2, 1.
        erosion_head: "pooled" (features pooled in the masks beside small crops, the form of version 0.1) or "shapes"
            (the bone with and without its erosion, in crops of the radiograph's own pixels).
        roi_channels: First width of the crop network; None takes 32.
        roi_crop: Side of a joint crop, a multiple of 8; None takes that of the head, 64 or 144.
        roi_dim: Width of a joint token.
        use_masks: Let the erosion head see the masks; without, they only place the crops.
        other_hand: Let the joints see those of the patient's other hand.
        feature_grad_scale: Factor of the erosion gradient that reaches the shared features.
        drop_path: Stochastic depth rate of the encoder.
        scan_backend: Backend of the selective scan.
        checkpoint: Recompute encoder activations in the backward pass instead of storing them.
        encoder_version: Version of the encoder; 1 and 2 build those of earlier releases (1: padded windows, other MLP
            widths; 2: scans at strides 4 and 8).
        deep_supervision: Add mask heads at strides 8, 4 and 2, for training.
        encoder_layout: Blocks of a hybrid encoder, as "cc-cc-LLa-aa"; see `jointwrist.models.encoder_sizes`.
        head_version: Version of the erosion head; 1 normalises each crop by itself, as in earlier releases.
        anatomy: Bones, joints and scores.

    Raises:
        ValueError: The erosion head or its version is unknown, `roi_crop` is not a multiple of 8, `roi_channels` is
            below 2, or the anatomy has no joints.
    """

    def __init__(
        self,
        encoder: str = "hybrid",
        size: str = "tiny",
        widths: tuple[int, ...] = (96, 64, 48, 32, 24),
        erosion_head: str = "pooled",
        roi_channels: int | None = None,
        roi_crop: int | None = None,
        roi_dim: int = 96,
        use_masks: bool = True,
        other_hand: bool = False,
        feature_grad_scale: float = 0.1,
        drop_path: float = 0.0,
        scan_backend: str = "auto",
        checkpoint: bool = False,
        anatomy: Anatomy = WRIST,
        encoder_version: int = VERSIONS[-1],
        encoder_layout: str = "",
        deep_supervision: bool = False,
        head_version: int = HEAD_VERSIONS[-1],
    ):
        super().__init__()
        if not anatomy.joints:
            raise ValueError(f"the anatomy {anatomy.name} has no joints to score; train a segmentation network")
        self.encoder = build_encoder(
            encoder, size, 1, drop_path, scan_backend, checkpoint, encoder_version, encoder_layout
        )
        self.decoder = Decoder(self.encoder.channels, tuple(widths), len(anatomy.bones), deep_supervision)
        if erosion_head not in EROSION_HEADS:
            raise ValueError(f"erosion head {erosion_head!r} is unknown; choose one of {', '.join(EROSION_HEADS)}")
        if head_version not in HEAD_VERSIONS:
            known = ", ".join(map(str, HEAD_VERSIONS))
            raise ValueError(f"version {head_version!r} of the erosion head is unknown; choose one of {known}")
        head, channels, crop = EROSION_HEADS[erosion_head]
        if roi_crop is not None and (roi_crop < 8 or roi_crop % 8):
            raise ValueError(f"roi_crop is {roi_crop}; it must be a positive multiple of 8")
        if roi_channels is not None and roi_channels < 2:
            raise ValueError(f"roi_channels is {roi_channels}; it must be at least 2")
        self.erosion = head(
            widths[-2],
            channels if roi_channels is None else roi_channels,
            crop if roi_crop is None else roi_crop,
            roi_dim,
            use_masks,
            feature_grad_scale,
            other_hand=other_hand,
            anatomy=anatomy,
            version=head_version,
        )

    def segment(self, image: Tensor) -> Tensor:
        """Compute mask logits (B, C, H, W) of (B, 1, H, W) images, without the erosion head."""
        return self._decode(image).mask_logits

    def _decode(self, image: Tensor, balance: FeatureBalance | None = None) -> DecoderOutput:
        """Encode and decode; in evaluation mode the decoder computes in float32 also under autocast.

        The joint boxes follow from thresholded masks, which rounding to 16 bits would change.
        """
        features = self.encoder(image)
        device = image.device.type
        if self.training or not torch.is_autocast_enabled(device):
            return self.decoder(features, balance)
        with torch.autocast(device, enabled=False):
            return self.decoder([feature.float() for feature in features])

    def forward(
        self,
        image: Tensor,
        detail: Tensor | None = None,
        forced_masks: Tensor | None = None,
        forced: Tensor | None = None,
        other: Tensor | None = None,
        mask_grad_scale: float = 0.0,
        balance: FeatureBalance | None = None,
    ) -> JointOutput:
        """Segment and score.

        Args:
            image: (B, 1, H, W) in [0, 1].
            detail: (B, 1, H', W') the same field of view for the joint crops; None takes `image`.
            forced_masks: (B, C, H, W) masks that drive the erosion head in place of the predicted ones, in training
                the true ones (teacher forcing).
            forced: (B,) bool, the images that use `forced_masks`; None means all.
            other: (B,) index in the batch of the patient's other hand, negative where it is not in the batch; None if
                no other hand is.
            mask_grad_scale: Share of the erosion gradient that reaches the predicted masks.
            balance: How the erosion gradient at the shared features is combined with that of the masks; None adds it,
                times `feature_grad_scale`.
        """
        decoded = self._decode(image, balance)
        masks = decoded.mask_logits.float().sigmoid()
        detached = masks.detach()
        masks = mask_grad_scale * masks + (1 - mask_grad_scale) * detached if mask_grad_scale else detached
        if forced_masks is not None:
            chosen = torch.ones(len(image), dtype=torch.bool, device=image.device) if forced is None else forced
            masks = torch.where(chosen[:, None, None, None], forced_masks.to(masks.dtype), masks)
        erosion = self.erosion(masks, decoded.features, image if detail is None else detail, other)
        *of_erosion, further = erosion
        return JointOutput(
            decoded.mask_logits,
            decoded.distance_logits,
            *of_erosion,
            further_logits=further,
            coarse_logits=decoded.coarse_logits,
        )


#: Former names of options.
RENAMED_OPTIONS = {"feature_gradient": "feature_grad_scale"}
#: Versions of parts: that of weight files which do not state it, and the latest.
PART_VERSIONS = {
    "encoder_version": (VERSIONS[0], VERSIONS[-1]),
    "head_version": (HEAD_VERSIONS[0], HEAD_VERSIONS[-1]),
}


def _spec(name: str, parameters: int) -> ModelSpec:
    return ModelSpec(
        name=name,
        task="joint",
        published_name=None,
        paper="this project",
        licence="Apache-2.0",
        code="jointwrist.models.joint",
        parameters=parameters,
        input_size=512,
    )


@register_model(_spec("jointwrist_tiny", 1_975_370), RENAMED_OPTIONS, PART_VERSIONS)
def jointwrist_tiny(**options) -> JointWrist:
    """Build the joint network of about 2.0 M parameters."""
    return _built("jointwrist_tiny", options)


@register_model(_spec("jointwrist_base", 38_487_984), RENAMED_OPTIONS, PART_VERSIONS)
def jointwrist_base(**options) -> JointWrist:
    """Build the joint network of about 38 M parameters."""
    base = {"size": "base", "widths": (384, 192, 96, 64, 32), "roi_channels": 64, "roi_crop": 96, "roi_dim": 256}
    return _built("jointwrist_base", options, base)


def _built(name: str, options: dict[str, Any], defaults: dict[str, Any] | None = None) -> JointWrist:
    model = JointWrist(**{**(defaults or {}), **options})
    plain = {key: value for key, value in options.items() if key != "anatomy"}
    model.info = {"model": name, "options": plain, **anatomy_info(options.get("anatomy", WRIST))}
    return model
