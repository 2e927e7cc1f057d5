"""Bones from a radiograph, by a network alone or by one that is prompted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jointwrist.anatomy import NUM_BONES
from jointwrist.config import ConfigError
from jointwrist.data.mask_resize import resize_bits
from jointwrist.data.preprocess import resize_image, unpack_bits
from jointwrist.engine.run_config import RunConfig
from jointwrist.engine.tasks.base import Task, alone, share
from jointwrist.losses import cross_entropy, dice_loss, overlap_dice_loss
from jointwrist.metrics.case_rows import segmentation_rows
from jointwrist.weights.checkpoint import load_weights


class SegmentationTask(Task):
    """14 overlapping bone masks from a radiograph."""

    def prepare(self, batch, training):
        """Augment and bring to the sizes of the network."""
        image, bits = batch["image"], batch["bones"]
        if training:
            image, bits = self.augment(image, bits[:, None])
            bits = bits[:, 0]
        return {**batch, "image": resize_image(image, self.config.image_size), "masks": self.resized_masks(bits)}

    def resized_masks(self, bits: Tensor) -> Tensor:
        """Masks (B, 14, S, S) at the size of the network; in evaluation the dataset has resized them already."""
        return unpack_bits(resize_bits(bits, self.config.image_size, self.config.mask_resize), NUM_BONES)

    def output_losses(self, output, batch, progress, across=alone):
        """Named losses of mask logits."""
        weight = share(torch.full((), len(output), device=output.device), across)
        return {name: weight * value for name, value in self._mask_losses(output, batch["masks"]).items()}

    def _mask_losses(self, logits: Tensor, masks: Tensor, images: Tensor | None = None) -> dict[str, Tensor]:
        config = self.config.segmentation
        values = logits if config.raw_output else logits.float().sigmoid()
        parts = {"dice": config.dice * dice_loss(values, masks, config.squared, images=images)}
        if config.bce:
            parts["bce"] = config.bce * cross_entropy(logits, masks, images=images)
        if config.overlap:
            parts["overlap"] = config.overlap * overlap_dice_loss(logits, masks, images)
        return {"loss": sum(parts.values()), **parts}

    def case_results(self, output, batch):
        """Rows of mask logits."""
        return {"segmentation": self.mask_results(output, batch)}

    def mask_results(self, logits: Tensor, batch: dict[str, Any]) -> list[dict[str, Any]]:
        """Compare masks with the truth: one row per case and bone, and per case and overlap pair."""
        threshold = 0.5 if self.config.segmentation.raw_output else 0.0
        predicted = (logits.float() > threshold).cpu().numpy()
        truth = batch["masks"].bool().cpu().numpy()
        scores = batch["scores"].cpu().numpy()
        return [
            row
            for i, case in enumerate(batch["identifier"])
            for row in segmentation_rows(
                case=case,
                patient=batch["patient"][i],
                side=batch["side"][i],
                scores=scores[i],
                predicted=predicted[i],
                truth=truth[i],
            )
        ]


class FoundationTask(SegmentationTask):
    """Bones of a promptable model, prompted with the true masks or with those of another network.

    Args:
        config: Resolved configuration of the run.

    Raises:
        ConfigError: The prompts are predicted boxes and no network is named that predicts them.
    """

    def __init__(self, config: RunConfig):
        super().__init__(config)
        self.segmenter = None
        if config.options.get("prompt_source", "").startswith("predicted"):
            if not config.joint.segmenter:
                raise ConfigError("prompts from predicted masks need a network: set joint.segmenter to a weight file")
            self.segmenter = load_weights(Path(config.joint.segmenter))[0]

    def forward(self, model, batch):
        """Mask logits of the prompted model."""
        if self.segmenter is None:
            return model(batch["image"], batch["masks"])
        network = self.segmenter.to(batch["image"].device)
        logits = network.segment(batch["image"]) if hasattr(network, "segment") else network(batch["image"])
        return model(batch["image"], logits > 0)
