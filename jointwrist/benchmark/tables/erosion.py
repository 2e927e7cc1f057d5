"""Tables of erosion scores: mean over joints, all joints pooled, and single joints."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.benchmark.tables.cells import ABSENT, Figure, PValue
from jointwrist.benchmark.tables.results import (
    Results,
    absent_rows,
    caption,
    label,
    millions,
    ordered,
    published_figures,
)
from jointwrist.benchmark.tables.table import Table
from jointwrist.metrics.erosion import erosion_metrics
from jointwrist.metrics.erosion_bootstrap import resample_erosion
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import holm

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
#: Figures, or those of bootstrap resamples, by run, seed, group and name.
Sets = dict[str, dict[int, dict[str, dict[str, np.ndarray]]]]


def erosion_tables(results: Results) -> list[Table]:
    """Make every table of erosion scores."""
    rows = results.per_case["erosion"]
    values = figures_by_seed(rows, results.anatomy)
    resampled = resamples_by_seed(rows, results.anatomy)
    return [
        summary_table(results, values, resampled, MEAN),
        summary_table(results, values, resampled, POOLED),
        joint_table(results, values, resampled),
    ]


def figures_by_seed(rows: pd.DataFrame, anatomy: Anatomy = WRIST) -> Sets:
    """Erosion metrics of every run and seed."""

    def figures(part: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
        frame = erosion_metrics(*_columns(part, anatomy), joints=anatomy.joint_names)
        return {group: frame.loc[group].to_dict() for group in frame.index}

    return _by_seed(rows, figures)


def resamples_by_seed(rows: pd.DataFrame, anatomy: Anatomy = WRIST) -> Sets:
    """Erosion metrics of every run and seed on bootstrap resamples; all runs share the resampled patients."""

    def figures(part: pd.DataFrame) -> dict[str, dict[str, np.ndarray]]:
        return resample_erosion(*_columns(part, anatomy), part["patient"].to_numpy(), joints=anatomy.joint_names)

    return _by_seed(rows, figures)


def summary_table(results: Results, values: Sets, resampled: Sets, group: str = MEAN) -> Table:
    """Table of the paper: the mean over joints, which matches its figures, or all joints pooled."""
    published = published_figures("erosion", results.anatomy) if group == MEAN else {}
    patients = results.per_case["erosion"]["patient"].nunique()
    p_values = _against_best(values, resampled, group, "BACC", patients)
    rows = []
    for run in ordered(values):
        figures = published.get(label(run).split(" (`")[0], {})
        cells: dict[str, Any] = {"Model": label(run), "parameters": millions(results.record(run)["parameters"])}
        for key, (title, factor) in FIGURES.items():
            figure = seed_figure(values[run], resampled[run], group, key, patients).times(factor)
            cells[title] = figure.with_published(figures.get(key), results.on_release)
        rows.append(cells | {"p (BACC)": p_values[run]})
    if group == MEAN:
        titles = {key: title for key, (title, _) in FIGURES.items()}
        rows += absent_rows(results, ("erosion", "joint"), titles, published)
    calls = results.per_case["erosion"].drop_duplicates(["case", "joint"])
    eroded = calls["score"] > 0
    shares = eroded.groupby(calls["joint"]).mean() if group == MEAN else eroded.mean()
    what = f"Erosion, {group}, {eroded.mean():.1%} of {len(calls)} joints eroded"
    note = (
        f"Calling every joint eroded gives F1 {np.mean(2 * shares / (1 + shares)):.1%}. p: two-sided test of BACC"
        " against the best model, over the seeds and patients of both (with one seed over patients alone), Holm's"
        " correction over models. DOR: 0.5 added to the four counts of calls (true and false, eroded and"
        " not) where one is 0." + _learned_pixels(results, list(values))
    )
    name = "erosion" if group == MEAN else "erosion_pooled"
    return Table(name, caption(what, results, "erosion", note, bool(published)), rows)


def _learned_pixels(results: Results, runs: list[str]) -> str:
    """Name the runs trained with eroded pixels, which phantoms have and RAM-W600 does not."""
    learned = [label(run) for run in ordered(runs) if results.record(run).get("pixel_truth")]
    return f" Trained on eroded pixels as well as scores: {', '.join(learned)}." if learned else ""


def joint_table(results: Results, values: Sets, resampled: Sets) -> Table:
    """Every joint of every model."""
    calls = results.per_case["erosion"].drop_duplicates(["case", "joint"])
    patients = calls["patient"].nunique()
    rows = []
    for joint in [joint.name for joint in results.anatomy.eroded_joints]:
        scores = calls.loc[calls["joint"] == joint, "score"]
        for run in ordered(values):
            cells = {
                title: seed_figure(values[run], resampled[run], joint, key, patients).times(factor)
                for key, (title, factor) in FIGURES.items()
            }
            eroded = f"{int((scores > 0).sum())} of {len(scores)}"
            rows.append({"Joint": joint, "eroded": eroded, "Model": label(run), **cells})
    return Table("joints", caption("Single joint surfaces", results, "erosion"), rows)


def seed_figure(values: dict[int, dict], resampled: dict[int, dict], group: str, key: str, patients: int) -> Figure:
    """Mean and SD over seeds, with the interval over seeds and patients."""
    figures = [v[group][key] for v in values.values()]
    ratio = key == "DOR"
    drawn = [resampled[seed][group][key] for seed in values]
    found = seeds_and_patients(figures, drawn, patients, limits=(0, np.inf if ratio else 1), log=ratio)
    return Figure.over_seeds(figures, found.low, found.high)


def _against_best(values: Sets, resampled: Sets, group: str, key: str, patients: int) -> dict[str, PValue | str]:
    means = pd.DataFrame({run: {s: v[group][key] for s, v in seeds.items()} for run, seeds in values.items()}).mean()
    best = str(means.fillna(-np.inf).idxmax())

    def p_value(run: str) -> float:
        seeds = sorted(values[run].keys() & values[best].keys())
        if not seeds:
            return np.nan
        differences = (
            [of[run][seed][group][key] - of[best][seed][group][key] for seed in seeds] for of in (values, resampled)
        )
        return seeds_and_patients(*differences, patients).p

    others = [run for run in values if run != best]
    p_values = holm([p_value(run) for run in others])
    tested = {run: PValue(p) for run, p in zip(others, p_values, strict=True)}
    return tested | {best: "best" if others else ABSENT}


def _by_seed(rows: pd.DataFrame, figures: Callable[[pd.DataFrame], dict[str, dict[str, np.ndarray]]]) -> Sets:
    sets: Sets = {}
    for (run, seed), part in rows.sort_values(["case", "joint"]).groupby(["run", "seed"]):
        sets.setdefault(run, {})[int(seed)] = figures(part)
    return sets


def _columns(rows: pd.DataFrame, anatomy: Anatomy) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    joints = np.array([anatomy.joint_index(name) for name in rows["joint"]])
    return rows["score"].to_numpy(), rows["probability"].to_numpy(), rows["predicted"].to_numpy(), joints
