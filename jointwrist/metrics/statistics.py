"""Intervals and tests for figures of wrists, two of which may belong to one patient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special, stats
from statsmodels.stats.multitest import multipletests

from jointwrist.metrics.cluster import cluster_robust

RESAMPLES = 2000


class Interval(NamedTuple):
    """A figure with its 95 % interval, or whichever level was asked for."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference with its interval and p value."""

    estimate: float
    low: float
    high: float
    p: float


def resampling_weights(patients: Sequence | np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draw bootstrap resamples of patients: a patient's rows come together or not at all.

    Field and Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69, 2007 (randomised cluster bootstrap).

    Args:
        patients: (N,) patient of each row.
        resamples: Resamples R.
        seed: Seed.

    Returns:
        (R, N) float64, how often each row is in each resample.
    """
    names, patient = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    return _resamples(len(names), resamples, seed)[:, patient]


@lru_cache(maxsize=4)
def _resamples(patients: int, resamples: int, seed: int) -> np.ndarray:
    """How often each patient is in each resample; kept, since every figure of a table asks for the same."""
    drawn = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), resamples).astype(float)
    drawn.flags.writeable = False
    return drawn


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean of the defined among (N,) values under (R, N) weights; nan where a resample has none of them."""
    values = np.asarray(values, float)
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights[:, defined] @ values[defined] / weights[:, defined].sum(1)


def percentile_interval(
    estimate: float, resampled: np.ndarray, patients: float = np.inf, level: float = 0.95
) -> Interval:
    """Expanded percentile interval of figures of resampled patients.

    Percentiles of few patients lie too close together, by the factor sqrt((n - 1) / n) and the tails of Student's t:
    the interval reaches as much further out (Hesterberg, Am. Stat. 69, 2015, section 5.3).

    Args:
        estimate: Figure of all patients.
        resampled: (R,) resampled figures; those undefined are left out.
        patients: How many patients n were resampled; by default very many.
        level: Coverage.
    """
    defined = resampled[~np.isnan(resampled)]
    if len(defined) == 0 or np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan)
    tail = expanded_tail((1 - level) / 2, patients)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(estimate), float(low), float(high))


def expanded_tail(tail: float, patients: float) -> float:
    """Share of resamples of n patients to cut off for a tail of the distribution; see `percentile_interval`."""
    if np.isinf(patients):
        return tail
    if patients < 2:
        return 0.0
    return float(special.ndtr(np.sqrt(patients / (patients - 1)) * special.stdtrit(patients - 1, tail)))


def bootstrap_p(resampled: np.ndarray, patients: float = np.inf) -> float:
    """Two-sided p value of a difference from its (R,) values over n resampled patients: how often its sign turns.

    Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapter 4; the smallest is that of 1 in R + 1.
    The share of turned signs is taken back to a level as `percentile_interval` takes the level to a share.
    """
    defined = resampled[~np.isnan(resampled)]
    if len(defined) == 0:
        return np.nan
    turned = min((defined <= 0).sum(), (defined >= 0).sum())
    share = min(0.5, (float(turned) + 1) / (len(defined) + 1))
    if np.isinf(patients):
        return 2 * share
    if patients < 2:
        return 1.0
    return float(2 * special.stdtr(patients - 1, special.ndtri(share) / np.sqrt(patients / (patients - 1))))


def bootstrap_interval(
    values: np.ndarray,
    patients: Sequence | np.ndarray,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Mean of per-case figures with its percentile bootstrap interval, resampled by patient.

    Args:
        values: (N,) figures; nan is left out.
        patients: (N,) patient of each case.
        level: Coverage.
        resamples: Resamples.
        seed: Seed.

    Raises:
        ValueError: The lengths differ.
    """
    values, patients = _same_length(values, patients)
    if np.isnan(values).all():
        return Interval(np.nan, np.nan, np.nan)
    resampled = weighted_mean(values, resampling_weights(patients, resamples, seed))
    return percentile_interval(np.nanmean(values), resampled, _count(patients, values), level)


def bootstrap_difference(
    first: np.ndarray,
    second: np.ndarray,
    patients: Sequence | np.ndarray,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Mean of first - second over cases where both are defined, resampled by patient; see `bootstrap_interval`."""
    first, second = _same_length(first, second)
    difference, patients = _same_length(first - second, patients)
    if np.isnan(difference).all():
        return Difference(np.nan, np.nan, np.nan, np.nan)
    resampled = weighted_mean(difference, resampling_weights(patients, resamples, seed))
    count = _count(patients, difference)
    return Difference(
        *percentile_interval(np.nanmean(difference), resampled, count, level), bootstrap_p(resampled, count)
    )


def paired_wilcoxon(first: np.ndarray, second: np.ndarray, patients: Sequence | np.ndarray) -> float:
    """P value of Wilcoxon's signed-rank test between two models, on the mean difference of every patient.

    The test needs independent pairs, which two wrists of a patient are not. Undefined figures are left out; without
    any difference p is 1, and without any pair nan.
    """
    first, second = _same_length(first, second)
    difference, patients = _same_length(first - second, patients)
    defined = ~np.isnan(difference)
    if not defined.any():
        return np.nan
    _, patient = np.unique(patients[defined].astype(str), return_inverse=True)
    means = np.bincount(patient, difference[defined]) / np.bincount(patient)
    return float(stats.wilcoxon(means).pvalue) if means.any() else 1.0


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Adjust p values for the number of tests (Holm 1979); nan stays nan and does not count as a test."""
    p_values = np.asarray(p_values, float)
    adjusted = p_values.copy()
    tested = ~np.isnan(p_values)
    if tested.any():
        adjusted[tested] = multipletests(p_values[tested], method="holm")[1]
    return adjusted


def compare_groups(
    values: np.ndarray, group: np.ndarray, patients: Sequence | np.ndarray, level: float = 0.95
) -> Difference:
    """Compare cases of a group with the others, such as wrists with and without erosion.

    Regression on the group with the cluster-robust variance CR2 and its degrees of freedom (Bell and McCaffrey, Survey
    Methodology 28, 2002; Pustejovsky and Tipton, J. Bus. Econ. Stat. 36, 2018): wrists of a patient may be alike, and
    may lie on either side. With a wrist a patient, the statistic is Welch's.

    Args:
        values: (N,) figures; nan is left out.
        group: (N,) bool.
        patients: (N,) patient of each case.
        level: Coverage.

    Returns:
        Mean in the group minus mean outside, its interval and p value; nan where one side is empty.
    """
    values, patients = _same_length(values, patients)
    group, _ = _same_length(group, patients)
    defined = ~np.isnan(values)
    values, group, patients = values[defined], group[defined].astype(bool), patients[defined]
    if group.all() or not group.any():
        return Difference(np.nan, np.nan, np.nan, np.nan)
    estimate = float(values[group].mean() - values[~group].mean())
    residuals = values - np.where(group, values[group].mean(), values[~group].mean())
    variance, freedom = cluster_robust(residuals, group, patients)
    reach = np.sqrt(variance) * stats.t.ppf((1 + level) / 2, freedom)
    p = 2 * stats.t.sf(abs(estimate) / np.sqrt(variance), freedom) if variance > 0 else float(estimate == 0)
    return Difference(estimate, estimate - reach, estimate + reach, float(p))


def _count(patients: np.ndarray, values: np.ndarray) -> int:
    """Number of patients with a defined value."""
    return len(np.unique(patients[~np.isnan(values)].astype(str)))


def _same_length(first, second) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"shapes {first.shape} and {second.shape} are not those of two rows of equal length")
    return first, second
