"""Task: segment bones with a segmentation network or a promptable foundation model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.config import ConfigError
from jointwrist.data.preprocess import resize_image
from jointwrist.engine.batch_schema import SegmentationBatch, WristBatch
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.results.case_results import CaseResults
from jointwrist.engine.tasks.base import Losses, Task, process_weight
from jointwrist.engine.tasks.masks import load_segmenter, mask_losses, mask_results, target_masks
from jointwrist.engine.tasks.step_context import StepContext


class SegmentationTask(Task[WristBatch, SegmentationBatch, Tensor]):
    """Segment overlapping bones; the output is (B, C, N, N) mask logits."""

    def prepare(self, batch: WristBatch, training: bool) -> SegmentationBatch:
        """Augment in training, and resize for the network."""
        image, bits = batch["image"], batch["bones"]
        if training:
            image, bits = self.augment(image, bits[:, None])
            bits = bits[:, 0]
        return {
            **batch,
            "image": resize_image(image, self.config.image_size),
            "masks": target_masks(bits, self.config, self.anatomy),
        }

    def forward(self, model: nn.Module, batch: SegmentationBatch) -> Tensor:
        """Segment the images."""
        return model(batch["image"])

    def output_losses(self, output: Tensor, batch: SegmentationBatch, context: StepContext) -> Losses:
        """Weighted sum of the mask losses, and its parts."""
        weight = process_weight(torch.full((), len(output), device=output.device), context)
        parts = mask_losses(output, batch["masks"], self.config.segmentation, anatomy=self.anatomy)
        losses = {"loss": sum(parts.values()), **parts}
        return {name: weight * value for name, value in losses.items()}

    def case_results(self, output: Tensor, batch: SegmentationBatch) -> CaseResults:
        """Return one result per case and region."""
        results = mask_results(
            output,
            batch["masks"],
            batch["scores"],
            batch["identifier"],
            batch["patient"],
            batch["side"],
            self.config.segmentation.raw_output,
            self.anatomy,
        )
        return {"segmentation": results}


class FoundationTask(SegmentationTask):
    """Segment bones with a promptable model, prompted with the true masks or with those of another network.

    Args:
        config: Resolved configuration of the run.
        anatomy: Bones of the labels.

    Raises:
        ConfigError: The prompts are predicted boxes, but no network is named that predicts them.
    """

    def __init__(self, config: RunConfig, anatomy: Anatomy = WRIST):
        super().__init__(config, anatomy)
        self.segmenter = None
        if config.options.get("prompt_source", "").startswith("predicted"):
            if not config.joint.segmenter:
                raise ConfigError("prompts from predicted masks need a network: set joint.segmenter to a weight file")
            self.segmenter = load_segmenter(config, anatomy)

    def forward(self, model: nn.Module, batch: SegmentationBatch) -> Tensor:
        """Segment the images from their prompts."""
        if self.segmenter is None:
            return model(batch["image"], batch["masks"])
        network = self.segmenter.to(batch["image"].device)
        logits = network.segment(batch["image"]) if hasattr(network, "segment") else network(batch["image"])
        return model(batch["image"], logits > 0)
