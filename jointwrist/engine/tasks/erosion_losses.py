"""Losses of the joint network's erosion head: ordinal levels, heat maps, and the bone with and without its erosion."""

from __future__ import annotations

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.engine.batch_schema import JointBatch
from jointwrist.engine.config.run_config import ErosionConfig
from jointwrist.engine.tasks.base import heat_map_loss, process_weight
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.losses import ordinal_loss, score_levels
from jointwrist.models.joint import JointOutput
from jointwrist.ops.roi import crop_bits

#: Weights of a pixel in the losses of the bone's shapes: anywhere, near the healthy contour, and where bone was lost.
_ANYWHERE, _CONTOUR, _LOST = 0.1, 1.0, 5.0
#: Share of a heat map's pixels that speak for the joint in `map_score_loss`.
_HIGHEST = 1 / 40


def level_loss(
    output: JointOutput, batch: JointBatch, prior: Tensor | None, context: StepContext, anatomy: Anatomy = WRIST
) -> Tensor:
    """Cumulative cross-entropy of the levels of all joints that are scored and found."""
    levels = score_levels(batch["scores"], anatomy.erosion.levels)
    weight = process_weight(((levels >= 0) & output.roi_valid).sum(), context)
    return weight * ordinal_loss(output.erosion_logits, levels, output.roi_valid, prior)


def further_losses(
    output: JointOutput, batch: JointBatch, config: ErosionConfig, context: StepContext, anatomy: Anatomy
) -> dict[str, Tensor]:
    """Cumulative cross-entropy of the levels of the scores other than erosion, by the score's name."""
    losses = {}
    for number, score in enumerate(anatomy.further_scores):
        levels = score_levels(batch["further_scores"][:, number], score.levels)
        weight = process_weight(((levels >= 0) & output.roi_valid).sum(), context)
        logits = output.further_logits[:, number, :, : score.levels - 1]
        losses[score.name] = config.further_scores * weight * ordinal_loss(logits, levels, output.roi_valid)
    return losses


def map_score_loss(
    output: JointOutput, batch: JointBatch, config: ErosionConfig, context: StepContext, anatomy: Anatomy = WRIST
) -> Tensor:
    """Cross-entropy between the highest pixels of the heat maps and the scores (multiple-instance learning).

    A joint is eroded if some of its pixels are, so the mean logit of the highest pixels is trained to tell eroded from
    healthy joints. This needs no eroded pixels; joints whose eroded pixels are known have `pixel_losses` instead.
    """
    eroded_joints = _eroded_joints(anatomy, output.roi_valid.device)
    chosen = (batch["scores"] >= 0) & output.roi_valid & eroded_joints & ~batch["has_eroded"][:, None]
    pixels = output.erosion_heat_maps.float().flatten(2)
    highest = pixels.topk(max(round(_HIGHEST * pixels.shape[-1]), 1), -1).values.mean(-1)
    eroded = (batch["scores"] > 0).float()
    loss = F.binary_cross_entropy_with_logits(highest, eroded, weight=chosen.float(), reduction="sum")
    weight = process_weight(chosen.sum(), context)
    return config.map_scores * weight * loss / chosen.sum().clamp_min(1)


