"""Loaders of the batches of a run: each process its part, loaded by processes that survive a signal to the job."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset

from jointwrist.data.batches.hand_pairs import study_batches
from jointwrist.data.batches.samplers import ProcessBatches
from jointwrist.engine.processes.stop import SENDERS_KNOWN, leave_signals_to_parent, signals_blocked
from jointwrist.engine.run_data.datasets import RunData
from jointwrist.engine.run_data.readable_items import ReadableItems, collate_readable
from jointwrist.errors import DataError, TrainingError


def train_loader(data: RunData, workers: int, process: int, processes: int) -> DataLoader:
    """Return a loader of one process's part of the training batches; `loader.batch_sampler.seek` sets the position."""
    batches = ProcessBatches(data.batches, process, processes)
    return _loader(data.train, workers, batch_sampler=batches, persistent_workers=workers > 0)


def share_loader(
    dataset: Dataset,
    batch_size: int,
    workers: int,
    process: int,
    processes: int,
    whole_studies: bool = False,
    with_errors: bool = False,
) -> DataLoader:
    """Return a loader of the batches that one process evaluates; every batch belongs to exactly one process.

    The batches, and so the mean losses, do not depend on the number of processes. With `whole_studies`, the two hands
    of a study are in one batch. With `with_errors`, items that cannot be read do not end the loading: each batch is
    a pair as of `collate_readable`.
    """
    if whole_studies:
        batches = study_batches(_identifiers(dataset), batch_size)
    else:
        batches = list(BatchSampler(range(len(dataset)), batch_size, drop_last=False))
    mine = batches[process::processes]
    if with_errors:
        return _loader(ReadableItems(dataset), workers, batch_sampler=mine, collate_fn=collate_readable)
    return _loader(dataset, workers, batch_sampler=mine)


@contextmanager
def explain_lost_workers(workers: int) -> Iterator[None]:
    """Explain what to do if a loader process is lost; PyTorch may raise this at any moment of a step.

    Raises:
        TrainingError: A loader process was lost.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("DataLoader worker"):  # an error within such a process names it later in its text
            raise
        raise TrainingError(
            f"a process that loads images was lost: {str(error).rstrip('. ')}. Give the same command again (a training"
            f" continues from its last saved state); if memory ran out, use workers={workers // 2}"
        ) from error


class _SignalProofLoader(DataLoader):
    """A loader whose processes survive a signal to the whole job until their parent ends them.

    They are forked, because a fork server would be a process of the job that dies of the signal, and they end with it.
    """

    def __iter__(self) -> Iterator:
        with signals_blocked():
            batches = super().__iter__()
        return _with_plain_errors(batches)


def _with_plain_errors(batches: Iterator) -> Iterator:
    """Yield batches; raise a data error of a loader process without the traceback that PyTorch puts before its text."""
    try:
        yield from batches
    except DataError as error:
        raise type(error)(str(error).rstrip().rpartition(f"{type(error).__name__}: ")[2]) from None


def _loader(dataset: Dataset, workers: int, **options: Any) -> DataLoader:
    return _SignalProofLoader(
        dataset,
        num_workers=workers,
        worker_init_fn=leave_signals_to_parent,
        multiprocessing_context="fork" if workers and SENDERS_KNOWN else None,
        pin_memory=torch.cuda.is_available(),  # lets a batch be copied while the GPU computes
        **options,
    )


def _identifiers(dataset: Dataset) -> list[str]:
    if isinstance(dataset, ConcatDataset):
        return [identifier for part in dataset.datasets for identifier in _identifiers(part)]
    return [case.identifier for case in dataset.cases]
