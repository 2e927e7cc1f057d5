"""Losses of pairs of real radiographs with and without inserted erosions.

In a batch, the radiograph with erosions directly precedes the one without. Ground truth exists for the inserted
erosions only: we know which joints are eroded, that they are more eroded than in the radiograph without, and which
pixels were removed.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from jointwrist.anatomy import JOINTS, NUM_JOINTS
from jointwrist.engine.batch_schema import JointBatch
from jointwrist.engine.config.radiographs_config import RadiographsConfig
from jointwrist.engine.tasks.base import process_weight
from jointwrist.engine.tasks.erosion_losses import crops_of
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.models.joint import JointOutput

#: Width around an inserted erosion within which the ground truth is known too, as a share of the crop's side.
_AROUND = 1 / 12
#: Weights of eroded pixels, and of bone that was lost, against the others around them.
_ERODED, _LOST = 3.0, 5.0


def pair_losses(
    output: JointOutput, batch: JointBatch, config: RadiographsConfig, context: StepContext
) -> dict[str, Tensor]:
    """Return the losses of the pairs in a batch; all are 0 without pairs.

    Returns:
        `pair_order`: softplus of the difference of the logits of P(level > 0) without and with the erosion (RankNet,
        Burges et al. 2005), and of the negative logit with it. `pair_agree`: difference of the other joints.
        `pair_level`: how far their mean logit lies above `config.untouched`. `pair_map`: eroded pixels around the
        erosions. `pair_shapes`, for a shape-based head: the bone with and without its erosion, at the same pixels.
    """
    inserted = batch["inserted"]
    with_erosion = inserted.any(1)
    without = with_erosion.roll(1)
    logit = output.erosion_logits[..., 0].float()
    there = output.roi_valid & output.roi_valid.roll(-1, 0)
    compared = with_erosion[:, None] & there
    other = logit.roll(-1, 0)

    def mean(values: Tensor, weights: Tensor) -> Tensor:
        total = weights.sum()
        return process_weight(total, context) * (values * weights).sum() / total.clamp_min(1e-6)

    order = F.softplus(other - logit) + F.softplus(-logit)
    untouched = (with_erosion | without)[:, None] & ~inserted & output.roi_valid
    limit = math.log(config.untouched / (1 - config.untouched))
    losses = {
        "pair_order": mean(order, (inserted & compared).float()),
        "pair_agree": config.agreement
        * mean(F.smooth_l1_loss(logit, other, reduction="none"), (~inserted & compared).float()),
        "pair_level": config.restraint * F.relu(mean(logit - limit, untouched.float())),
    }

    taken = torch.where(without[:, None, None], batch["eroded"].roll(1, 0), batch["eroded"])
    taken = torch.where((with_erosion | without)[:, None, None], taken, 0)
    place = crops_of(taken, list(range(NUM_JOINTS)), output, batch)
    radius = max(round(_AROUND * place.shape[-1]), 1)
    around = F.max_pool2d(place, 2 * radius + 1, 1, radius) * output.roi_valid[..., None, None]
    eroded = place * with_erosion[:, None, None, None]
    losses["pair_map"] = _map_loss(output.erosion_heat_maps.float(), eroded, around, mean)
    if output.bone_shapes is not None:
        bone = crops_of(batch["bones"], [joint.bone for joint in JOINTS], output, batch)
        before = torch.maximum(bone, eroded)
        truth = torch.stack([bone, before], 2)
        weights = (around * (1 + _LOST * (before - bone)))[:, :, None].expand_as(truth)
        errors = F.binary_cross_entropy_with_logits(output.bone_shapes.float(), truth, reduction="none")
        losses["pair_shapes"] = mean(errors, weights)
    return {name: config.weight * value for name, value in losses.items()}


def _map_loss(heat_maps: Tensor, eroded: Tensor, around: Tensor, mean) -> Tensor:
    """Cross-entropy of the eroded pixels around the erosions, at the resolution of the heat maps."""
    side = heat_maps.shape[-2:]
    target, where = F.adaptive_avg_pool2d(eroded, side), F.adaptive_max_pool2d(around, side)
    errors = F.binary_cross_entropy_with_logits(heat_maps, target, reduction="none")
    return mean(errors, where * (1 + (_ERODED - 1) * target))