def pixel_losses(
    output: JointOutput, batch: JointBatch, config: ErosionConfig, context: StepContext, anatomy: Anatomy = WRIST
) -> dict[str, Tensor]:
    """Pixel losses of the erosion head in each crop.

    The eroded pixels of a joint are known if the batch contains them, or if the score is 0, in which case there are
    none. They are unknown if a pixel of its crop is in doubt. The bone before erosion is the bone mask together with
    its eroded pixels.

    Returns:
        `map`, of the eroded pixels; and, of a head that draws the bone, `shapes`.
    """
    sure = output.roi_valid & _sure(output, batch, anatomy) & _eroded_joints(anatomy, output.roi_valid.device)
    known = batch["has_eroded"][:, None] & sure
    eroded = crops_of(batch["eroded"], [joint.index for joint in anatomy.joints], output, batch)
    heat_maps = output.erosion_heat_maps
    if output.bone_shapes is None:
        target = F.adaptive_avg_pool2d(eroded, heat_maps.shape[-2:])
        return {"map": config.heat_map * _map_loss(heat_maps, target, known, context)}
    known = known | ((batch["scores"] == 0) & sure)
    losses = {"map": config.heat_map * _map_loss(heat_maps, eroded, known, context, rarity=3.0)}
    if config.shapes:
        bone = crops_of(batch["bones"], [joint.bone for joint in anatomy.joints], output, batch)
        drawn = batch["has_bones"][:, None] & output.roi_valid
        losses["shapes"] = config.shapes * _shape_loss(output.bone_shapes, bone, eroded, drawn, known, context)
    return losses


def _sure(output: JointOutput, batch: JointBatch, anatomy: Anatomy) -> Tensor:
    """Return the joints (B, J) bool of which no pixel is in doubt; such pixels have the bit after the joints."""
    doubt = len(anatomy.joints)
    return crops_of(batch["eroded"], [doubt] * doubt, output, batch).amax((-2, -1)) == 0


@cache
def _eroded_joints(anatomy: Anatomy, device: torch.device) -> Tensor:
    """Return (J,) bool, the joints that are scored for erosion; cached, as a copy to the GPU would wait for it."""
    return torch.tensor([joint in anatomy.erosion.joints for joint in range(len(anatomy.joints))], device=device)


def crops_of(bits: Tensor, planes: list[int], output: JointOutput, batch: JointBatch) -> Tensor:
    """Crop one mask of a (B, S, S) bit map per joint: (B, J, P, P) float32."""
    bit = torch.tensor([planes], device=bits.device)
    scale, side = bits.shape[-1] / batch["image"].shape[-1], output.crops.shape[-1]
    return crop_bits(bits[:, None], bit, output.roi_boxes, side, scale)[:, 0]


def _map_loss(heat_maps: Tensor, target: Tensor, known: Tensor, context: StepContext, rarity: float = 10.0) -> Tensor:
    """Loss of (B, J, M, M) heat maps where the eroded pixels are known, (B, J) bool."""
    logits, wanted = (maps.float().flatten(0, 1)[:, None] for maps in (heat_maps, target))
    return heat_map_loss(logits, wanted, known.flatten(), context, rarity)


def _shape_loss(
    shapes: Tensor, bone: Tensor, eroded: Tensor, drawn: Tensor, known: Tensor, context: StepContext
) -> Tensor:
    """Cross-entropy of the bone with and without its erosion, weighted most where the two differ.

    Args:
        shapes: (B, J, 2, P, P) logits.
        bone: (B, J, P, P) true masks.
        eroded: (B, J, P, P) eroded pixels.
        drawn: (B, J) bool, joints whose bone mask is known.
        known: (B, J) bool, joints whose eroded pixels are known.
        context: For the mean over processes.
    """
    before = torch.maximum(bone, eroded)
    edge = F.max_pool2d(before, 5, 1, 2) + F.max_pool2d(-before, 5, 1, 2)
    pixels = _ANYWHERE + _CONTOUR * edge + _LOST * (before - bone)
    weights = torch.stack([pixels * _each(drawn), pixels * _each(drawn & known)], 2)
    truth = torch.stack([bone, before], 2)
    total = weights.sum((0, 1, -2, -1))
    loss = F.binary_cross_entropy_with_logits(shapes.float(), truth, weight=weights, reduction="none")
    means = loss.sum((0, 1, -2, -1)) / total.clamp_min(1.0)
    return (process_weight(total, context) * means).sum()


def _each(joints: Tensor) -> Tensor:
    """Reshape (B, J) to (B, J, 1, 1)."""
    return joints[..., None, None]
