"""Figures, tables and plot of `benchmarks/left_out_families.py`, made from the rows of its tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from jointwrist.benchmark.tables.cells import ABSENT, NOT_RUN, OVER_SEEDS, Figure
from jointwrist.benchmark.tables.table import Table
from jointwrist.files import atomic
from jointwrist.metrics.erosion import auroc
from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import resampling_weights, weighted_mean
from jointwrist.phantom.family_names import EROSIVE, NO_FAMILY

#: Begin the columns of the network of all families, and of the one that left out the family of the test.
ALL, WITHOUT = "all", "left out"
#: AUROC asked of every family, and the share of surfaces without erosion that may be called eroded.
ASKED, FALSE_CALLS = 0.9, 0.1
#: Limits between the areas of erosions in mm².
AREAS = (2.5, 5.0, 10.0, 20.0)


class Values(NamedTuple):
    """A figure of one network for each seed, on the test patients and on resampled ones.

    Attributes:
        values: (S,).
        resampled: (S, R).
        patients: Number of patients.
    """

    values: np.ndarray
    resampled: np.ndarray
    patients: int

    def minus(self, other: Values) -> Values:
        """Return the paired difference."""
        return Values(self.values - other.values, self.resampled - other.resampled, self.patients)

    def figure(self, digits: int = 3, limits: tuple[float, float] = (0, 1)) -> Figure:
        """Return mean and SD over seeds with the 95 % interval over seeds and patients."""
        found = seeds_and_patients(self.values, self.resampled, self.patients, limits=limits)
        return Figure.over_seeds(self.values, found.low, found.high, digits)


def family_values(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Values]:
    """Figures of the networks of one kind on the test of a family.

    Args:
        rows: Rows of the test.
        columns: Columns of probabilities, one for each seed.

    Returns:
        AUROC of the erosions against all other surfaces ("AUROC"), against those without a finding ("no finding") and
        against look-alikes ("look-alike"); share of the erosions that is found where 10 % of the other surfaces are
        called eroded ("found"), and mean share of the heat map in the erosion ("heat").
    """
    index = rows.index.to_frame(index=False)
    eroded, clear = (index["score"] > 0).to_numpy(), (index["family"] == NO_FAMILY).to_numpy()
    weights = resampling_weights(index["patient"])
    kinds = {"AUROC": np.ones_like(eroded), "no finding": eroded | clear, "look-alike": eroded | ~clear}
    found: dict[str, list[tuple[float, np.ndarray]]] = {name: [] for name in (*kinds, "found", "heat")}
    for column in columns:
        probability = rows[column].to_numpy(float)
        calls = probability > np.quantile(probability[~eroded], 1 - FALSE_CALLS)
        for kind, chosen in kinds.items():
            arrays = eroded[chosen], probability[chosen], calls[chosen]
            figures, drawn = weighted_figures(*arrays), weighted_figures(*arrays, weights[:, chosen])
            found[kind].append((float(figures["AUROC"][0]), drawn["AUROC"]))
            if kind == "AUROC":
                found["found"].append((float(figures["SEN"][0]), drawn["SEN"]))
        heat = rows[f"{column} heat"].to_numpy(float)
        found["heat"].append((float(weighted_mean(heat, np.ones((1, len(heat))))[0]), weighted_mean(heat, weights)))
    return {
        name: Values(np.array([v for v, _ in pairs]), np.stack([r for _, r in pairs]), index["patient"].nunique())
        for name, pairs in found.items()
    }


def left_out_tables(rows: pd.DataFrame) -> list[Table]:
    """Tables of every family: AUROC without and with it in training, and what explains it."""
    first, second = [], []
    for family in EROSIVE:
        test = rows[rows.index.get_level_values("tested") == family]
        there = test.columns[test.notna().any()]
        seeds = [name.split()[-1] for name in there if name.startswith(WITHOUT) and not name.endswith("heat")]
        seeds = [seed for seed in seeds if f"{ALL} {seed}" in there]
        if not seeds:
            first.append({"Family": f"`{family}`", "erosions": NOT_RUN})
            continue
        without, trained = (family_values(test, [f"{kind} {seed}" for seed in seeds]) for kind in (WITHOUT, ALL))
        others = [name for name in there if name.startswith("without") and not name.endswith("heat")]
        score = test.index.get_level_values("score")
        first.append(
            {
                "Family": f"`{family}`",
                "erosions": int((score > 0).sum()),
                "seeds": len(seeds),
                "AUROC, left out": without["AUROC"].figure(),
                "AUROC, in training": trained["AUROC"].figure(),
                "difference": without["AUROC"].minus(trained["AUROC"]).figure(limits=(-1, 1)),
                "others": ", ".join(f"{auroc(score > 0, test[name]):.3f}" for name in others) or ABSENT,
                f"at least {ASKED:.2f}": "yes" if without["AUROC"].values.mean() >= ASKED else "no",
            }
        )
        line: dict[str, Any] = {"Family": f"`{family}`", "median mm²": f"{test['area_mm2'][score > 0].median():.1f}"}
        for key, title in (
            ("no finding", "AUROC against no finding"), ("look-alike", "against look-alikes"), ("found", "found"),
            ("heat", "heat map in the erosion"),
        ):  # fmt: skip
            line |= {f"{title}, left out": without[key].figure(2), f"{title}, in training": trained[key].figure(2)}
        second.append(line)
    caption = (
        "Erosion families left out of training. Erosions of one family against surfaces without erosion, half of which"
        f" have a look-alike, on the same {int(rows.index.get_level_values('wrist').max()) + 1} phantoms for both"
        f" networks. {OVER_SEEDS}. Differences are paired by seed and patient."
        " Others: networks that left out another family, and had this one in training."
    )
    details = (
        "The same tests: median area of the erosions; AUROC against surfaces without a finding, and against look-alikes"
        f" alone; share of the erosions found where {100 * FALSE_CALLS:.0f} % of the other surfaces are called eroded;"
        f" share of the heat map on eroded pixels. {OVER_SEEDS}."
    )
    return [Table("left_out_families", caption, first), Table("left_out_details", details, second), area_table(rows)]


def area_table(rows: pd.DataFrame) -> Table:
    """Table of the AUROC by the area of the erosions, over the tests that both networks of a seed have."""
    seeds = [name.split()[-1] for name in rows if name.startswith(WITHOUT) and not name.endswith("heat")]
    seeds = [seed for seed in seeds if f"{ALL} {seed}" in rows]
    score, lines = rows.index.get_level_values("score"), []
    for low, high in zip((0.0, *AREAS), (*AREAS, np.inf), strict=True):
        chosen = rows[(score == 0) | ((rows["area_mm2"] > low) & (rows["area_mm2"] <= high))]
        chosen = chosen.dropna(subset=[f"{kind} {seed}" for kind in (WITHOUT, ALL) for seed in seeds])
        eroded, patients = chosen.index.get_level_values("score") > 0, chosen.index.get_level_values("patient")
        if not eroded.any():
            continue
        weights = resampling_weights(patients)
        line: dict[str, Any] = {
            "mm²": f"up to {high:g}" if np.isfinite(high) else f"above {low:g}", "erosions": int(eroded.sum())
        }  # fmt: skip
        for kind, title in ((WITHOUT, "left out"), (ALL, "in training")):
            columns = [chosen[f"{kind} {seed}"].to_numpy(float) for seed in seeds]
            drawn = [weighted_figures(eroded, column, column >= 0.5, weights)["AUROC"] for column in columns]
            values = np.array([auroc(eroded, column) for column in columns])
            line[f"AUROC, {title}"] = Values(values, np.stack(drawn), patients.nunique()).figure()
        lines.append(line)
    caption = (
        "The tests of all families together, by the area of the erosions; each family by the network that left it out,"
        f" and by the one that had all in training. {OVER_SEEDS}."
    )
    return Table("left_out_areas", caption, lines)


def write_picture(table: Table, path: Path) -> None:
    """Draw the AUROC of every family, left out and in training, with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in table.rows if "seeds" in row]
    figure, axis = plt.subplots(figsize=(7, 0.36 * len(rows) + 1.3), layout="constrained")
    for name, colour, shift in (("left out", "#d1495b", -0.12), ("in training", "#1b6ca8", 0.12)):
        cells, places = [row[f"AUROC, {name}"] for row in rows], np.arange(len(rows)) + shift
        axis.hlines(places, [c.low for c in cells], [c.high for c in cells], color=colour, lw=2.5, alpha=0.5)
        axis.plot([c.mean for c in cells], places, "o", color=colour, ms=5, label=name)
    axis.axvline(ASKED, color="grey", lw=1, ls=":")
    axis.set_yticks(range(len(rows)), [row["Family"].strip("`") for row in rows])
    axis.invert_yaxis()
    axis.set_xlabel("AUROC of the family's erosions")
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
