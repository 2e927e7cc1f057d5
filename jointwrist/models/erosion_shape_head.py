"""The shape-based erosion head: compares the bone with its predicted uneroded form, at the radiograph's resolution."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.models.blocks import ChannelGain
from jointwrist.models.crop_network import VERSIONS, ShapeNetwork
from jointwrist.models.crops import cut, standardise
from jointwrist.models.ordinal_head import OrdinalHead
from jointwrist.ops.roi import common_boxes, jitter_boxes, joint_masks

#: Mask channels of a crop: the joint's bone, the articulating bones, all other bones.
MASK_CHANNELS = 3
#: Extent figures of a joint: eroded and lost share of the healthy contour, depth, area, highest pixels.
EXTENT_FIGURES = 5
#: Largest depth that is measured, in steps of two crop pixels, and the unit of the figure of the depth in crop pixels.
_STEPS, _DEPTH_UNIT = 10, 10.0
#: Logit of a pixel that is called; its sigmoid is 1 in float32.
_SURE = 30.0


class ShapeErosionOutput(NamedTuple):
    """Output of the head for J joint surfaces and crops of P x P pixels.

    Attributes:
        logits: (B, J, K) logits of P(level > k), K = 3.
        boxes: (B, J, 4) boxes of the crops in input pixels; all of one wrist have the same side.
        valid: (B, J) bool, False where the bone was not found.
        heat_maps: (B, J, P, P) logits of eroded pixels.
        crops: (B, J, P, P) image crops, for display.
        bone_shapes: (B, J, 2, P, P) logits of the bone with its erosion, and before erosion.
        extent: (B, J, 3) what is eroded where the heat map is above 0: share of the healthy contour that faces an
            articulating bone; depth below that contour in input pixels; area in squared input pixels.
        further_logits: (B, F, J, K') logits of the F further scores, or None.
    """

    logits: Tensor
    boxes: Tensor
    valid: Tensor
    heat_maps: Tensor
    crops: Tensor
    bone_shapes: Tensor
    extent: Tensor
    further_logits: Tensor | None


class ShapeErosionHead(OrdinalHead):
    """Score joint surfaces by the difference between the bone and its predicted form before erosion.

    Crops have the same size in mm for all joints of a wrist and are cut from the radiograph's own pixels. The masks of
    the network are refined there, as in PointRend (arXiv 1912.08193): the bone with and without its erosion are the
    logits of its mask and what the crop network adds. The score depends on the share of the healthy contour that is
    eroded (which the Sharp/van der Heijde score grades), its depth, and the features of the crop.

    Args:
        feature_channels: Channels of the decoder features at stride 2.
        channels: First width of the crop network.
        crop: Side of a crop in pixels, a multiple of 8.
        dim: Hidden width of the score.
        use_masks: Use the masks. False leaves only the boxes, which follow from the masks.
        feature_grad_scale: Factor of the erosion gradient that reaches the decoder features.
        jitter: Largest random shift and scaling of the boxes in training, as a fraction of their side.
        other_hand: Let each joint see the descriptor of the same joint of the patient's other hand.
        anatomy: Joints and scores.
        version: Version of the head.
    """

    def __init__(
        self,
        feature_channels: int,
        channels: int = 32,
        crop: int = 144,
        dim: int = 96,
        use_masks: bool = True,
        feature_grad_scale: float = 0.1,
        jitter: float = 0.1,
        other_hand: bool = False,
        anatomy: Anatomy = WRIST,
        version: int = VERSIONS[-1],
    ):
        super().__init__(anatomy, dim)
        self.crop, self.jitter, self.use_masks, self.feature_grad_scale = crop, jitter, use_masks, feature_grad_scale
        self.squeeze = nn.Conv2d(feature_channels, channels // 2, 1)
        # version 1 takes the features in full from the start
        self.local_gain = ChannelGain(channels // 2) if version > 1 else nn.Identity()
        self.network = ShapeNetwork(1 + MASK_CHANNELS, channels // 2, channels, version)
        self.token = nn.Linear(self.network.out_channels + EXTENT_FIGURES, dim)
        self.joint_embedding = nn.Parameter(torch.randn(len(self.joints), dim) * 0.02)
        self.other_embedding = nn.Linear(dim, dim) if other_hand else None
        self.score = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, 1))
        #: Weights of the extent figures in the score, beside what the token adds.
        self.extent_gain = nn.Parameter(torch.tensor([4.0, 0.0, 0.0, 0.0, 0.3]))

    def forward(
        self, masks: Tensor, features: Tensor, detail: Tensor, other: Tensor | None = None
    ) -> ShapeErosionOutput:
        """Score the joint surfaces.

        Args:
            masks: (B, bones, H, W) probabilities at the network's input size.
            features: (B, C, H/2, W/2) decoder features.
            detail: (B, 1, H', W') image that the crops are taken from, with the same field of view.
            other: (B,) batch index of the patient's other hand, negative where it is not in the batch.
        """
        size, joints = masks.shape[-1], len(self.joints)
        features = self.feature_grad_scale * features + (1 - self.feature_grad_scale) * features.detach()
        boxes, valid = common_boxes(F.avg_pool2d(masks.detach(), 2, ceil_mode=True), size, joints=self.joints)
        view = jitter_boxes(boxes, self.jitter) if self.training else boxes

        image = cut(detail, view, detail.shape[-1] / size, self.crop)
        local = cut(self.local_gain(self.squeeze(features)), view, features.shape[-1] / size, self.crop // 2)
        bones = self._bone_crops(masks, view)
        found = self.network(torch.cat([standardise(image), bones.to(image.dtype)], 1), local)

        planes = found.planes.float()
        drawn = planes[:, :2]
        if self.use_masks:
            drawn = drawn + bones[:, :1].float().clamp(0.002, 0.998).logit()
        figures = extent_figures(drawn, planes[:, 2:], bones[:, 1:2].float())
        token = self.token(torch.cat([found.described, figures.to(found.described.dtype)], 1))
        token = token.unflatten(0, (-1, joints)) + self.joint_embedding
        if self.other_embedding is not None and other is not None:
            there = (other >= 0)[:, None, None]
            token = token + torch.where(there, self.other_embedding(token[other.clamp_min(0)]), 0.0)
        hidden = self.score[:-1](token)
        value = self.score[-1](hidden).squeeze(-1) + (figures @ self.extent_gain).unflatten(0, (-1, joints))
        return ShapeErosionOutput(
            self.ordinal_logits(value),
            view,
            valid,
            planes[:, 2].unflatten(0, (-1, joints)),
            image.unflatten(0, (-1, joints)).squeeze(2),
            drawn.unflatten(0, (-1, joints)),
            self._extent(drawn, planes[:, 2:], bones[:, 1:2].float(), view),
            self.further_logits(hidden),
        )

    @torch.no_grad()
    def _extent(self, drawn: Tensor, eroded: Tensor, articulating: Tensor, view: Tensor) -> Tensor:
        """Measure the eroded area after thresholding each pixel; see `ShapeErosionOutput.extent`."""
        called = torch.where(eroded > 0, _SURE, -_SURE)
        figures = extent_figures(drawn, called, articulating).unflatten(0, (-1, len(self.joints)))
        share, _, depth, area, _ = figures.unbind(-1)
        side = view[..., 2] - view[..., 0]
        return torch.stack([share, depth * _DEPTH_UNIT * side / self.crop, (area * side) ** 2], -1)

    def _bone_crops(self, masks: Tensor, view: Tensor) -> Tensor:
        """Crop (B*J, 3, P, P) probabilities of the joint's bone, the articulating bones and all others."""
        if not self.use_masks:
            return view.new_zeros(view[..., 0].numel(), MASK_CHANNELS, self.crop, self.crop)
        own, articulating = joint_masks(masks, self.joints)
        rest = masks.float().sum(1, keepdim=True) - own - articulating
        stack = torch.stack([own, articulating, rest.clamp(0, 1)], 2).flatten(0, 1)
        return cut(stack, view.flatten(0, 1)[:, None], 1.0, self.crop)


def extent_figures(drawn: Tensor, eroded: Tensor, articulating: Tensor) -> Tensor:
    """Measure the erosion of N joints on crops of P x P pixels, differentiably.

    Args:
        drawn: (N, 2, P, P) logits of the bone with its erosion, and before erosion.
        eroded: (N, 1, P, P) logits of eroded pixels.
        articulating: (N, 1, P, P) probabilities of the articulating bones.

    Returns:
        (N, 5): eroded share of the healthy contour that faces an articulating bone; share of it that is no longer
        bone; depth of the erosion below that contour in units of 10 crop pixels; square root of the eroded area,
        relative to the side; mean of the highest logits.
    """
    whole = F.avg_pool2d(eroded, 2)
    bitten, near = whole.sigmoid(), F.avg_pool2d(articulating, 2)
    now, before = F.avg_pool2d(drawn, 2).sigmoid().split(1, 1)
    lost = (before - now).clamp_min(0)
    before = before.detach()
    radius = max(before.shape[-1] // 7, 1)
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
        near = F.max_pool2d(near, kernel, 1, (kernel[0] // 2, kernel[1] // 2))
    band = (before + F.max_pool2d(-before, 3, 1, 1)) * near
    length = band.sum((-2, -1)).clamp_min(4.0)
    inside, depth = before, torch.zeros_like(before)
    for _ in range(_STEPS):
        depth = depth + inside
        inside = -F.max_pool2d(-inside, 3, 1, 1)
    count = whole[0].numel()
    reach = (bitten * depth).flatten(1).topk(min(9, count), 1).values.mean(1, keepdim=True)
    area = bitten.mean((-2, -1)).clamp_min(1e-8).sqrt()
    peak = whole.flatten(1).topk(min(25, count), 1).values.mean(1, keepdim=True)
    shares = [(band * plane).sum((-2, -1)) / length for plane in (bitten, lost)]
    return torch.cat([*shares, 2 / _DEPTH_UNIT * reach, area, peak], 1)
