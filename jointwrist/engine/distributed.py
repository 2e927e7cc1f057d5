"""What processes that train together have to agree on: an error or a signal in one is one for all of them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import cache

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch import Tensor
from torch.distributed import ProcessGroup

from jointwrist.errors import TrainingError

#: How long processes wait for one another: the first one may be making a phantom, or be looking for what fits.
TIMEOUT = timedelta(hours=2)
#: How long a process that failed waits for the others to fail as well.
WAIT = timedelta(minutes=1)


def sync_errors(accelerator: Accelerator, error: Exception | None, number: int = 0) -> int:
    """Exchange what went wrong; every process calls it at the same place, whether or not something did.

    Args:
        accelerator: Whose processes.
        error: What went wrong in this one.
        number: Number of a signal that this one got, or of something else that concerns all, or 0.

    Returns:
        The largest of the numbers.

    Raises:
        TrainingError: Another process has an error, named in the message; an error of this one is raised itself.
    """
    if accelerator.num_processes > 1:
        # by the processors: a GPU would have to finish its step first
        told = torch.tensor([int(error is not None), number])
        torch.distributed.all_reduce(told, torch.distributed.ReduceOp.MAX, _talk())
        failed, number = told.tolist()
        if failed:
            said = gather_object([None if error is None else f"{type(error).__name__}: {error}"])
            first = next(index for index, text in enumerate(said) if text is not None)
            error = error or TrainingError(f"process {first}: {said[first]}")
    if error is not None:
        raise error
    return number


def average_over_processes(accelerator: Accelerator, figures: Mapping[str, float | Tensor]) -> dict[str, float]:
    """Mean over processes of figures by name; a process without one counts as 0."""
    told = gather_object([{name: float(value) for name, value in figures.items()}])
    names = {name: None for part in told for name in part}
    return {name: sum(part.get(name, 0.0) for part in told) / len(told) for name in names}


def open_process_groups(accelerator: Accelerator) -> None:
    """Make what `sync_errors` and `all_failed` need; every process calls it, before anything can fail."""
    if accelerator.num_processes > 1:
        _talk()
        _meeting()


def all_failed(accelerator: Accelerator) -> bool:
    """Whether the other processes have failed like this one; if not, they wait for it, and it can only end itself.

    Raises:
        SystemExit: One of them is gone, which is why this one failed.
    """
    if accelerator.num_processes == 1:
        return True
    began = time.monotonic()
    try:
        torch.distributed.monitored_barrier(_meeting(), timeout=WAIT)
    except RuntimeError as error:
        if time.monotonic() - began < WAIT.total_seconds():
            raise SystemExit(1) from error
        return False
    return True


@cache
def _talk() -> ProcessGroup:
    return torch.distributed.new_group(backend="gloo", timeout=TIMEOUT)


@cache
def _meeting() -> ProcessGroup:
    """A group of its own: what the others wait for in that of the training is not to be taken for a meeting."""
    return torch.distributed.new_group(backend="gloo", timeout=WAIT)
