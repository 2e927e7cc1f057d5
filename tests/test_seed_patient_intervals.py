"""Intervals over seeds and patients: against Student's t, the patient bootstrap, and simulated rows."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from benchmarks.miss_rates import miss_rates, true_figures
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import bootstrap_difference, bootstrap_interval, resampling_weights, weighted_mean

#: Largest share of 1,000 tables whose 95 % interval may miss the truth, by number of seeds.
MOST_MISSED = {2: 0.10, 3: 0.10, 5: 0.07}


def rows(rng: np.random.Generator, seeds: int, patients: int, seed_sd: float) -> tuple[np.ndarray, np.ndarray]:
    """Figures of two wrists a patient by seed, whose true mean is 0, and the patients."""
    patient = np.repeat(np.arange(patients), 2)
    own = rng.normal(size=patients)[patient] + rng.normal(0, 0.5, len(patient))
    return own + seed_sd * rng.normal(size=(seeds, 1)) + rng.normal(0, 0.5, (seeds, len(patient))), patient


def found(values: np.ndarray, patient: np.ndarray, **changes):
    weights = resampling_weights(patient, changes.pop("resamples", 250))
    return seeds_and_patients(
        values.mean(1), [weighted_mean(row, weights) for row in values], len(set(patient)), **changes
    )


@pytest.mark.parametrize("seed_sd", [0.1, 1.0])
@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_intervals_hold_what_they_say(seeds, seed_sd):
    """Two arms from one distribution, and one arm whose true mean is known; patients, seeds, and both together."""
    rng = np.random.default_rng([seeds, int(10 * seed_sd)])
    missed = {"difference": 0, "arm": 0, "differing patients": 0}
    for _ in range(1000):
        arms, patient = rows(rng, 2 * seeds, 20, seed_sd)
        other, _ = rows(rng, seeds, 20, seed_sd)
        for name, values in (
            ("difference", arms[:seeds] - arms[seeds:]),
            ("arm", arms[:seeds]),
            ("differing patients", arms[:seeds] - other),
        ):
            low, high = found(values, patient)[1:3]
            missed[name] += not low <= 0 <= high
    assert max(missed.values()) / 1000 <= MOST_MISSED[seeds], missed


@pytest.mark.slow
@pytest.mark.parametrize("seed_sd", [0.1, 1.0])
@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_of_areas_and_calls_hold_what_they_say(seeds, seed_sd):
    rates = miss_rates(seeds, seed_sd, true_figures(seed_sd))
    for name, (difference, arm) in rates.items():
        assert difference <= MOST_MISSED[seeds] and arm <= 0.1, (name, rates)


def test_differences_of_areas_and_calls_seldom_miss_in_a_few_tables():
    rates = miss_rates(3, 0.3, dict.fromkeys(("AUROC", "AUPRC", "BACC", "F1", "DOR"), 0.5), tables=60, resamples=100)
    assert max(difference for difference, _ in rates.values()) <= 0.15, rates


def test_without_patients_it_is_the_t_test():
    values = np.random.default_rng(0).normal(0.4, 1, 5)
    ours = seeds_and_patients(values, np.repeat(values[:, None], 300, 1), 40)
    theirs = stats.ttest_1samp(values, 0)
    assert tuple(ours[1:3]) == pytest.approx(tuple(theirs.confidence_interval()))
    assert ours.p == pytest.approx(theirs.pvalue, rel=1e-6)


def test_one_seed_or_equal_seeds_give_the_interval_over_patients():
    values, patient = rows(np.random.default_rng(1), 1, 40, 0.0)
    expected = bootstrap_interval(values[0], patient)
    assert found(values, patient, resamples=2000)[:3] == pytest.approx(tuple(expected))
    assert found(np.repeat(values, 3, 0), patient, resamples=2000)[:3] == pytest.approx(tuple(expected))
    alone = bootstrap_difference(values[0], np.zeros(80), patient)
    assert found(values, patient, resamples=2000).p == alone.p


def test_an_interval_over_seeds_and_patients_is_wider_than_either():
    values, patient = rows(np.random.default_rng(2), 4, 40, 1.0)
    both = found(values, patient)
    patients = bootstrap_interval(values.mean(0), patient)
    seeds = stats.ttest_1samp(values.mean(1), 0).confidence_interval()
    assert both.high - both.low > max(patients.high - patients.low, seeds.high - seeds.low)


@pytest.mark.parametrize("shift", [0.2, 0.6, 1.2, -0.6])
def test_p_is_the_level_at_which_the_interval_reaches_zero(shift):
    values, patient = rows(np.random.default_rng(3), 4, 60, 0.2)
    values = values - values.mean() + shift
    p = found(values, patient).p
    if p < 1 and p > 2 / 251:
        _, low, high, _ = found(values, patient, level=1 - p)
        assert (low if shift > 0 else high) == pytest.approx(0, abs=1e-6)
    assert p < 0.01 or abs(shift) < 1
    assert found(-values, patient).p == pytest.approx(p, rel=0.1)


def test_equal_arms_differ_by_nothing():
    assert seeds_and_patients(np.zeros(3), np.zeros((3, 50)), 9) == (0, 0, 0, 1)


def test_ratios_keep_their_scale_and_figures_their_range():
    rng = np.random.default_rng(4)
    ratios, drawn = np.exp(rng.normal(3, 0.5, 3)), np.exp(rng.normal(3, 1, (3, 400)))
    one = seeds_and_patients(ratios, drawn, 50, log=True)
    ten = seeds_and_patients(10 * ratios, 10 * drawn, 50, log=True)
    assert ten[:3] == pytest.approx(tuple(10 * v for v in one[:3]))
    assert 0 < one.low < one.estimate < one.high < np.inf
    near_one = seeds_and_patients(np.array([0.97, 0.999]), np.full((2, 9), 0.98), 9, limits=(0, 1))
    assert near_one.high == 1 and near_one.low > 0


def test_what_is_undefined_is_left_out():
    values, drawn = np.array([0.2, np.nan, 0.4]), np.random.default_rng(5).random((3, 30))
    holes = drawn.copy()
    holes[0, 3] = np.nan
    rest = np.delete(drawn, 3, 1)
    assert seeds_and_patients(values, holes, 9) == seeds_and_patients(values[[0, 2]], rest[[0, 2]], 9)
    assert np.isnan(seeds_and_patients(np.array([np.nan]), drawn[:1], 9)).all()
    assert np.isnan(seeds_and_patients(np.array([]), np.empty((0, 4)), 9)).all()
    with pytest.raises(ValueError, match="same seeds"):
        seeds_and_patients(values, drawn[:2], 9)
