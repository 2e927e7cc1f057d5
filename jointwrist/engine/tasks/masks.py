"""Bone masks of a batch: targets, losses and per-case results, for the segmentation and the joint task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from jointwrist.anatomy import NUM_BONES
from jointwrist.data.mask_resize import resize_bits
from jointwrist.data.preprocess import unpack_bits
from jointwrist.engine.run_config import RunConfig, SegmentationConfig
from jointwrist.losses import cross_entropy, dice_loss, overlap_dice_loss
from jointwrist.metrics.segmentation_results import segmentation_results


def target_masks(bits: Tensor, config: RunConfig) -> Tensor:
    """Unpack (B, M, M) bit maps into (B, 14, N, N) masks of the network's size; datasets resize them for evaluation."""
    return unpack_bits(resize_bits(bits, config.image_size, config.mask_resize), NUM_BONES)


def mask_losses(
    logits: Tensor, masks: Tensor, config: SegmentationConfig, images: Tensor | None = None
) -> dict[str, Tensor]:
    """Return the weighted losses of mask logits that a configuration asks for.

    Args:
        logits: (B, 14, N, N) mask logits.
        masks: (B, 14, N, N) true masks.
        config: Weights of the losses.
        images: (B,) bool, the images that have masks; None means all.
    """
    values = logits if config.raw_output else logits.float().sigmoid()
    losses = {"dice": config.dice * dice_loss(values, masks, config.squared, images=images)}
    if config.bce:
        losses["bce"] = config.bce * cross_entropy(logits, masks, images=images)
    if config.overlap:
        losses["overlap"] = config.overlap * overlap_dice_loss(logits, masks, images)
    return losses


def mask_results(
    logits: Tensor,
    masks: Tensor,
    scores: Tensor,
    identifiers: Sequence[str],
    patients: Sequence[str],
    sides: Sequence[str],
    raw_output: bool,
) -> list[dict[str, Any]]:
    """Compare predicted with true masks: one result per case and bone, and per case and overlap pair.

    Args:
        logits: (B, 14, N, N) mask logits.
        masks: (B, 14, N, N) true masks.
        scores: (B, 6) erosion scores.
        identifiers: Of the B cases.
        patients: Of the B cases.
        sides: Of the B cases.
        raw_output: Apply the threshold .5 to the logits themselves (`SegmentationConfig.raw_output`).
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
        )
    ]
