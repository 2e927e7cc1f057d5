"""Evaluation: a model over a dataset gives per-case rows, every case exactly once, on any number of processes."""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object, send_to_device
from torch import nn
from torch.utils.data import Dataset

from jointwrist.engine.loaders import share_loader
from jointwrist.engine.tasks import Rows, Task
from jointwrist.engine.together import tell
from jointwrist.metrics.erosion import auroc

#: Columns that tell one row from another.
ROW_KEYS = {"segmentation": ("case", "kind", "region"), "erosion": ("case", "joint")}


@torch.no_grad()
def evaluate(
    accelerator: Accelerator, model: nn.Module, dataset: Dataset, task: Task, losses: bool = False
) -> tuple[dict[str, float], Rows]:
    """Run a model over a dataset.

    Args:
        accelerator: Processes share the dataset; every process gets all rows back.
        model: Bare model (no distributed wrapper: processes may have differently many batches); it is left in
            evaluation mode.
        dataset: Items of the task.
        task: Makes rows and losses.
        losses: Whether to average the losses too.

    Returns:
        Mean losses as `val_<name>` (empty without `losses`), and rows by table, sorted by their keys.

    Raises:
        RuntimeError: A case came twice.
        TrainingError: Another process could not evaluate its part.
    """
    model.eval()
    config = task.config
    loader = share_loader(
        dataset,
        config.optim.batch_size,
        config.workers,
        accelerator.process_index,
        accelerator.num_processes,
        whole_studies=bool(config.options.get("other_hand")),
    )
    gathered: list[tuple[str, dict[str, Any]]] = []
    sums: Counter[str] = Counter()
    error: Exception | None = None
    try:
        for batch in loader:
            batch = task.prepare(send_to_device(batch, accelerator.device), training=False)
            with accelerator.autocast() if config.autocast_evaluation else nullcontext():
                output = task.forward(model, batch)
                if losses:
                    size = len(batch["identifier"])
                    parts = task.output_losses(output, batch, 1.0)
                    sums.update({name: float(value) * size for name, value in parts.items()})
                    sums["images"] += size
                for table, rows in task.rows(output, batch).items():
                    gathered += [(table, row) for row in rows]
    except Exception as failed:
        error = failed
    tables = collect_rows(accelerator, gathered, error)
    if accelerator.num_processes > 1:
        total: Counter[str] = Counter()
        for part in gather_object([dict(sums)]):
            total.update(part)
        sums = total
    images = sums.pop("images", 0)
    return {f"val_{name}": value / images for name, value in sums.items()} if images else {}, tables


def collect_rows(accelerator: Accelerator, gathered: list[tuple[str, dict[str, Any]]], error: Exception | None) -> Rows:
    """Bring the rows of all processes together; every process calls it, whether or not it could make its own.

    Args:
        accelerator: Whose processes.
        gathered: Rows of this process, each with its table.
        error: What went wrong in this process.

    Returns:
        Rows by table, sorted by their keys; every process gets all.

    Raises:
        RuntimeError: A row came twice.
        TrainingError: Another process has an error; an error of this one is raised itself.
    """
    tell(accelerator, error)
    if accelerator.num_processes > 1:
        gathered = gather_object(gathered)
    tables: Rows = {}
    for table, row in gathered:
        tables.setdefault(table, []).append(row)
    for table, rows in tables.items():
        rows.sort(key=lambda row: tuple(row[key] for key in ROW_KEYS[table]))
        counts = Counter(tuple(row[key] for key in ROW_KEYS[table]) for row in rows)
        twice = [key for key, count in counts.items() if count > 1]
        if twice:
            raise RuntimeError(f"{len(twice)} {table} rows came twice, first {twice[0]}")
    return tables


def mean_figures(rows: Rows) -> dict[str, float]:
    """Mean DSC and NSD over bones and cases, as `val_dsc` and `val_nsd`; nothing where no masks were measured."""
    bones = [row for row in rows.get("segmentation", []) if row["kind"] == "bone"]
    return {f"val_{name}": float(np.nanmean([row[name] for row in bones])) for name in ("dsc", "nsd") if bones}


def selection_figure(select: str, losses: dict[str, float], rows: Rows, epoch: int = 0) -> float:
    """Return the figure by which the best epoch is chosen; lower is better."""
    if select == "loss":
        return losses["val_loss"]
    if select == "last":
        return -float(epoch)
    figure = 0.0
    if "dsc" in select:
        figure -= mean_figures(rows)["val_dsc"]
    if "auroc" in select:
        value = auroc(
            np.array([row["score"] > 0 for row in rows["erosion"]]),
            np.array([row["probability"] for row in rows["erosion"]]),
        )
        figure -= 0.5 if np.isnan(value) else value
    return figure
