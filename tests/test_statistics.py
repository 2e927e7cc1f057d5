"""Intervals and tests: against scipy where rows are independent, against simulated truth where patients cluster."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from jointwrist.metrics.cluster import cluster_robust
from jointwrist.metrics.statistics import (
    bootstrap_difference,
    bootstrap_interval,
    bootstrap_p,
    compare_groups,
    holm,
    paired_wilcoxon,
    resampling_weights,
)


def clustered(rng: np.random.Generator, patients: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """Wrists of patients whose own level varies more than their wrists do; the true mean is 0.9."""
    patient = np.repeat(np.arange(patients), rng.integers(1, 4, patients))
    return 0.9 + rng.normal(0, 0.03, patients)[patient] + rng.normal(0, 0.01, len(patient)), patient


def test_equals_scipy_where_every_row_is_a_patient_of_its_own():
    values = np.random.default_rng(0).gamma(2.0, size=120)
    ours = bootstrap_interval(values, np.arange(120), resamples=20_000)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    assert ours.estimate == pytest.approx(values.mean())
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.02 * (theirs.high - theirs.low) * 2)


def test_a_patient_comes_as_a_whole_and_resamples_have_as_many_patients():
    patients = np.array(["b", "a", "b", "c", "a", "b"])
    weights = resampling_weights(patients, 500)
    for name in "abc":
        mine = weights[:, patients == name]
        assert (mine == mine[:, :1]).all()
    first_rows = [np.flatnonzero(patients == name)[0] for name in "abc"]
    assert (weights[:, first_rows].sum(1) == 3).all()
    assert weights.mean() == pytest.approx(1.0, abs=0.1)


def test_interval_covers_the_truth_of_clustered_data_where_one_over_wrists_does_not():
    rng = np.random.default_rng(1)
    covered = {"patients": 0, "wrists": 0}
    repeats = 200
    for repeat in range(repeats):
        values, patient = clustered(rng)
        for name, clusters in (("patients", patient), ("wrists", np.arange(len(patient)))):
            interval = bootstrap_interval(values, clusters, resamples=300, seed=repeat)
            covered[name] += interval.low <= 0.9 <= interval.high
    assert 0.91 <= covered["patients"] / repeats <= 0.985
    assert covered["wrists"] / repeats < 0.88


def test_interval_is_seeded_and_leaves_out_what_is_undefined():
    values, patient = clustered(np.random.default_rng(2))
    assert bootstrap_interval(values, patient, seed=3) == bootstrap_interval(values, patient, seed=3)
    assert bootstrap_interval(values, patient, seed=3) != bootstrap_interval(values, patient, seed=4)
    holes = np.append(values, np.nan)
    assert bootstrap_interval(holes, np.append(patient, patient[-1])) == bootstrap_interval(values, patient)
    assert np.isnan(bootstrap_interval(np.full(3, np.nan), np.arange(3))).all()


def test_paired_difference_is_narrower_than_unpaired_intervals_and_false_alarms_are_rare():
    rng = np.random.default_rng(3)
    values, patient = clustered(rng)
    better = values + rng.normal(0.004, 0.004, len(values))
    difference = bootstrap_difference(better, values, patient)
    assert difference.low > 0 and difference.p < 0.01
    own = bootstrap_interval(values, patient)
    assert difference.high - difference.low < (own.high - own.low) / 2
    alarms = 0
    for seed in range(100):
        values, patient = clustered(rng)
        same = values + rng.normal(0, 0.01, 60)[patient]
        alarms += bootstrap_difference(same, values, patient, resamples=300, seed=seed).p < 0.05
    assert alarms / 100 < 0.13


def test_bootstrap_p_by_hand():
    assert bootstrap_p(np.array([1.0, 2.0, 3.0, -1.0])) == pytest.approx(2 * 2 / 5)
    assert bootstrap_p(np.zeros(9)) == 1.0 and np.isnan(bootstrap_p(np.array([np.nan])))
    turned = np.repeat([-1.0, 1.0], [24, 975])
    z = stats.norm.ppf(0.025)
    assert bootstrap_p(turned, 10) == pytest.approx(2 * stats.t.cdf(z / np.sqrt(10 / 9), 9))
    assert bootstrap_p(turned, 1) == 1.0


def test_the_interval_of_a_mean_of_few_patients_is_that_of_the_t_test():
    values = np.random.default_rng(8).normal(size=9)
    ours = bootstrap_interval(values, np.arange(9), resamples=100_000)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs), abs=0.06 * (theirs.high - theirs.low))


def test_wilcoxon_equals_scipy_on_patient_means():
    rng = np.random.default_rng(4)
    first, patient = clustered(rng, 30)
    second = first + rng.normal(0.005, 0.01, len(first))
    means = np.array([(first - second)[patient == p].mean() for p in range(30)])
    assert paired_wilcoxon(first, second, patient) == pytest.approx(stats.wilcoxon(means).pvalue)
    assert paired_wilcoxon(first, first, patient) == 1.0
    assert np.isnan(paired_wilcoxon(first * np.nan, first, patient))


def test_holm_by_hand():
    # sorted .01 .02 .03 .04: times 4, 3, 2, 1, then never falling
    assert holm([0.03, 0.01, np.nan, 0.04, 0.02]) == pytest.approx([0.06, 0.04, np.nan, 0.06, 0.06], nan_ok=True)
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0]) and holm([]).shape == (0,)


def two_wrists(rng: np.random.Generator, by_patient: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Figures that do not depend on the group, which whole patients or single wrists belong to; a third are in it."""
    patient = np.repeat(np.arange(36), 2)
    values = rng.normal(size=36)[patient] + rng.normal(0, 0.4, 72)
    liability = rng.normal(size=36)[patient] + (0 if by_patient else rng.normal(0, 0.5, 72))
    return values, liability > np.quantile(liability, 0.67), patient


