"""State of the training that the losses of a step depend on, besides model and batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from jointwrist.renamed_names import former_attribute


def single_process(count: Tensor) -> Tensor:
    """Return the mean of a count over one process: the count itself."""
    return count


@dataclass(frozen=True)
class StepContext:
    """State of the training that a step belongs to; the defaults are those of an evaluation on one process.

    Attributes:
        progress: Share of training that is done, from 0 to 1.
        process_mean: Mean of a count over the processes that train together.
        epoch_figures: Figures of every finished epoch, oldest first.
        mean_teacher: Moving average of the trained network (Tarvainen and Valpola, arXiv 1703.01780), if there is one.
    """

    progress: float = 1.0
    process_mean: Callable[[Tensor], Tensor] = single_process
    epoch_figures: Sequence[Mapping[str, Any]] = ()
    mean_teacher: nn.Module | None = None
    history = former_attribute("history", "epoch_figures")
