"""Base class of the tasks: losses of a batch in training, per-case results in evaluation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.results.case_results import CaseResults
from jointwrist.engine.tasks.augment import Augment
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.losses import cross_entropy, dice_loss

#: Scalars by name. "loss" is minimised; the others are its parts, for the history of the run.
Losses = dict[str, Tensor]
#: Batch of a loader, batch that the network receives, and output of the network; see `jointwrist.engine.batch_schema`.
LoadedT, BatchT, OutputT = TypeVar("LoadedT"), TypeVar("BatchT"), TypeVar("OutputT")


class Task(ABC, Generic[LoadedT, BatchT, OutputT]):
    """What a model is trained for.

    Args:
        config: Resolved configuration of the run.
        anatomy: Bones and joints of the labels.
    """

    def __init__(self, config: RunConfig, anatomy: Anatomy = WRIST):
        self.config, self.anatomy = config, anatomy
        self.augment = Augment(config.augment)

    def clipped_together(self, model: nn.Module) -> list[list[nn.Parameter]]:
        """Return groups of parameters whose gradient norms are clipped separately."""
        return [list(model.parameters())]

    def not_yet_trained(self, model: nn.Module, context: StepContext) -> list[nn.Parameter]:
        """Return the parameters that the optimiser leaves unchanged in a step, as no loss depends on them yet.

        Gradients of 0 would not do: AdamW would count these steps, and its first steps afterwards would be several
        times as large as the learning rate.
        """
        return []

    @abstractmethod
    def prepare(self, batch: LoadedT, training: bool) -> BatchT:
        """Augment a batch on its device (in training) and resize it for the network."""

    @abstractmethod
    def forward(self, model: nn.Module, batch: BatchT) -> OutputT:
        """Run a model over a prepared batch as in evaluation."""

    def losses(self, model: nn.Module, batch: BatchT, context: StepContext) -> Losses:
        """Run a model over a prepared batch as in training, and return its losses."""
        return self.output_losses(self.forward(model, batch), batch, context)

    @abstractmethod
    def output_losses(self, output: OutputT, batch: BatchT, context: StepContext) -> Losses:
        """Return the losses of a network's output.

        Each is a mean over labelled items. Of a batch that several processes share, the sum over the items of this
        process is divided by the mean number of items per process: the mean over processes, whose gradient distributed
        training follows, is then the mean over the whole batch, however the labels are distributed.
        """

    @abstractmethod
    def case_results(self, output: OutputT, batch: BatchT) -> CaseResults:
        """Return per-case results of a network's output."""


def heat_map_loss(
    heat_maps: Tensor, target: Tensor, known: Tensor, context: StepContext, rarity: float = 10.0
) -> Tensor:
    """Cross-entropy and Dice loss of the eroded area of crops.

    Args:
        heat_maps: (N, 1, P, P) logits.
        target: (N, 1, P, P) eroded share of each pixel.
        known: (N,) bool, the crops whose eroded pixels are known; Dice is averaged over those with any.
        context: For the mean over processes.
        rarity: Weight of eroded pixels in the cross-entropy.
    """
    present = known & (target.sum((-3, -2, -1)) > 0)
    weight = process_weight(torch.stack([known.sum(), present.sum()]), context)
    pixels = cross_entropy(heat_maps, target, rarity, images=known)
    return weight[0] * pixels + weight[1] * dice_loss(heat_maps.float().sigmoid(), target, smooth=1.0, images=present)


def process_weight(count: Tensor, context: StepContext) -> Tensor:
    """Weight of a mean over `count` items of this process in the mean over the items of all processes."""
    count = count.float()
    return count / context.process_mean(count).clamp_min(1e-6)