@pytest.mark.parametrize("by_patient", [True, False])
def test_groups_are_compared_by_patient_at_the_stated_level(by_patient):
    rng = np.random.default_rng(5)
    alarms, of_wrists, missed = 0, 0, 0
    for _ in range(400):
        values, group, patient = two_wrists(rng, by_patient)
        found = compare_groups(values, group, patient)
        alarms += found.p < 0.05
        missed += not found.low <= 0 <= found.high
        of_wrists += stats.mannwhitneyu(values[group], values[~group]).pvalue < 0.05
    assert alarms == missed and alarms / 400 <= 0.07
    assert of_wrists / 400 > (0.12 if by_patient else 0.08)


def test_groups_of_single_wrists_are_compared_as_by_welch():
    rng = np.random.default_rng(6)
    values, group = rng.normal(size=60), np.arange(60) < 30
    values[group] *= 3
    found = compare_groups(values, group, np.arange(60))
    welch = stats.ttest_ind(values[group], values[~group], equal_var=False)
    variance, freedom = cluster_robust(
        values - np.where(group, values[group].mean(), values[~group].mean()), group, np.arange(60)
    )
    assert found.estimate / np.sqrt(variance) == pytest.approx(welch.statistic)
    assert freedom == pytest.approx(58)
    assert found.p == pytest.approx(2 * stats.t.sf(abs(welch.statistic), 58))


def test_a_group_difference_is_seen_and_an_empty_side_is_undefined():
    rng = np.random.default_rng(7)
    values, patient = clustered(rng)
    eroded = rng.random(len(values)) < 0.4
    values[eroded] -= 0.02
    found = compare_groups(values, eroded, patient)
    assert found.estimate == pytest.approx(values[eroded].mean() - values[~eroded].mean())
    assert found.low < found.estimate < found.high < 0 and found.p < 0.01
    assert np.isnan(compare_groups(values, np.zeros(len(values), bool), patient)).all()
    assert compare_groups(np.ones(6), np.arange(6) < 2, np.arange(6)) == (0, 0, 0, 1)


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="length"):
        bootstrap_interval(np.zeros(3), np.arange(4))
