"""Synchronise processes that train together: an error or a signal in one stops all of them at the same step."""

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

#: How long processes wait for each other: the first may be writing a phantom, or searching for a batch that fits.
TIMEOUT = timedelta(hours=2)
#: How long a failed process waits for the others to fail too.
WAIT = timedelta(minutes=1)


def sync_errors(accelerator: Accelerator, error: Exception | None, number: int = 0) -> int:
    """Raise an error in all processes if one of them failed; every process must call this at the same point.

    Args:
        accelerator: Accelerator of the processes.
        error: Error of this process, or None.
        number: Signal that this process received, or another positive number to report to all, or 0.

    Returns:
        The largest number of all processes.

    Raises:
        TrainingError: Another process has an error, quoted in the message; an error of this process is raised itself.
    """
    if accelerator.num_processes > 1:
        # on the CPU: a GPU would have to finish its step first
        flags = torch.tensor([int(error is not None), number])
        torch.distributed.all_reduce(flags, torch.distributed.ReduceOp.MAX, _error_group())
        failed, number = flags.tolist()
        if failed:
            errors = gather_object([None if error is None else f"{type(error).__name__}: {error}"])
            first = next(index for index, text in enumerate(errors) if text is not None)
            error = error or TrainingError(f"process {first}: {errors[first]}")
    if error is not None:
        raise error
    return number


def average_over_processes(accelerator: Accelerator, figures: Mapping[str, float | Tensor]) -> dict[str, float]:
    """Return the mean over processes of figures by name; a process that lacks one counts as 0."""
    parts = gather_object([{name: float(value) for name, value in figures.items()}])
    names = {name: None for part in parts for name in part}
    return {name: sum(part.get(name, 0.0) for part in parts) / len(parts) for name in names}


def open_process_groups(accelerator: Accelerator) -> None:
    """Create the process groups of `sync_errors` and `all_failed`; every process must call this before it can fail."""
    if accelerator.num_processes > 1:
        _error_group()
        _failure_group()


def all_failed(accelerator: Accelerator) -> bool:
    """Whether the other processes have failed too; if not, they wait for this one, which can only exit.

    Raises:
        SystemExit: A process has exited, which is why this one failed.
    """
    if accelerator.num_processes == 1:
        return True
    began = time.monotonic()
    try:
        torch.distributed.monitored_barrier(_failure_group(), timeout=WAIT)
    except RuntimeError as error:
        if time.monotonic() - began < WAIT.total_seconds():
            raise SystemExit(1) from error
        return False
    return True


@cache
def _error_group() -> ProcessGroup:
    return torch.distributed.new_group(backend="gloo", timeout=TIMEOUT)


@cache
def _failure_group() -> ProcessGroup:
    """Return a separate process group: in the training's, the others may be waiting for another exchange."""
    return torch.distributed.new_group(backend="gloo", timeout=WAIT)
