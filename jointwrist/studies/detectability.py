"""Figures of a lesion-insertion study: sensitivity at a stated false-positive rate, with intervals over patients."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from jointwrist.anatomy import JOINT_NAMES
from jointwrist.errors import DataError
from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.renamed_names import former_attribute

#: Resamples of patients, and the interval that is reported.
RESAMPLES, INTERVAL = 1000, (2.5, 97.5)
ALL = "all"


@dataclass(frozen=True)
class Detectability:
    """Figures of a study.

    Attributes:
        threshold: Probability from which at most `false_calls` of the unmodified joints count as eroded.
        false_calls: Stated false-positive rate.
        threshold_interval: Bootstrap interval of the threshold.
        untouched: Mean probability of the unmodified joints.
        radiographs: Number of radiographs.
        patients: Number of patients; with fewer than ten, intervals are of little value.
        table: Rows by kind ("inserted" or "control"), joint ("all" or a name), family ("all" or a name) and radius_mm,
            with cases, auroc, sensitivity and higher (share of pairs in which the changed radiograph has the higher
            probability, ties half), and auroc_low, auroc_high, sensitivity_low, sensitivity_high, higher_low and
            higher_high.
    """

    threshold: float
    false_calls: float
    threshold_interval: tuple[float, float]
    untouched: float
    radiographs: int
    films = former_attribute("films", "radiographs")
    patients: int
    table: pd.DataFrame


def call_threshold(plain: np.ndarray, false_calls: float, weights: np.ndarray | None = None) -> float:
    """Return the lowest threshold at which at most a given share of unmodified joints is called eroded.

    Args:
        plain: (N,) probabilities of untouched joints.
        false_calls: Largest share that may be called.
        weights: (N,) weights; None weighs all equally.
    """
    order = np.argsort(plain)[::-1]
    values = plain[order]
    share = np.cumsum(np.ones(len(plain)) if weights is None else weights[order])
    share = share / max(share[-1], 1e-12)
    # equal probabilities are called together
    last = np.append(values[1:] != values[:-1], True)
    called = np.flatnonzero(last & (share <= false_calls + 1e-9))
    if not len(called):
        return float(np.nextafter(values[0], 2))
    after = called[-1] + 1
    return float((values[called[-1]] + values[after]) / 2) if after < len(values) else float(values[-1])


def detectability(rows: pd.DataFrame, false_calls: float = 0.1, seed: int = 0) -> Detectability:
    """Compute the figures of a study from its rows; intervals resample patients, the threshold with them.

    Args:
        rows: Rows of `run_study`.
        false_calls: Share of unmodified joints that may be called eroded. Some may be truly eroded, so that the
            rate on healthy joints is lower.
        seed: Seed of the resamples.

    Raises:
        DataError: No joint was scored, or no erosion inserted.
    """
    rows = rows[np.isfinite(rows["probability"])]
    plain = rows[rows["kind"] == "plain"].set_index(["film", "side", "patient", "joint"])["probability"]
    changed = rows[rows["kind"] != "plain"].copy()
    keys = pd.MultiIndex.from_frame(changed[["film", "side", "patient", "joint"]])
    changed = changed[keys.isin(plain.index)]
    if changed.empty:
        raise DataError(
            "no erosion was inserted into a joint that the network scores; give other radiographs or weights"
        )
    keys = pd.MultiIndex.from_frame(changed[["film", "side", "patient", "joint"]])
    changed["before"] = plain.reindex(keys).to_numpy()
    patients, person = np.unique(plain.index.get_level_values("patient"), return_inverse=True)
    draws = np.random.default_rng(seed).multinomial(len(patients), np.full(len(patients), 1 / len(patients)), RESAMPLES)
    threshold = call_threshold(plain.to_numpy(), false_calls)
    thresholds = np.array([call_threshold(plain.to_numpy(), false_calls, draw[person]) for draw in draws])
    changed["person"] = np.searchsorted(patients, changed["patient"])
    table = [{**about, **_figures(part, threshold, thresholds, draws)} for about, part in _groups(changed) if len(part)]
    return Detectability(
        threshold,
        false_calls,
        _interval(thresholds),
        float(plain.mean()),
        plain.reset_index().groupby(["film", "side"]).ngroups,
        len(patients),
        pd.DataFrame(table),
    )


def _groups(changed: pd.DataFrame) -> Iterator[tuple[dict[str, object], pd.DataFrame]]:
    for kind in ("inserted", "control"):
        of_kind = changed[changed["kind"] == kind]
        for radius in sorted(of_kind["radius_mm"].unique()):
            part = of_kind[of_kind["radius_mm"] == radius]
            about = {"kind": kind, "joint": ALL, "family": ALL, "radius_mm": radius}
            yield about, part
            if kind == "inserted":
                for joint in JOINT_NAMES:
                    yield about | {"joint": joint}, part[part["joint"] == joint]
                for family in sorted(part["family"].unique()):
                    yield about | {"family": family}, part[part["family"] == family]


def _figures(part: pd.DataFrame, threshold: float, thresholds: np.ndarray, draws: np.ndarray) -> dict[str, float]:
    after = part["probability"].to_numpy()
    # a joint that was changed several times counts once unmodified
    once = part.drop_duplicates(["film", "side", "joint"])
    before, weight = once["before"].to_numpy(), draws[:, part["person"]]
    values = np.concatenate([after, before])
    eroded = np.arange(len(values)) < len(after)
    weights = np.concatenate([weight, draws[:, once["person"]]], 1).astype(float)
    weights = np.concatenate([np.ones((1, len(values))), weights])
    areas = weighted_figures(eroded, values, call_eroded(values, threshold), weights)["AUROC"]
    higher = (after > part["before"]) + 0.5 * (after == part["before"])
    total = np.maximum(weight.sum(1), 1e-12)
    drawn = weight.sum(1) > 0
    seen = np.where(drawn, (weight * call_eroded(after, thresholds[:, None])).sum(1) / total, np.nan)
    pairs = np.where(drawn, (weight * higher.to_numpy()).sum(1) / total, np.nan)
    figures: dict[str, float] = {"cases": len(part)}
    for name, value, resampled in (
        ("auroc", areas[0], areas[1:]),
        ("sensitivity", float(call_eroded(after, threshold).mean()), seen),
        ("higher", float(higher.mean()), pairs),
    ):
        low, high = _interval(resampled)
        figures |= {name: float(value), f"{name}_low": low, f"{name}_high": high}
    return figures


def _interval(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    if not len(finite):
        return float("nan"), float("nan")
    low, high = np.percentile(finite, INTERVAL)
    return float(low), float(high)
