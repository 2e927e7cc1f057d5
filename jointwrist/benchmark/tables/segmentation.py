"""Segmentation tables: bones, overlap regions, differences of models, wrists with and without erosion, single bones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from jointwrist.benchmark.tables.cells import ABSENT, Figure, NoFigure, PValue
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
from jointwrist.config import build
from jointwrist.engine.config.run_config import MetricConfig
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.segmentation_results import TOLERANCE_MM
from jointwrist.metrics.statistics import (
    Difference,
    compare_groups,
    holm,
    paired_wilcoxon,
    resampling_weights,
    weighted_mean,
)

#: Title, factor to its unit, and whether higher is better, by column of the per-case results.
METRICS = {
    "dsc": ("DSC %", 100, True),
    "nsd": ("NSD %", 100, True),
    "voe": ("VOE %", 100, False),
    "msd": ("MSD px", 1, False),
}
#: Metrics in mm, for the image grid where the pixel spacing is known.
METRICS_MM = {
    "nsd_mm": (f"NSD({TOLERANCE_MM} mm) %", 100, True),
    "msd_mm": ("MSD(mm)", 1, False),
}
TESTED = (
    "p: two-sided test against the best model over the seeds and patients of both; with one seed Wilcoxon's signed-rank"
    " test of the patients' means; Holm's correction over models."
)


def segmentation_tables(results: Results) -> list[Table]:
    """Make every segmentation table that has rows; with one model there are no differences."""
    tables = (
        mean_table(results, "bone"),
        mean_table(results, "overlap"),
        comparison_table(results, "bone"),
        comparison_table(results, "overlap"),
        erosion_effect_table(results),
        bone_table(results),
    )
    return [table for table in tables if table.rows]


def mean_table(results: Results, kind: str = "bone") -> Table:
    """Table of the paper over bones, or the same over the 14 overlap regions (`kind="overlap"`)."""
    on_radiograph = results.grid != "network"
    source = "image_grid" if on_radiograph else "segmentation"
    published = published_figures(source, results.anatomy) if kind == "bone" else {}
    cases = case_means(results, kind)
    p_values = _against_best(cases, "dsc", larger_is_better=True)
    rows = []
    for run in ordered(cases["run"].unique()):
        record, mine = results.record(run), cases[cases["run"] == run]
        figures = published.get(label(run).split(" (`")[0], {})
        cells: dict[str, Any] = {"Model": label(run), "parameters": millions(record["parameters"])}
        for key, (title, factor, _) in metrics(results).items():
            cells[title] = (
                seed_figure(mine, key).times(factor).with_published(figures.get(title.split()[0]), results.on_release)
            )
        cells["missed"] = f"{mine.groupby('seed')['missed'].sum().mean():.1f}".removesuffix(".0")
        rows.append(cells | {"p (DSC)": p_values[run]})
    if kind == "bone":
        titles = {title.split()[0]: title for title, _, _ in metrics(results).values()} | {"missed": "missed"}
        tasks = ("segmentation", "joint") if on_radiograph else ("segmentation", "foundation", "joint")
        rows += absent_rows(results, tasks, titles, published)
        if on_radiograph:
            rows += [third_party_row(name, titles, figures) for name, figures in published.items()]
    name, what = ("segmentation", "Bones") if kind == "bone" else ("overlap", "Overlap regions of two bones")
    note = f"{_missed_note(results, kind)} {TESTED}"
    return Table(name, caption(what, results, "segmentation", note, bool(published)), rows)


def _missed_note(results: Results, kind: str = "bone") -> str:
    rows = results.per_case["segmentation"]
    there = rows[(rows["kind"] == kind) & rows["dsc"].notna()]  # the DSC of what the truth lacks is undefined
    count = there.groupby(["run", "seed"]).size().max() if len(there) else 0
    what = "bones" if kind == "bone" else "regions"
    return f"missed: of {count} {what}, those per seed that a model does not find at all."


def comparison_table(results: Results, kind: str = "bone") -> Table:
    """Every model minus the best one, for each metric: mean difference with interval, and p after Holm's correction.

    Over overlap regions (`kind="overlap"`), the mean surface distance is left out: it is infinite in a region that a
    model does not find.
    """
    cases = case_means(results, kind)
    rows = []
    for key, (title, factor, more) in metrics(results).items():
        if cases.empty or (kind == "overlap" and key.startswith("msd")):
            continue
        best = _best(cases, key, more)
        others = [run for run in ordered(cases["run"].unique()) if run != best]
        found = {run: difference(cases, run, best, key) for run in others}
        for run, p in zip(others, holm([found[run][0].p for run in others]), strict=True):
            gap, seeds = found[run]
            figure = Figure(gap.estimate, np.nan, gap.low, gap.high, one_seed=seeds == 1)
            rows.append(
                {
                    "Metric": title,
                    "Model": label(run),
                    "best": label(best),
                    "difference": figure.times(factor),
                    "p": PValue(p),
                }
            )
    note = f"Difference: model minus best, same seeds and {results.case_noun}s. {TESTED}"
    name, what = ("comparison", "bones") if kind == "bone" else ("overlap_comparison", "overlap regions")
    return Table(name, caption(f"Differences from the best model over {what}", results, "segmentation", note), rows)


def erosion_effect_table(results: Results) -> Table:
    """Masks of wrists with an eroded joint compared with those without, among wrists with scores."""
    cases = case_means(results, "bone")
    cases = cases[cases["eroded"].notna()].assign(eroded=lambda rows: rows["eroded"].astype(bool))
    rows = []
    for run in ordered(cases["run"].unique()):
        mine = cases[cases["run"] == run]
        eroded = mine.groupby("case")["eroded"].first()
        for key in ("dsc", "nsd"):
            title, factor, _ = METRICS[key]
            found = erosion_effect(mine, key)
            effect = Figure(found.estimate, np.nan, found.low, found.high, one_seed=mine["seed"].nunique() == 1)
            rows.append(
                {
                    "Model": label(run),
                    "Metric": title,
                    "eroded wrists": int(eroded.sum()),
                    "eroded": seed_figure(mine[mine["eroded"]], key).times(factor),
                    "other wrists": int((~eroded).sum()),
                    "not eroded": seed_figure(mine[~mine["eroded"]], key).times(factor),
                    "difference": effect.times(factor),
                    "p": PValue(found.p),
                }
            )
    for row, p in zip(rows, holm([row["p"].value for row in rows]), strict=True):
        row["p (Holm)"] = PValue(p)
    note = (
        "Eroded: at least one joint scored above 0. p: over seeds and patients; with one seed regression with the"
        " cluster-robust variance CR2, patients as clusters; Holm over all rows."
    )
    return Table(
        "eroded_wrists", caption("Masks of wrists with and without erosion", results, "segmentation", note), rows
    )


def bone_table(results: Results) -> Table:
    """Every bone of every model."""
    regions = by_region(results, "bone")
    rows = []
    for bone in results.anatomy.bone_names:
        for run in ordered(regions["run"].unique()):
            mine = regions[(regions["run"] == run) & (regions["region"] == bone)]
            cells = {title: seed_figure(mine, key).times(by) for key, (title, by, _) in metrics(results).items()}
            missed = f"{mine.groupby('seed')['missed'].sum().mean():.1f}".removesuffix(".0")
            rows.append({"Bone": bone, "Model": label(run), **cells, "missed": missed})
    return Table("bones", caption("Single bones", results, "segmentation", _missed_note(results)), rows)


def metrics(results: Results) -> dict[str, tuple[str, int, bool]]:
    """Metrics of the results, as in `METRICS`; in mm too where the spacing is known."""
    known = results.per_case["segmentation"]
    return METRICS | {key: how for key, how in METRICS_MM.items() if key in known}


def third_party_row(name: str, titles: dict[str, str], figures: dict[str, float]) -> dict[str, Any]:
    """Row of a model with published figures only."""
    cells = {title: NoFigure(ABSENT, figures.get(key, np.nan)) for key, title in titles.items()}
    return {"Model": f"{name}, third party", "parameters": ABSENT, **cells}


def by_region(results: Results, kind: str) -> pd.DataFrame:
    """Per-case results of one kind, with `missed`, and with the MSD of missed regions as configured for each run."""
    rows = results.per_case["segmentation"]
    rows = rows[rows["kind"] == kind]
    infinite = np.isinf(rows["msd"])
    sizes, left_out = {}, {}
    for run in rows["run"].unique():
        record = results.record(run)
        sizes[run] = np.sqrt(2) * record["config"]["image_size"]
        left_out[run] = _metric_config(record).missed_msd == "left_out"
    diagonal = rows["run"].map(sizes)
    if "diagonal_px" in rows:  # older rows have none
        diagonal = rows["diagonal_px"].fillna(diagonal)
    msd = rows["msd"].where(~infinite, diagonal.mask(rows["run"].map(left_out)))
    rows = rows.assign(missed=infinite & (rows["dsc"] == 0), msd=msd)
    return rows.assign(msd_mm=msd * rows["spacing_mm"]) if "msd_mm" in rows else rows


def case_means(results: Results, kind: str) -> pd.DataFrame:
    """Mean over the regions of each case, as the `metrics` of each run's configuration define it.

    Returns:
        One row per run, seed and case with patient, eroded, the figures of `metrics` and `missed`.
    """
    rows = by_region(results, kind)
    groups = rows.groupby(["run", "seed", "case"], sort=False)
    how = dict.fromkeys(metrics(results), "mean") | {"missed": "sum", "patient": "first", "eroded": "first"}
    means = groups.agg(how).reset_index()
    if kind == "bone":
        counts = groups[["dsc", "nsd", "voe"]].agg(lambda column: column.isna().any()).reset_index()
        strict = {
            run: _metric_config(results.record(run)).undefined == "case_undefined" for run in means["run"].unique()
        }
        for key in ("dsc", "nsd", "voe"):
            means[key] = means[key].mask(means["run"].map(strict) & counts[key])
    return means


def seed_figure(cases: pd.DataFrame, key: str) -> Figure:
    """Mean and SD over seeds of the mean over cases, with the interval over seeds and patients."""
    if not len(cases):
        return Figure()
    wide, patients = by_seed(cases, key)
    limits = (0, np.inf if key.startswith("msd") else 1)
    found = seeds_and_patients(wide.mean(), resampled_means(wide, patients), len(set(patients)), limits=limits)
    return Figure.over_seeds(wide.mean(), found.low, found.high)


def difference(cases: pd.DataFrame, first: str, second: str, key: str) -> tuple[Difference, int]:
    """First minus second run, paired by seed and patient over their common seeds; and the number of these seeds."""
    (ours, patients), (theirs, _) = (by_seed(cases[cases["run"] == run], key) for run in (first, second))
    seeds = ours.columns.intersection(theirs.columns)
    wide = ours[seeds] - theirs[seeds]
    found = seeds_and_patients(wide.mean(), resampled_means(wide, patients), len(set(patients)))
    if len(seeds) == 1:
        found = found._replace(p=paired_wilcoxon(ours[seeds[0]], theirs[seeds[0]], patients))
    return found, len(seeds)


def erosion_effect(cases: pd.DataFrame, key: str) -> Difference:
    """Mean over eroded minus mean over other wrists of one run."""
    wide, patients = by_seed(cases, key)
    eroded = cases.groupby("case")["eroded"].first().loc[wide.index].to_numpy(bool)
    if len(wide.columns) == 1 or eroded.all() or not eroded.any():
        return compare_groups(wide.mean(axis=1).to_numpy(), eroded, patients)
    weights = resampling_weights(patients)
    drawn = [
        weighted_mean(column[eroded], weights[:, eroded]) - weighted_mean(column[~eroded], weights[:, ~eroded])
        for column in wide.to_numpy().T
    ]
    return seeds_and_patients(wide[eroded].mean() - wide[~eroded].mean(), drawn, len(set(patients)))


def by_seed(cases: pd.DataFrame, key: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Cases of one run, one column per seed, and the patient of each case."""
    wide = cases.pivot_table(key, "case", "seed", "mean", dropna=False)
    return wide, cases.groupby("case")["patient"].first().loc[wide.index].to_numpy()


def resampled_means(wide: pd.DataFrame, patients: np.ndarray) -> np.ndarray:
    """Mean over resampled cases, (seeds, R); equal patients give equal resamples."""
    weights = resampling_weights(patients)
    means = [weighted_mean(wide[seed], weights) for seed in wide.columns]
    return np.array(means).reshape(len(means), len(weights))


def _against_best(cases: pd.DataFrame, key: str, larger_is_better: bool) -> dict[str, PValue | str]:
    best = _best(cases, key, larger_is_better)
    others = [run for run in cases["run"].unique() if run != best]
    p_values = holm([difference(cases, run, best, key)[0].p for run in others])
    tested = {run: PValue(p) for run, p in zip(others, p_values, strict=True)}
    return tested | {best: "best" if others else ABSENT}


def _best(cases: pd.DataFrame, key: str, larger_is_better: bool) -> str:
    means = cases.groupby(["run", "seed"])[key].mean().groupby("run").mean()
    return str(means.idxmax() if larger_is_better else means.idxmin())


def _metric_config(record: dict[str, Any]) -> MetricConfig:
    return build(MetricConfig, record["config"].get("metrics", {}))
