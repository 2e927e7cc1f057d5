"""Tables of scores other than erosion, such as joint-space narrowing: all joints pooled, and single joints."""

from __future__ import annotations

import numpy as np
import pandas as pd

from jointwrist.benchmark.tables.cells import Figure
from jointwrist.benchmark.tables.erosion import POOLED
from jointwrist.benchmark.tables.results import Results, caption, label, ordered
from jointwrist.benchmark.tables.table import Table
from jointwrist.metrics.ordinal import ordinal_figures
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import resampling_weights

#: Title, factor to its unit and least value, by figure.
FIGURES = {"QWK": ("QWK", 1, -1), "accuracy": ("accuracy %", 100, 0), "AUROC": ("AUROC", 1, 0)}


def further_tables(results: Results) -> list[Table]:
    """Make the table of every further score that has results."""
    scores = [score for score in results.anatomy.further_scores if score.name in results.per_case]
    return [_score_table(results, score.name, score.levels) for score in scores]


def _score_table(results: Results, score: str, levels: int) -> Table:
    every = results.per_case[score].assign(score=results.per_case[score]["score"].clip(upper=levels - 1))
    rows = []
    for joint in (POOLED, *dict.fromkeys(every["joint"])):
        chosen = every if joint == POOLED else every[every["joint"] == joint]
        truth = chosen.drop_duplicates(["case", "joint"])["score"]
        for run in ordered(chosen["run"].unique()):
            rows.append(
                {
                    "Joint": joint,
                    "above 0": f"{int((truth > 0).sum())} of {len(truth)}",
                    "Model": label(run),
                    **_cells(chosen[chosen["run"] == run]),
                }
            )
    note = "QWK: quadratic weighted kappa of the levels; AUROC: of scores above 0."
    return Table(score, caption(f"Score: {score}", results, score, note), rows)


def _cells(rows: pd.DataFrame) -> dict[str, Figure]:
    """Return the figures of one run, over its seeds, from its rows."""
    patients, values, resampled = rows["patient"].nunique(), [], []
    for _, part in rows.sort_values(["case", "joint"]).groupby("seed"):
        columns = [part[name].to_numpy() for name in ("score", "level", "probability")]
        values.append(ordinal_figures(*columns))
        resampled.append(ordinal_figures(*columns, resampling_weights(part["patient"])))
    cells = {}
    for name, (title, factor, least) in FIGURES.items():
        each = np.array([value[name][0] for value in values])
        found = seeds_and_patients(each, np.stack([drawn[name] for drawn in resampled]), patients, limits=(least, 1))
        cells[title] = Figure.over_seeds(each, found.low, found.high).times(factor)
    return cells
