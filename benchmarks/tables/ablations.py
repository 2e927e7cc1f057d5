"""Tables of the ablations, made from the rows that were kept of every run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables.ablation_figures import call_figure, mask_figure, title_of
from benchmarks.tables.ablation_picture import write_picture
from benchmarks.tables.ablation_rows import MASK_FIGURES, Rows
from benchmarks.tables.table import ABSENT, NOT_RUN, Figure, PValue, Table
from jointwrist.files import write_text
from jointwrist.metrics.statistics import bootstrap_difference, bootstrap_p, percentile_interval

EROSION = {"AUROC": ("AUROC", 1), "AUPRC": ("AUPRC", 1), "BACC": ("BACC %", 100), "F1": ("F1 %", 100)}


def write_ablations(plan: Any, results: Path, out: Path | None = None) -> str:
    """Take over the finished runs, write rows, tables and picture into a folder, return the tables as Markdown."""
    out = out or results
    rows = Rows.read(out).with_runs(results, plan)
    if rows.runs.empty:
        return "no run is finished yet"
    rows.write(out)
    resampled = {run: rows.resampled(run) for run in rows.calls.columns}
    tables = [arm_table(plan, rows, resampled, regime) for regime in plan.regimes]
    tables.append(difference_table(plan, rows, resampled))
    for table in tables:
        table.write(out)
    write_picture(plan, rows, resampled, out / "ablations.png")
    text = "\n".join(table.markdown() for table in tables)
    write_text(out / "tables.md", text)
    page = out.with_suffix(".md")
    if page.is_file():
        write_text(page, filled(page.read_text(encoding="utf-8"), text))
    return text


def filled(page: str, tables: str) -> str:
    """Return a page with the tables between its markers."""
    block = f"<!-- tables -->\n{tables.strip()}\n<!-- /tables -->"
    return re.sub("<!-- tables -->.*<!-- /tables -->", lambda _: block, page, flags=re.DOTALL)


def arm_table(plan: Any, rows: Rows, resampled: dict[str, dict[str, np.ndarray]], regime: str) -> Table:
    """Every arm of a regime: mean and SD over seeds, 95 % interval over patients."""
    lines = []
    for arm, entry in {**plan.arms, **plan.retests}.items():
        if regime not in (getattr(entry, "regimes", ()) or plan.regimes):
            continue
        runs = rows.of(regime, arm)
        line: dict[str, Any] = {"Arm": f"`{arm}`", "what": title_of(plan, arm), "seeds": len(runs) or NOT_RUN}
        if runs:
            told = rows.runs.loc[runs]
            line["minutes"] = f"{told['seconds'].astype(float).mean() / 60:.1f}" if arm in plan.arms else ABSENT
            line["machine"] = ", ".join(sorted(set(told["machine"])))
            line |= {title: mask_figure(rows, runs, key) for key, title in MASK_FIGURES.items()}
            line |= {title: call_figure(rows, resampled, runs, key, by) for key, (title, by) in EROSION.items()}
        lines.append(line)
    eroded = ""
    if len(rows.calls.columns):
        share = float((rows.calls.index.get_level_values("score") > 0).mean())
        eroded = (
            f" {share:.1%} of the joint surfaces are eroded: calling all of them eroded gives F1"
            f" {2 * share / (1 + share):.1%}. Erosion: joints pooled; threshold of largest balanced accuracy on"
            " validation."
        )
    summary = (
        f"Ablations, {regime}: {plan.regimes[regime].summary}. Tested on {_count(rows)}.{eroded} Mean ± SD over seeds"
        " [95 % bootstrap interval over patients]"
    )
    return Table(f"ablations_{regime}", summary, lines)


def difference_table(plan: Any, rows: Rows, resampled: dict[str, dict[str, np.ndarray]]) -> Table:
    """S1 minus every other arm, paired by patient over the seeds that both have."""
    lines = []
    for regime in plan.regimes:
        for arm in {**plan.arms, **plan.retests}:
            for figure, title in {**MASK_FIGURES, "AUROC": "AUROC"}.items():
                found = difference(rows, resampled, regime, arm, figure)
                if arm != "S1" and found is not None:
                    seeds, estimate, p = found
                    lines.append(
                        {
                            "Regime": regime,
                            "S1 minus": f"`{arm}`",
                            "figure": title,
                            "difference": estimate,
                            "p": PValue(p),
                            "seeds": seeds,
                        }
                    )
    caption = (
        "The joint network (S1) minus the other arms: means over the seeds that both have, the same patients resampled"
        " for both, 95 % interval and two-sided p of the bootstrap, not corrected for their number"
    )
    return Table("ablations_differences", caption, lines)


def difference(
    rows: Rows, resampled: dict[str, dict[str, np.ndarray]], regime: str, arm: str, figure: str
) -> tuple[int, Figure, float] | None:
    """Number of common seeds, S1 minus an arm with its interval, and p; None where one of them has no such figure."""
    seeds = {run.rpartition("-")[2] for run in rows.of(regime, "S1")} & {
        run.rpartition("-")[2] for run in rows.of(regime, arm)
    }
    ours, theirs = ([f"{regime}-{name}-{seed}" for seed in sorted(seeds)] for name in ("S1", arm))
    if not seeds:
        return None
    if figure in MASK_FIGURES:
        columns = [[f"{run} {figure}" for run in runs] for runs in (ours, theirs)]
        if not set(columns[1]) <= set(rows.masks.columns):
            return None
        first, second = (100 * rows.masks[chosen].mean(axis=1).to_numpy() for chosen in columns)
        found = bootstrap_difference(first, second, rows.masks.index.get_level_values("patient"))
        return len(seeds), Figure(found[0], low=found[1], high=found[2]), found[3]
    if not set(theirs) <= set(rows.calls.columns):
        return None
    mean = np.mean(
        [rows.call_figures(a)[figure] - rows.call_figures(b)[figure] for a, b in zip(ours, theirs, strict=True)]
    )
    draws = np.mean([resampled[a][figure] - resampled[b][figure] for a, b in zip(ours, theirs, strict=True)], 0)
    _, low, high = percentile_interval(float(mean), draws)
    return len(seeds), Figure(float(mean), low=low, high=high), bootstrap_p(draws)


def _count(rows: Rows) -> str:
    index = rows.calls.index if len(rows.calls.columns) else rows.masks.index
    cases, patients = (index.get_level_values(name).nunique() for name in ("case", "patient"))
    return f"{cases} wrists of {patients} patients"
