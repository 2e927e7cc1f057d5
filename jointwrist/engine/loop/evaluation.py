"""Evaluate a model on a dataset: per-case results, every case exactly once, with any number of processes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from torch import nn
from torch.utils.data import Dataset
from tqdm.auto import tqdm

from jointwrist.engine.results.case_results import CaseResults, gather_case_results
from jointwrist.engine.run_data.loaders import explain_lost_workers, share_loader
from jointwrist.engine.tasks import Task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.errors import DataError


@torch.no_grad()
def evaluate_model(
    accelerator: Accelerator,
    model: nn.Module,
    dataset: Dataset,
    task: Task,
    losses: bool = False,
    batch_size: int | None = None,
    progress: bool = False,
    refused: Callable[[DataError], None] | None = None,
) -> tuple[dict[str, float], CaseResults]:
    """Evaluate a model on a dataset.

    Args:
        accelerator: Processes share the dataset; every process returns all results.
        model: Model without a distributed wrapper, because processes may have different numbers of batches. It is left
            in evaluation mode.
        dataset: Items of the task.
        task: Computes per-case results and losses.
        losses: Whether to average the losses too.
        batch_size: Images per batch; None takes that of the training.
        progress: Show a progress bar in the main process.
        refused: Called at the end, in every process, with the error of each item that cannot be read, which has no
            results; None raises the first one.

    Returns:
        Mean losses as `val_<name>` (empty without `losses`), and per-case results.

    Raises:
        DataError: An item cannot be read.
        RuntimeError: A case was evaluated twice.
        TrainingError: Another process failed to evaluate its part, or a process that loads images was lost.
    """
    model.eval()
    config = task.config
    loader = share_loader(
        dataset,
        batch_size or config.optim.batch_size,
        config.workers,
        accelerator.process_index,
        accelerator.num_processes,
        whole_studies=bool(config.options.get("other_hand")),
        with_errors=refused is not None,
    )
    gathered: list[tuple[str, dict[str, Any]]] = []
    unreadable: list[str] = []
    sums: Counter[str] = Counter()
    error: Exception | None = None
    try:
        hidden = not (progress and accelerator.is_main_process)
        with explain_lost_workers(config.workers):
            for loaded in tqdm(loader, desc="evaluate", unit="batch", disable=hidden, leave=False):
                batch, errors = (loaded, []) if refused is None else loaded
                unreadable += errors
                if batch is None:
                    continue
                batch = task.prepare(send_to_device(batch, accelerator.device), training=False)
                with accelerator.autocast() if config.autocast_evaluation else nullcontext():
                    output = task.forward(model, batch)
                    if losses:
                        size = len(batch["identifier"])
                        parts = task.output_losses(output, batch, StepContext())
                        sums.update({name: float(value) * size for name, value in parts.items()})
                        sums["images"] += size
                    for table, rows in task.case_results(output, batch).items():
                        gathered += [(table, row) for row in rows]
    except Exception as failed:
        error = failed
    results = gather_case_results(accelerator, gathered, error)
    if accelerator.num_processes > 1:
        total: Counter[str] = Counter()
        for part in gather_object([dict(sums)]):
            total.update(part)
        sums = total
        unreadable = gather_object(unreadable)
    for text in unreadable:
        refused(DataError(text))
    images = sums.pop("images", 0)
    return {f"val_{name}": value / images for name, value in sums.items()} if images else {}, results
