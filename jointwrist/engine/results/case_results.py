"""Per-case results of an evaluation: gathered from all processes, and the figures that select the best epoch."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from accelerate import Accelerator
from accelerate.utils import gather_object

from jointwrist.engine.processes.distributed import sync_errors
from jointwrist.errors import DataError
from jointwrist.metrics.erosion import auroc
from jointwrist.readable import why_unreadable

#: Results by table: "segmentation" has an entry per case and region, "erosion" one per case and joint surface, and so
#: has each further score of the anatomy under its name.
CaseResults = dict[str, list[dict[str, Any]]]
#: Columns that identify an entry of a table.
CASE_KEYS = {"segmentation": ("case", "kind", "region"), "erosion": ("case", "joint")}


def case_keys(table: str) -> tuple[str, ...]:
    """Return the columns that identify a row of a table; further scores have those of erosion."""
    return CASE_KEYS.get(table, CASE_KEYS["erosion"])


def gather_case_results(
    accelerator: Accelerator, gathered: list[tuple[str, dict[str, Any]]], error: Exception | None
) -> CaseResults:
    """Gather the results of all processes; every process must call this, whether or not it failed.

    Args:
        accelerator: Accelerator of the processes.
        gathered: Results of this process, each with its table.
        error: Error of this process, or None.

    Returns:
        Results by table, sorted by `case_keys`, the same in every process.

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
        entries.sort(key=lambda entry: tuple(entry[key] for key in case_keys(table)))
        counts = Counter(tuple(entry[key] for key in case_keys(table)) for entry in entries)
        repeated = [key for key, count in counts.items() if count > 1]
        if repeated:
            raise RuntimeError(f"{len(repeated)} {table} results were computed twice, first {repeated[0]}")
    return results


def read_case_results(path: Path, column: str = "case") -> pd.DataFrame:
    """Read a table of per-case results; names of cases and patients are text, also `0007` and `NA`.

    Args:
        path: File.
        column: Column that every row has.

    Raises:
        DataError: The file is damaged, cut short, or another table.
    """
    words = {"case": str, "patient": str}
    remedy = "remove it, and run the job or the evaluation again"
    try:
        rows = pd.read_csv(path, dtype=words, keep_default_na=False, na_values=[""])
        last = path.read_text(encoding="utf-8").rstrip("\n").rpartition("\n")[2] if path.suffix == ".csv" else ""
    except ValueError as error:  # those of pandas, and of the encoding
        raise DataError(f"{path}: no results ({why_unreadable(path) or error}); {remedy}") from None
    if column not in rows:
        raise DataError(f"{path}: no results, as it has no column {column}; {remedy}")
    if rows[column].isna().any() or (last and len(next(csv.reader([last]))) < len(rows.columns)):
        raise DataError(f"{path}: is cut short in its last line; {remedy}")
    return rows


def mean_figures(results: CaseResults) -> dict[str, float]:
    """Return validation figures: `val_dsc` and `val_nsd`, means over bones and cases, and `val_auroc` over joints."""
    bones = [entry for entry in results.get("segmentation", []) if entry["kind"] == "bone"]
    figures = {f"val_{name}": float(np.nanmean([bone[name] for bone in bones])) for name in ("dsc", "nsd") if bones}
    return figures | ({"val_auroc": _auroc(results["erosion"])} if results.get("erosion") else {})


def _auroc(joints: Sequence[Mapping[str, Any]]) -> float:
    eroded = np.array([joint["score"] > 0 for joint in joints])
    return auroc(eroded, np.array([joint["probability"] for joint in joints]))


def selection_figure(select: str, losses: dict[str, float], results: CaseResults, epoch: int = 0) -> float:
    """Return the figure that selects the best epoch, negated if higher is better; `name_figure` formats it."""
    if select == "loss":
        return losses["val_loss"]
    if select == "last":
        return -float(epoch)
    figure = 0.0
    if "dsc" in select:
        figure -= mean_figures(results)["val_dsc"]
    if "auroc" in select:
        value = _auroc(results["erosion"])
        figure -= 0.5 if np.isnan(value) else value
    return figure


def name_figure(select: str, figure: float) -> str:
    """Format a `selection_figure` with its name and its usual sign."""
    names = {
        "loss": f"loss {figure:.4f}",
        "dsc": f"DSC {-100 * figure:.2f} %",
        "auroc": f"AUROC {-figure:.3f}",
        "dsc_auroc": f"DSC + AUROC {-figure:.3f}",
        "last": "not used",
    }
    return f"validation {names[select]}"


def epoch_table(epoch_figures: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the figures of every epoch as a table.

    In it, `epoch` counts from 1, and `selected` marks the epoch whose weights are kept.

    Args:
        epoch_figures: Figures by epoch, counted from 0, with `selected_by`, a `selection_figure`.
    """
    frame = pd.DataFrame(list(epoch_figures))
    frame["epoch"] += 1
    figure = frame.pop("selected_by")
    frame["selected"] = (frame.index == figure.idxmin()).astype(int) if figure.notna().any() else 0
    return frame
