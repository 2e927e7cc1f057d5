"""Estimates for arms and their differences, with intervals over seeds and patients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.tables.cells import Figure
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import resampling_weights, weighted_mean

#: Title, factor to its unit, and decimals, by figure.
MASK_FIGURES = {"dsc": ("DSC %", 100, 2), "nsd": ("NSD %", 100, 2)}
CALL_FIGURES = {"AUROC": ("AUROC", 1, 3), "AUPRC": ("AUPRC", 1, 3), "BACC": ("BACC %", 100, 2), "F1": ("F1 %", 100, 2)}
FIGURES = MASK_FIGURES | CALL_FIGURES


@dataclass(frozen=True)
class Figures:
    """Figures of every run on the test patients and on resampled patients; the resamples are the same for all runs.

    Attributes:
        values: A figure, by run and name.
        resampled: (R,) figures, by run and name.
        patients: Number of test patients.
    """

    values: dict[str, dict[str, float]]
    resampled: dict[str, dict[str, np.ndarray]]
    patients: int

    @classmethod
    def of(cls, rows: KeptResults) -> Figures:
        """Compute the figures of all runs."""
        values: dict[str, dict[str, float]] = {run: {} for run in rows.runs.index}
        resampled: dict[str, dict[str, np.ndarray]] = {run: {} for run in rows.runs.index}
        for column in rows.masks.columns:
            run, key = column.rsplit(" ", 1)
            cases = rows.masks[column].to_numpy(float)
            values[run][key] = float(np.nanmean(cases))
            weights = resampling_weights(rows.masks.index.get_level_values("patient"))
            resampled[run][key] = weighted_mean(cases, weights)
        for run in rows.calls.columns:
            found, drawn = rows.call_figures(run), rows.resampled(run)
            values[run] |= {key: found[key] for key in CALL_FIGURES}
            resampled[run] |= {key: drawn[key] for key in CALL_FIGURES}
        index = (rows.calls if len(rows.calls.columns) else rows.masks).index
        return cls(values, resampled, index.get_level_values("patient").nunique())

    def over_seeds(self, runs: list[str], key: str) -> Figure | None:
        """Mean and SD of an arm over its runs, one per seed, with interval; None if the arm has no such figure."""
        if not runs or not all(key in self.values[run] for run in runs):
            return None
        values = [self.values[run][key] for run in runs]
        found = seeds_and_patients(values, [self.resampled[run][key] for run in runs], self.patients, limits=(0, 1))
        _, factor, digits = FIGURES[key]
        return Figure.over_seeds(values, found.low, found.high, digits).times(factor)

    def difference(self, first: list[str], second: list[str], key: str) -> tuple[Figure, float] | None:
        """First minus second arm, and p; None where one of them has no such figure.

        With a single seed there is neither interval nor p: two trainings cannot separate the arms from chance.

        Args:
            first: Runs of an arm, one per seed.
            second: Runs of the other arm, in the same order of seeds.
            key: Figure of `FIGURES`.
        """
        if not first or not all(key in self.values[run] for run in (*first, *second)):
            return None
        pairs = list(zip(first, second, strict=True))
        _, factor, digits = FIGURES[key]
        values = [self.values[a][key] - self.values[b][key] for a, b in pairs]
        if len(values) == 1:
            return Figure(factor * values[0], digits=digits), np.nan
        resampled = [self.resampled[a][key] - self.resampled[b][key] for a, b in pairs]
        found = seeds_and_patients(values, resampled, self.patients)
        return Figure(found.estimate, np.nan, found.low, found.high, digits=digits).times(factor), found.p
