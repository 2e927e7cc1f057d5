"""Task: pretrain an encoder on unlabelled radiographs by predicting the pixels of hidden patches."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.data.preprocess import resize_image
from jointwrist.engine.batch_schema import HiddenBatch, ImageBatch
from jointwrist.engine.results.case_results import CaseResults
from jointwrist.engine.tasks.base import Losses, Task, process_weight
from jointwrist.engine.tasks.step_context import StepContext

#: Seed of the patches that are hidden in evaluation, the same in every epoch.
_SEED = 0


class PretrainingTask(Task[ImageBatch, HiddenBatch, Tensor]):
    """Predict hidden patches; the output is (B, 1, N, N) pixels."""

    def prepare(self, batch: ImageBatch, training: bool) -> HiddenBatch:
        """Augment in training, resize for the network, and choose the patches to hide."""
        image = batch["image"]
        if training:
            image, _ = self.augment(image)
        image = resize_image(image, self.config.image_size)
        generator = None if training else torch.Generator().manual_seed(_SEED)
        hidden = hide_patches(len(image), image.shape[-1], self.config.pretraining.patch, self.share, generator)
        return {**batch, "image": image, "hidden": hidden.to(image.device, non_blocking=True)}

    @property
    def share(self) -> float:
        """Share of the patches that are hidden."""
        return self.config.pretraining.hidden

    def forward(self, model: nn.Module, batch: HiddenBatch) -> Tensor:
        """Predict the images."""
        return model(batch["image"], batch["hidden"])

    def output_losses(self, output: Tensor, batch: HiddenBatch, context: StepContext) -> Losses:
        """Mean absolute error of the hidden pixels."""
        weight = process_weight(torch.full((), len(output), device=output.device), context)
        hidden = batch["hidden"].float()
        error = (output.float() - batch["image"]).abs() * hidden
        return {"loss": weight * error.sum() / hidden.sum().clamp_min(1)}

    def case_results(self, output: Tensor, batch: HiddenBatch) -> CaseResults:
        """Return nothing: pixels are not measured case by case."""
        return {}


def hide_patches(count: int, side: int, patch: int, share: float, generator: torch.Generator | None = None) -> Tensor:
    """Choose square patches at random, the same number in every image.

    Args:
        count: Number B of images.
        side: Side N of the images in pixels.
        patch: Side of a patch; those at the border may be smaller.
        share: Share of the patches that are hidden, at least one and not all.
        generator: Source of randomness; None takes PyTorch's.

    Returns:
        (B, 1, N, N) bool, True where a pixel is hidden.
    """
    places = -(-side // patch)
    number = min(max(round(share * places**2), 1), max(places**2 - 1, 1))
    rank = torch.rand(count, places**2, generator=generator).argsort(1).argsort(1)
    hidden = (rank < number).view(count, 1, places, places).float()
    return F.interpolate(hidden, scale_factor=patch, mode="nearest")[..., :side, :side] > 0
