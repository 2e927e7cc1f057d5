"""Figures of a network before and after training, on the same wrists, with intervals over patients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.statistics import bootstrap_difference, bootstrap_interval, percentile_interval
from jointwrist.metrics.statistics import resampling_weights as resampling
from jointwrist.text import number_of


@dataclass(frozen=True)
class Change:
    """A figure before and after, each with its 95 % interval over patients.

    Attributes:
        figure: "DSC", "NSD" or "AUROC"; DSC and NSD are means over bones and wrists, AUROC is over joints.
        unit: "%" or empty.
        wrists: Number of wrists.
        before: Value of the weights that the training started from.
        before_low: Lower limit.
        before_high: Upper limit.
        after: Value after the training.
        after_low: Lower limit.
        after_high: Upper limit.
        change: Difference on the same wrists.
        change_low: Lower limit.
        change_high: Upper limit.
    """

    figure: str
    unit: str
    wrists: int
    before: float
    before_low: float
    before_high: float
    after: float
    after_low: float
    after_high: float
    change: float
    change_low: float
    change_high: float

    def __str__(self) -> str:
        """Format the change as one line."""
        form = "{:.2f} [{:.2f}, {:.2f}]" if self.unit else "{:.3f} [{:.3f}, {:.3f}]"
        signed = form.replace("{:", "{:+")
        unit = f" {self.unit}" if self.unit else ""
        before = form.format(self.before, self.before_low, self.before_high)
        after = form.format(self.after, self.after_low, self.after_high)
        change = signed.format(self.change, self.change_low, self.change_high)
        return (
            f"{self.figure}{unit}: before {before}, after {after}, change {change} ({number_of(self.wrists, 'wrist')})"
        )


def measure_changes(before: Mapping[str, pd.DataFrame], after: Mapping[str, pd.DataFrame]) -> list[Change]:
    """Compare per-case results of the same wrists.

    Args:
        before: Tables "segmentation" and "erosion", as the evaluation returns them; one may be missing.
        after: The same tables for the trained networks.
    """
    changes = []
    if "segmentation" in before and "segmentation" in after:
        means = [_wrist_means(tables["segmentation"]) for tables in (before, after)]
        means[1] = means[1].reindex(means[0].index)
        patients = means[0]["patient"].to_numpy()
        for name in ("dsc", "nsd") if len(means[0]) else ():
            first, second = (100 * frame[name].to_numpy(float) for frame in means)
            parts = [bootstrap_interval(values, patients) for values in (first, second)]
            difference = bootstrap_difference(second, first, patients)
            changes.append(Change(name.upper(), "%", len(means[0]), *_limits(*parts, difference)))
    if "erosion" in before and "erosion" in after:
        change = _auroc_change(before["erosion"], after["erosion"])
        changes += [change] if np.isfinite(change.change) else []
    return changes


def _wrist_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the means over the bones of each wrist; wrists whose truth has no bone have none."""
    bones = rows[rows["kind"] == "bone"]
    return bones.groupby("case").agg({"patient": "first", "dsc": "mean", "nsd": "mean"}).dropna(subset="dsc")


def _auroc_change(before: pd.DataFrame, after: pd.DataFrame) -> Change:
    joints = before.merge(after, on=["case", "joint"], suffixes=("_before", "_after"))
    eroded, patients = joints["score_before"].to_numpy() > 0, joints["patient_before"].to_numpy()
    weights, count = resampling(patients), len(set(patients))
    values, resampled = [], []
    for moment in ("before", "after"):
        probability = joints[f"probability_{moment}"].to_numpy(float)
        called = np.zeros(len(joints), bool)
        values.append(float(weighted_figures(eroded, probability, called)["AUROC"][0]))
        resampled.append(weighted_figures(eroded, probability, called, weights)["AUROC"])
    values.append(values[1] - values[0])
    resampled.append(resampled[1] - resampled[0])
    intervals = [percentile_interval(*pair, count) for pair in zip(values, resampled, strict=True)]
    return Change("AUROC", "", joints["case"].nunique(), *_limits(*intervals))


def _limits(*intervals) -> list[float]:
    return [float(value) for interval in intervals for value in tuple(interval)[:3]]
