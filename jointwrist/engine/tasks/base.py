"""What a model is trained for: losses of a batch in training, per-case rows in evaluation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from jointwrist.engine.augment import Augment
from jointwrist.engine.case_results import CaseResults
from jointwrist.engine.run_config import RunConfig
from jointwrist.losses import cross_entropy, dice_loss

#: Mean of a count over the processes that train together.
Across = Callable[[Tensor], Tensor]


def alone(count: Tensor) -> Tensor:
    """Mean of a count over one process."""
    return count


class Task:
    """What a model is trained for.

    Args:
        config: Resolved configuration of the run.
    """

    def __init__(self, config: RunConfig):
        self.config = config
        self.augment = Augment(config.augment)
        #: Of the processes that train; the trainer sets it.
        self.across: Across = alone
        #: Figures of the epochs so far; the trainer sets it.
        self.history: list[dict[str, Any]] = []

    def clipped_together(self, model: nn.Module) -> list[list[nn.Parameter]]:
        """Parameters whose gradient has a norm of its own when it is clipped."""
        return [list(model.parameters())]

    def prepare(self, batch: dict[str, Any], training: bool) -> dict[str, Any]:
        """Augment a batch on its device and bring it to the sizes of the network."""
        raise NotImplementedError

    def forward(self, model: nn.Module, batch: dict[str, Any]) -> Any:
        """Run a model over a prepared batch as at test."""
        return model(batch["image"])

    def losses(self, model: nn.Module, batch: dict[str, Any], progress: float) -> dict[str, Tensor]:
        """Return named losses of a prepared batch; "loss" is minimised. `progress` runs from 0 to 1 over training."""
        return self.output_losses(self.forward(model, batch), batch, progress, self.across)

    def output_losses(
        self, output: Any, batch: dict[str, Any], progress: float, across: Across = alone
    ) -> dict[str, Tensor]:
        """Return named losses of what `forward` gave.

        Each is a mean over labelled things. Of a batch that several processes share, the sum over those of this process
        is divided by their mean number `across` processes: the mean over processes, whose gradient distributed training
        follows, is then the mean over the whole batch, however the labels fall.
        """
        raise NotImplementedError

    def case_results(self, output: Any, batch: dict[str, Any]) -> CaseResults:
        """Return per-case rows of what `forward` gave, by table ("segmentation", "erosion")."""
        raise NotImplementedError


def map_loss(maps: Tensor, target: Tensor, known: Tensor, across: Across) -> Tensor:
    """Cross-entropy and Dice of the eroded area of crops.

    Args:
        maps: (N, 1, P, P) logits.
        target: (N, 1, P, P) eroded share of each pixel.
        known: (N,) bool, the crops whose eroded pixels are known; Dice is of those with any.
        across: As for `Task.output_losses`.
    """
    present = known & (target.sum((-3, -2, -1)) > 0)
    weight = share(torch.stack([known.sum(), present.sum()]), across)
    pixels = cross_entropy(maps, target, rarity=10.0, images=known)
    return weight[0] * pixels + weight[1] * dice_loss(maps.float().sigmoid(), target, smooth=1.0, images=present)


def share(count: Tensor, across: Across) -> Tensor:
    """Weight of a mean over `count` things of this process in the mean over those of all."""
    count = count.float()
    return count / across(count).clamp_min(1e-6)
