"""Bone masks of a batch: targets, losses and per-case results, for the segmentation and the joint task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.mask_resize import resize_bits
from jointwrist.data.preprocess import unpack_bits
from jointwrist.engine.config.run_config import RunConfig, SegmentationConfig
from jointwrist.losses import cross_entropy, dice_loss, overlap_dice_loss, signed_distance
from jointwrist.metrics.segmentation_results import segmentation_results
from jointwrist.ops.roi import joint_regions
from jointwrist.weights.checkpoint import load_weights
from jointwrist.weights.find import find_weights
from jointwrist.weights.model_from_metadata import refuse_other_anatomy

#: Reach of the weights near joint contours as a share of the image side: 3 mm of a field of view of 90 mm.
CONTOUR_REACH = 1 / 30


def load_segmenter(config: RunConfig, anatomy: Anatomy) -> nn.Module:
    """Load the network of `joint.segmenter`.

    Raises:
        DataError: The file cannot be read, or its network was trained for another anatomy.
    """
    path = find_weights(config.joint.segmenter)
    model, info = load_weights(path)
    refuse_other_anatomy(path, info, anatomy)
    return model


def target_masks(bits: Tensor, config: RunConfig, anatomy: Anatomy = WRIST) -> Tensor:
    """Unpack (B, M, M) bit maps into (B, C, N, N) masks of the network's size; datasets resize them for evaluation."""
    return unpack_bits(resize_bits(bits, config.image_size, config.mask_resize), len(anatomy.bones))


def mask_losses(
    logits: Tensor,
    masks: Tensor,
    config: SegmentationConfig,
    images: Tensor | None = None,
    anatomy: Anatomy = WRIST,
) -> dict[str, Tensor]:
    """Return the weighted losses of mask logits that a configuration requests.

    Args:
        logits: (B, C, N, N) mask logits.
        masks: (B, C, N, N) true masks.
        config: Weights of the losses.
        images: (B,) bool, the images that have masks; None means all.
        anatomy: The bones, C.
    """
    values = logits if config.raw_output else logits.float().sigmoid()
    pixels = contour_weights(masks, config.joint_contours, anatomy) if config.joint_contours else None
    losses = {"dice": config.dice * dice_loss(values, masks, config.squared, images=images, pixels=pixels)}
    if config.bce:
        losses["bce"] = config.bce * cross_entropy(logits, masks, images=images, pixels=pixels)
    if config.overlap:
        probability = logits.float().sigmoid() if config.raw_output else values
        losses["overlap"] = config.overlap * overlap_dice_loss(probability, masks, images, anatomy)
    return losses


@torch.no_grad()
def contour_weights(masks: Tensor, more: float, anatomy: Anatomy = WRIST) -> Tensor:
    """Weigh the pixels near the contours of the joint surfaces more than the others.

    Args:
        masks: (B, C, N, N) true masks.
        more: Additional weight of pixels within `CONTOUR_REACH` of such a contour, before normalisation.
        anatomy: Bones and joints.

    Returns:
        (B, 1, N, N) weights with a mean of 1 over each image.
    """
    half = F.avg_pool2d(masks, 2, ceil_mode=True)
    radius = max(round(CONTOUR_REACH * half.shape[-1]), 1)
    distance = signed_distance((joint_regions(half, joints=anatomy.joints).joint > 0.5).float(), radius + 1).abs()
    near = (distance <= radius).any(1, keepdim=True).float()
    weights = 1 + more * F.interpolate(near, masks.shape[-2:], mode="nearest")
    return weights / weights.mean((-2, -1), keepdim=True)


def coarse_losses(
    coarse: Sequence[Tensor], masks: Tensor, config: SegmentationConfig, images: Tensor | None = None
) -> Tensor:
    """Return the weighted mean loss of mask logits at coarser resolutions (deep supervision, arXiv 1409.5185).

    Args:
        coarse: (B, C, n, n) mask logits, one tensor per resolution.
        masks: (B, C, N, N) true masks, which are averaged over the coarser pixels.
        config: Weights of the losses.
        images: (B,) bool, the images that have masks; None means all.
    """
    each = []
    for logits in coarse:
        target = F.adaptive_avg_pool2d(masks, logits.shape[-2:])
        dice = dice_loss(logits.float().sigmoid(), target, images=images)
        each.append(dice + cross_entropy(logits, target, images=images))
    return config.deep_supervision * sum(each) / len(each)


def mask_results(
    logits: Tensor,
    masks: Tensor,
    scores: Tensor,
    identifiers: Sequence[str],
    patients: Sequence[str],
    sides: Sequence[str],
    raw_output: bool,
    anatomy: Anatomy = WRIST,
) -> list[dict[str, Any]]:
    """Compare predicted with true masks: one result per case and bone, and per case and overlap pair.

    Args:
        logits: (B, C, N, N) mask logits.
        masks: (B, C, N, N) true masks.
        scores: (B, J) erosion scores.
        identifiers: Identifiers of the B cases.
        patients: Patients of the B cases.
        sides: Sides of the B cases.
        raw_output: Apply the threshold .5 to the logits themselves (`SegmentationConfig.raw_output`).
        anatomy: The bones, C, and joints, J.
    """
    predicted = (logits.float() > (0.5 if raw_output else 0.0)).cpu().numpy()
    truth, known = masks.bool().cpu().numpy(), scores.cpu().numpy()
    return [
        result
        for i, case in enumerate(identifiers)
        for result in segmentation_results(
            case=case,
            patient=patients[i],
            side=sides[i],
            scores=known[i],
            predicted=predicted[i],
            truth=truth[i],
            anatomy=anatomy,
        )
    ]
