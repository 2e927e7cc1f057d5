"""Confidence intervals and tests over both seeds and patients, for networks trained from several seeds.

A metric varies with the seed of the training and with the patients of the test set. Seeds and patients are crossed,
as readers and cases are in multi-reader studies. Three to five seeds are too few for a bootstrap, whose interval would
be too narrow; their share of the variance therefore comes from Student's t, that of the patients from the bootstrap.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from jointwrist.metrics.statistics import Difference, bootstrap_p, expanded_tail, percentile_interval


def seeds_and_patients(
    values: np.ndarray,
    resampled: np.ndarray,
    patients: int,
    level: float = 0.95,
    limits: tuple[float, float] = (-np.inf, np.inf),
    log: bool = False,
) -> Difference:
    """Mean of a metric over seeds, with a confidence interval and p value over seeds and patients.

    With estimate m, the limits of the interval are

        m - sqrt(t^2 s^2 / S + k (m - l)^2)  and  m + sqrt(t^2 s^2 / S + k (u - m)^2)

    where s is the standard deviation over the S seeds, t Student's quantile with S - 1 degrees of freedom, and [l, u]
    the `percentile_interval` of m over resampled patients: squared distances add (Zou and Donner, Stat. Med. 27, 2008).
    The interaction of seed and patient is part of both terms; k removes it from the second one. It is the mean
    covariance of two seeds over the variance of m, both over resampled patients, limited to [0, 1] (Obuchowski and
    Rockette, Commun. Stat. Simul. 24, 1995; Hillis, Stat. Med. 26, 2007, with seeds in place of readers). p is the
    level at which the interval reaches 0. With one seed, interval and p value are those over patients alone.

    Args:
        values: (S,) metric for each seed, or difference of two arms for each common seed; nan is left out.
        resampled: (S, R) the same for R resamples of patients, which are the same for all seeds.
        patients: Number of patients that were resampled.
        level: Coverage.
        limits: Range of the metric, to which the interval is clipped.
        log: Compute the interval on a log scale, for a ratio; p then tests a ratio of 1.

    Returns:
        Mean over seeds, its interval and the two-sided p value; nan where nothing is defined.

    Raises:
        ValueError: The number of rows of `resampled` is not the number of seeds.
    """
    values, resampled = np.asarray(values, float), np.asarray(resampled, float)
    if values.ndim != 1 or resampled.ndim != 2 or len(values) != len(resampled):
        raise ValueError(f"{values.shape} values and {resampled.shape} resamples do not belong to the same seeds")
    defined = ~np.isnan(values)
    values, resampled = values[defined], resampled[defined]
    if len(values) == 0:
        return Difference(np.nan, np.nan, np.nan, np.nan)
    estimate = float(values.mean())
    if log:
        values, resampled = np.log(values), np.log(resampled)
    below, above, p = _distances(values, resampled[:, ~np.isnan(resampled).any(0)], patients, level)
    low, high = (estimate * np.exp(-below), estimate * np.exp(above)) if log else (estimate - below, estimate + above)
    return Difference(estimate, max(low, limits[0]), min(high, limits[1]), p)


def _distances(values: np.ndarray, resampled: np.ndarray, patients: int, level: float) -> tuple[float, float, float]:
    """Distances of the interval's limits below and above the mean of the values, and the p value."""
    if resampled.shape[1] == 0:
        return np.nan, np.nan, np.nan
    centre, means = values.mean(), np.sort(resampled.mean(0))
    places = np.linspace(0, 1, len(means))
    seeds = len(values)
    if seeds == 1:
        _, low, high = percentile_interval(centre, means, patients, level)
        return centre - low, high - centre, bootstrap_p(means, patients)
    variance = values.var(ddof=1) / seeds
    covariances = np.cov(resampled)
    shared = max((covariances.sum() - np.trace(covariances)) / (seeds * (seeds - 1)), 0.0)
    weight = min(shared / means.var(ddof=1), 1.0) if shared > 0 and means.var() > 0 else 0.0

    def distances(alpha: float) -> np.ndarray:
        tail = expanded_tail(alpha / 2, patients)
        low, high = np.interp([tail, 1 - tail], places, means)
        squares = np.maximum([centre - low, high - centre], 0.0) ** 2
        return np.sqrt(special.stdtrit(seeds - 1, alpha / 2) ** 2 * variance + weight * squares)

    below, above = distances(1 - level)
    side, least = int(centre < 0), 2 / (len(means) + 1)

    def excess(alpha: float) -> float:
        return float(distances(alpha)[side] - abs(centre))

    if excess(1.0) >= 0:
        p = 1.0
    else:
        p = least if excess(least) <= 0 else float(optimize.brentq(excess, least, 1.0))
    return below, above, p
