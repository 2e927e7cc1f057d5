"""An arm's figures: mean and SD over its seeds, 95 % interval over patients."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.tables.ablation_rows import Rows
from benchmarks.tables.table import ABSENT, Figure
from jointwrist.metrics.statistics import bootstrap_interval, percentile_interval


def mask_figure(rows: Rows, runs: list[str], key: str) -> Figure | str:
    """DSC or NSD of an arm in per cent."""
    columns = [f"{run} {key}" for run in runs]
    if not set(columns) <= set(rows.masks.columns):
        return ABSENT
    values = 100 * rows.masks[columns]
    _, low, high = bootstrap_interval(values.mean(axis=1).to_numpy(), values.index.get_level_values("patient"))
    return Figure.over_seeds(values.mean(), low, high)


def call_figure(
    rows: Rows, resampled: dict[str, dict[str, np.ndarray]], runs: list[str], key: str, factor: float = 1.0
) -> Figure | str:
    """An erosion figure of an arm, times a factor."""
    if not set(runs) <= set(rows.calls.columns):
        return ABSENT
    values = [factor * rows.call_figures(run)[key] for run in runs]
    drawn = np.mean([factor * resampled[run][key] for run in runs], 0)
    _, low, high = percentile_interval(float(np.mean(values)), drawn)
    return Figure.over_seeds(values, low, high)


def title_of(plan: Any, arm: str) -> str:
    """What an arm is, with its model unless that is the joint network."""
    entry = {**plan.arms, **plan.retests}[arm]
    return (
        f"{entry.title}, `{entry.model}`"
        if getattr(entry, "model", "jointwrist_tiny") != "jointwrist_tiny"
        else entry.title
    )
