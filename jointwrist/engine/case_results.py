"""Per-case results of an evaluation: gathered from all processes, and the figures that select the best epoch."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from accelerate import Accelerator
from accelerate.utils import gather_object

from jointwrist.engine.distributed import sync_errors
from jointwrist.metrics.erosion import auroc

#: Results by table: "segmentation" has an entry per case and region, "erosion" one per case and joint surface.
CaseResults = dict[str, list[dict[str, Any]]]
#: Columns that identify an entry of a table.
CASE_KEYS = {"segmentation": ("case", "kind", "region"), "erosion": ("case", "joint")}


def gather_case_results(
    accelerator: Accelerator, gathered: list[tuple[str, dict[str, Any]]], error: Exception | None
) -> CaseResults:
    """Gather the results of all processes; every process must call this, whether or not it failed.

    Args:
        accelerator: Whose processes.
        gathered: Results of this process, each with its table.
        error: Error of this process, or None.

    Returns:
        Results by table, sorted by `CASE_KEYS`, the same in every process.

    Raises:
        RuntimeError: A case was evaluated twice.
        TrainingError: Another process failed; an error of this process is raised itself.
    """
    sync_errors(accelerator, error)
    if accelerator.num_processes > 1:
        gathered = gather_object(gathered)
    results: CaseResults = {}
    for table, result in gathered:
        results.setdefault(table, []).append(result)
    for table, entries in results.items():
        entries.sort(key=lambda entry: tuple(entry[key] for key in CASE_KEYS[table]))
        counts = Counter(tuple(entry[key] for key in CASE_KEYS[table]) for entry in entries)
        repeated = [key for key, count in counts.items() if count > 1]
        if repeated:
            raise RuntimeError(f"{len(repeated)} {table} results were computed twice, first {repeated[0]}")
    return results


def mean_figures(results: CaseResults) -> dict[str, float]:
    """Mean DSC and NSD over bones and cases, as `val_dsc` and `val_nsd`; empty if no masks were measured."""
    bones = [entry for entry in results.get("segmentation", []) if entry["kind"] == "bone"]
    return {f"val_{name}": float(np.nanmean([bone[name] for bone in bones])) for name in ("dsc", "nsd") if bones}


def selection_figure(select: str, losses: dict[str, float], results: CaseResults, epoch: int = 0) -> float:
    """Return the figure that chooses the best epoch; lower is better."""
    if select == "loss":
        return losses["val_loss"]
    if select == "last":
        return -float(epoch)
    figure = 0.0
    if "dsc" in select:
        figure -= mean_figures(results)["val_dsc"]
    if "auroc" in select:
        value = auroc(
            np.array([joint["score"] > 0 for joint in results["erosion"]]),
            np.array([joint["probability"] for joint in results["erosion"]]),
        )
        figure -= 0.5 if np.isnan(value) else value
    return figure
