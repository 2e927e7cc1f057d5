"""Tables of erosion calls: mean over joints, pooled, and single joints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tables.results import (
    Results,
    absent_rows,
    caption,
    label,
    millions,
    ordered,
    published_figures,
)
from benchmarks.tables.table import ABSENT, Figure, PValue, Table
from jointwrist.anatomy import JOINT_NAMES, joint_index
from jointwrist.metrics.erosion import erosion_metrics
from jointwrist.metrics.erosion_bootstrap import resample_erosion
from jointwrist.metrics.statistics import bootstrap_p, holm, percentile_interval

#: Title and factor to its unit, by figure.
FIGURES = {
    "BACC": ("BACC %", 100),
    "F1": ("F1 %", 100),
    "DOR": ("DOR", 1),
    "SEN": ("SEN %", 100),
    "SPC": ("SPC %", 100),
    "AUROC": ("AUROC", 1),
    "AUPRC": ("AUPRC", 1),
}
MEAN, POOLED = "mean over joints", "pooled"
#: Seeds, or bootstrap resamples, of each run: figures by group and name.
Sets = dict[str, list[dict[str, dict[str, np.ndarray]]]]


def erosion_tables(results: Results) -> list[Table]:
    """Every table of the erosion rows."""
    rows = results.rows["erosion"]
    values = figures_by_seed(rows)
    resampled = resamples_by_seed(rows)
    return [
        summary_table(results, values, resampled, MEAN),
        summary_table(results, values, resampled, POOLED),
        joint_table(results, values, resampled),
    ]


def figures_by_seed(rows: pd.DataFrame) -> Sets:
    """Erosion metrics of every run, one set a seed."""

    def figures(part: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
        frame = erosion_metrics(*_columns(part), part["level"].to_numpy())
        return {group: frame.loc[group].to_dict() for group in frame.index}

    return _by_seed(rows, figures)


def resamples_by_seed(rows: pd.DataFrame) -> Sets:
    """Erosion metrics of bootstrap resamples of every run, one set a seed; all draw the same patients."""
    return _by_seed(rows, lambda part: resample_erosion(*_columns(part), part["patient"].to_numpy()))


def summary_table(results: Results, values: Sets, resampled: Sets, group: str = MEAN) -> Table:
    """Table of the paper: the mean over joints, which its figures fit, or all joints pooled."""
    published = published_figures("erosion") if group == MEAN else {}
    p_values = _against_best(values, resampled, group, "BACC")
    rows = []
    for run in ordered(values):
        figures = published.get(label(run).split(" (`")[0], {})
        cells: dict[str, Any] = {"Model": label(run), "parameters": millions(results.record(run)["parameters"])}
        for key, (title, factor) in FIGURES.items():
            figure = seed_figure(values[run], resampled[run], group, key).times(factor)
            cells[title] = figure.beside(figures.get(key))
        rows.append(cells | {"p (BACC)": p_values[run]})
    if group == MEAN:
        titles = {key: title for key, (title, _) in FIGURES.items()}
        rows += absent_rows(results, ("erosion", "joint"), titles, published)
    calls = results.rows["erosion"].drop_duplicates(["case", "joint"])
    what = f"Erosion, {group}, {(calls['score'] > 0).mean():.1%} of {len(calls)} joints eroded"
    note = (
        "p: two-sided bootstrap test of BACC against the best model, the same patients resampled for both, Holm's"
        " correction over models."
    )
    name = "erosion" if group == MEAN else "erosion_pooled"
    return Table(name, caption(what, results, "erosion", note, bool(published)), rows)


def joint_table(results: Results, values: Sets, resampled: Sets) -> Table:
    """Every joint surface of every model."""
    calls = results.rows["erosion"].drop_duplicates(["case", "joint"])
    rows = []
    for joint in JOINT_NAMES:
        scores = calls.loc[calls["joint"] == joint, "score"]
        for run in ordered(values):
            cells = {
                title: seed_figure(values[run], resampled[run], joint, key).times(factor)
                for key, (title, factor) in FIGURES.items()
            }
            eroded = f"{int((scores > 0).sum())} of {len(scores)}"
            rows.append({"Joint": joint, "eroded": eroded, "Model": label(run), **cells})
    return Table("joints", caption("Single joint surfaces", results, "erosion"), rows)


def seed_figure(values: list[dict], resampled: list[dict], group: str, key: str) -> Figure:
    """Mean and SD over seeds, with the interval over patients of the mean over seeds."""
    mean = _mean([v[group][key] for v in values])
    _, low, high = percentile_interval(float(mean), _mean([r[group][key] for r in resampled]))
    return Figure.over_seeds([v[group][key] for v in values], low, high)


def _against_best(values: Sets, resampled: Sets, group: str, key: str) -> dict[str, PValue | str]:
    means = {run: float(_mean([v[group][key] for v in sets])) for run, sets in values.items()}
    best = max(means, key=lambda run: -np.inf if np.isnan(means[run]) else means[run])
    draws = {run: _mean([r[group][key] for r in sets]) for run, sets in resampled.items()}
    others = [run for run in values if run != best]
    p_values = holm([bootstrap_p(draws[run] - draws[best]) for run in others])
    tested = {run: PValue(p) for run, p in zip(others, p_values, strict=True)}
    return tested | {best: "best" if others else ABSENT}


def _by_seed(rows: pd.DataFrame, figures: Callable[[pd.DataFrame], dict[str, dict[str, np.ndarray]]]) -> Sets:
    sets: Sets = {}
    for (run, _), part in rows.sort_values(["case", "joint"]).groupby(["run", "seed"]):
        sets.setdefault(run, []).append(figures(part))
    return sets


def _columns(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    joints = np.array([joint_index(name) for name in rows["joint"]])
    return rows["score"].to_numpy(), rows["probability"].to_numpy(), rows["predicted"].to_numpy(), joints


def _mean(values: list) -> np.ndarray:
    """Mean over seeds of what is defined."""
    stacked = np.stack([np.asarray(value, float) for value in values])
    defined = ~np.isnan(stacked)
    total = np.where(defined, stacked, 0.0).sum(0)
    return np.divide(total, defined.sum(0), out=np.full(total.shape, np.nan), where=defined.any(0))
