"""The ROI erosion head: an ordinal erosion level per joint surface, from regions of interest of the predicted masks."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.models.blocks import ChannelGain
from jointwrist.models.crop_network import VERSIONS, CropNetwork
from jointwrist.models.crops import cut, standardise
from jointwrist.models.ordinal_head import OrdinalHead
from jointwrist.ops.roi import jitter_boxes, joint_regions, masked_mean, moment_boxes

#: Mask channels of a crop: joint region, articulating bones, boundary band.
MASK_CHANNELS = 3


class ErosionOutput(NamedTuple):
    """Output of the erosion head, for J joint surfaces.

    Attributes:
        logits: (B, J, K) logits of P(level > k), K = 3.
        boxes: (B, J, 4) boxes of the crops in input pixels.
        valid: (B, J) bool, False where the bone was not found.
        heat_maps: (B, J, P/2, P/2) logits of erosion at each pixel of the crop.
        crops: (B, J, P, P) image crops, for display.
        further_logits: (B, F, J, K') logits of the F further scores, or None.
    """

    logits: Tensor
    boxes: Tensor
    valid: Tensor
    heat_maps: Tensor
    crops: Tensor
    further_logits: Tensor | None


class ErosionHead(OrdinalHead):
    """Ordinal erosion level of each joint surface, from bone masks, decoder features and the image.

    Args:
        feature_channels: Channels of the decoder features at stride 2.
        channels: First width of the crop network.
        crop: Side of a crop in pixels.
        dim: Width of a joint's token.
        use_masks: Use mask channels and mask pooling. False leaves only the boxes, which follow from the masks.
        feature_grad_scale: Factor of the gradient that reaches the decoder features. Pooling divides by small areas,
            so that the unscaled gradient would dominate that of segmentation.
        jitter: Largest random shift and scaling of the boxes in training, as a fraction of their side.
        top: Number of highest heat map pixels whose mean enters the token.
        other_hand: Let the joints attend to those of the patient's other hand, where it is in the batch.
        anatomy: Joints and scores.
        version: Version of the head.
    """

    def __init__(
        self,
        feature_channels: int,
        channels: int = 32,
        crop: int = 64,
        dim: int = 96,
        use_masks: bool = True,
        feature_grad_scale: float = 0.1,
        jitter: float = 0.1,
        top: int = 25,
        other_hand: bool = False,
        anatomy: Anatomy = WRIST,
        version: int = VERSIONS[-1],
    ):
        super().__init__(anatomy, dim)
        self.crop, self.jitter, self.top, self.use_masks = crop, jitter, top, use_masks
        self.feature_grad_scale = feature_grad_scale
        self.squeeze = nn.Conv2d(feature_channels, channels // 2, 1)
        # version 1 takes the features in full from the start
        self.local_gain = ChannelGain(channels // 2) if version > 1 else nn.Identity()
        self.pooled_gain = ChannelGain(3 * feature_channels) if version > 1 else nn.Identity()
        self.network = CropNetwork(1 + MASK_CHANNELS, channels // 2, channels, version)
        self.token = nn.Linear(self.network.out_channels + 3 * feature_channels + 1, dim)
        self.joint_embedding = nn.Parameter(torch.randn(len(self.joints), dim) * 0.02)
        self.other_embedding = nn.Parameter(torch.randn(dim) * 0.02) if other_hand else None
        layer = nn.TransformerEncoderLayer(
            dim, max(dim // 32, 1), 2 * dim, 0.0, "gelu", batch_first=True, norm_first=True
        )
        self.mixer = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)
        self.score = nn.Linear(dim, 1)
        self.map_gain = nn.Parameter(torch.tensor(0.3))

    def forward(self, masks: Tensor, features: Tensor, detail: Tensor, other: Tensor | None = None) -> ErosionOutput:
        """Score the joint surfaces.

        Args:
            masks: (B, bones, H, W) probabilities at the network's input size.
            features: (B, C, H/2, W/2) decoder features.
            detail: (B, 1, H', W') image that the crops are taken from, with the same field of view.
            other: (B,) batch index of the patient's other hand, negative where it is not in the batch.
        """
        batch, joints, size = len(masks), len(self.joints), masks.shape[-1]
        features = self.feature_grad_scale * features + (1 - self.feature_grad_scale) * features.detach()
        half = F.avg_pool2d(masks, 2, ceil_mode=True)
        regions = joint_regions(half, joints=self.joints)
        boxes, valid = moment_boxes(regions.joint, size / half.shape[-1])
        view = jitter_boxes(boxes, self.jitter) if self.training else boxes

        image = cut(detail, view, detail.shape[-1] / size, self.crop)
        local = cut(self.local_gain(self.squeeze(features)), view, features.shape[-1] / size, self.crop // 2)
        shapes = self._mask_crops(regions, view, half.shape[-1] / size)
        described, heat_maps, _ = self.network(torch.cat([standardise(image), shapes.to(image.dtype)], 1), local)
        pooled = torch.cat(
            [masked_mean(features, region) for region in (regions.joint, regions.boundary_band, regions.outer_band)],
            -1,
        )
        if not self.use_masks:
            pooled = torch.zeros_like(pooled)
        peak = heat_maps.flatten(1).topk(self.top, 1).values.mean(1, keepdim=True)
        pooled = self.pooled_gain(pooled.flatten(0, 1))
        token = self.token(torch.cat([described, pooled.to(described.dtype), peak.to(described.dtype)], 1))
        token = token.unflatten(0, (batch, joints)) + self.joint_embedding
        mixed = self.norm(self._mix(token, other))
        value = self.score(mixed).squeeze(-1)
        value = value + self.map_gain * peak.unflatten(0, (batch, joints)).squeeze(-1)
        return ErosionOutput(
            self.ordinal_logits(value),
            view,
            valid,
            heat_maps.unflatten(0, (batch, joints)).squeeze(2),
            image.unflatten(0, (batch, joints)).squeeze(2),
            self.further_logits(mixed),
        )

    def _mix(self, token: Tensor, other: Tensor | None) -> Tensor:
        """Mix the (B, J, dim) tokens of a wrist by attention, with those of the other hand where there is one."""
        if self.other_embedding is None or other is None:
            return self.mixer(token)
        joints = len(self.joints)
        absent = (other < 0)[:, None].expand(-1, joints)
        both = torch.cat([token, token[other.clamp_min(0)] + self.other_embedding], 1)
        return self.mixer(both, src_key_padding_mask=torch.cat([torch.zeros_like(absent), absent], 1))[:, :joints]

    def _mask_crops(self, regions, view: Tensor, scale: float) -> Tensor:
        """Crop (B*J, 3, P, P) joint region, articulating bones and boundary band of each joint."""
        if not self.use_masks:
            return view.new_zeros(view[..., 0].numel(), MASK_CHANNELS, self.crop, self.crop)
        stack = torch.stack([regions.joint, regions.articulating_bones, regions.boundary_band], 2).flatten(0, 1)
        return cut(stack, view.flatten(0, 1)[:, None], scale, self.crop)
