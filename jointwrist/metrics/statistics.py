"""Confidence intervals and tests for metrics of wrists, two of which can belong to one patient."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from jointwrist.metrics.cluster import cluster_robust

RESAMPLES = 2000


class Interval(NamedTuple):
    """An estimate with its confidence interval."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """A difference with its confidence interval and p value."""

    estimate: float
    low: float
    high: float
    p: float


def resampling_weights(patients: Sequence | np.ndarray, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draw bootstrap resamples of patients; all rows of a patient are drawn together.

    Field and Welsh, Bootstrapping clustered data, J. R. Statist. Soc. B 69, 2007 (randomised cluster bootstrap).

    Args:
        patients: (N,) patient of each row.
        resamples: Number of resamples, R.
        seed: Seed.

    Returns:
        (R, N) float64, the number of times that each resample contains each row.
    """
    names, patient = np.unique(np.asarray(patients).astype(str), return_inverse=True)
    return _resamples(len(names), resamples, seed)[:, patient]


@lru_cache(maxsize=4)
def _resamples(patients: int, resamples: int, seed: int) -> np.ndarray:
    """Counts of each patient in each resample; cached, as all entries of a table use the same resamples."""
    drawn = np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), resamples).astype(float)
    drawn.flags.writeable = False
    return drawn


def weighted_mean(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weighted mean (R,) over the defined values among (N,); nan for a resample without any."""
    values = np.asarray(values, float)
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return weights[:, defined] @ values[defined] / weights[:, defined].sum(1)


def percentile_interval(
    estimate: float, resampled: np.ndarray, patients: float = np.inf, level: float = 0.95
) -> Interval:
    """Expanded percentile interval over resampled patients.

    With few patients the percentile interval is too narrow, by the factor sqrt((n - 1) / n) and the tails of Student's
    t distribution; it is expanded accordingly (Hesterberg, Am. Stat. 69, 2015, section 5.3).

    Args:
        estimate: Value over all patients.
        resampled: (R,) values of the resamples; undefined ones are left out.
        patients: Number of resampled patients, n; infinite by default, without expansion.
        level: Coverage.
    """
    defined = resampled[~np.isnan(resampled)]
    if len(defined) == 0 or np.isnan(estimate):
        return Interval(estimate, np.nan, np.nan)
    tail = expanded_tail((1 - level) / 2, patients)
    low, high = np.quantile(defined, [tail, 1 - tail])
    return Interval(float(estimate), float(low), float(high))


def expanded_tail(tail: float, patients: float) -> float:
    """Share of the resamples of n patients beyond the expanded limit of a tail; see `percentile_interval`."""
    if np.isinf(patients):
        return tail
    if patients < 2:
        return 0.0
    return float(special.ndtr(np.sqrt(patients / (patients - 1)) * special.stdtrit(patients - 1, tail)))


def bootstrap_p(resampled: np.ndarray, patients: float = np.inf) -> float:
    """Two-sided p value of a difference from the share of its (R,) resampled values of the opposite sign.

    Davison and Hinkley, Bootstrap Methods and their Application, 1997, chapter 4; the smallest share is 1 / (R + 1). It
    is converted to a level by the inverse of the expansion of `percentile_interval`.
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
    """Mean of per-case values with its percentile bootstrap interval, resampled by patient.

    Args:
        values: (N,) values; nan is left out.
        patients: (N,) patient of each case.
        level: Coverage.
        resamples: Number of resamples.
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
    """Mean of `first - second` over the cases where both are defined; see `bootstrap_interval`."""
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
    """P value of Wilcoxon's signed-rank test of two models, on the mean difference per patient.

    The test needs independent pairs, and two wrists of one patient are not independent. Undefined values are left out.
    If all differences are 0, p is 1; without any pair it is nan.
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
    """Adjust p values for the number of tests (Holm 1979); nan is returned as nan and does not count as a test."""
    p_values = np.asarray(p_values, float)
    adjusted = p_values.copy()
    order = np.argsort(p_values)[: np.count_nonzero(~np.isnan(p_values))]  # nan comes last
    tests_left = np.arange(len(order), 0, -1)
    adjusted[order] = np.maximum.accumulate(p_values[order] * tests_left).clip(max=1)
    return adjusted


def compare_groups(
    values: np.ndarray, group: np.ndarray, patients: Sequence | np.ndarray, level: float = 0.95
) -> Difference:
    """Compare the cases of a group with all others, such as wrists with and without erosion.

    Regression on the group with the cluster-robust variance CR2 and its degrees of freedom (Bell and McCaffrey, Survey
    Methodology 28, 2002; Pustejovsky and Tipton, J. Bus. Econ. Stat. 36, 2018). Wrists of one patient can be correlated
    and can belong to either group. With one wrist per patient, the statistic is that of Welch's test.

    Args:
        values: (N,) values; nan is left out.
        group: (N,) bool.
        patients: (N,) patient of each case.
        level: Coverage.

    Returns:
        Mean in the group minus mean of the others, with interval and p value; nan if one of them is empty.
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
        raise ValueError(f"two one-dimensional arrays of equal length are needed, not {first.shape} and {second.shape}")
    return first, second
