"""Erosion metrics of resamples equal those of the rows that were drawn, repeated as often as they were."""

from __future__ import annotations

import numpy as np
import pytest

from jointwrist.metrics.erosion import erosion_metrics
from jointwrist.metrics.erosion_bootstrap import FIGURES, resample_erosion, weighted_figures
from jointwrist.metrics.statistics import resampling_weights


@pytest.mark.parametrize("decimals", [6, 1], ids=["distinct", "tied"])
def test_equals_metrics_of_repeated_rows(decimals):
    rng = np.random.default_rng(0)
    count = 90
    target, joint = rng.choice([0, 0, 0, 1, 2], count), rng.integers(0, 6, count)
    probability = rng.random(count).round(decimals)
    predicted, patients = (probability > 0.6).astype(int), rng.integers(0, 20, count)
    found = resample_erosion(target, probability, predicted, joint, patients, resamples=12, seed=3)
    weights = resampling_weights(patients, 12, 3).astype(int)
    undefined = 0
    for resample in range(12):
        rows = np.repeat(np.arange(count), weights[resample])
        expected = erosion_metrics(target[rows], probability[rows], predicted[rows], joint[rows])
        for group in expected.index:
            for figure in FIGURES:
                value = found[group][figure][resample]
                undefined += np.isnan(value)
                assert value == pytest.approx(expected.loc[group, figure], rel=1e-12, nan_ok=True), (group, figure)
    assert undefined < 12 * 8 * len(FIGURES) / 2


def test_a_joint_without_rows_is_undefined():
    found = resample_erosion(
        np.array([0, 1]), np.array([0.2, 0.9]), np.array([0, 1]), np.array([0, 0]), ["a", "b"], resamples=5
    )
    assert np.isnan(found["Lunate"]["AUROC"]).all() and np.isnan(found["Lunate"]["BACC"]).all()


def test_point_and_resample_are_equal_to_the_last_digit():
    rng = np.random.default_rng(1)
    eroded, probability = rng.random(200) < 0.3, rng.random(200)
    point = weighted_figures(eroded, probability, probability > 0.5)
    drawn = weighted_figures(eroded, probability, probability > 0.5, np.ones((3, 200)))
    for figure in FIGURES:
        assert (drawn[figure] == point[figure][0]).all(), figure


def test_unscored_joints_are_left_out_and_their_patients_are_none():
    rng = np.random.default_rng(2)
    target, probability = rng.integers(0, 3, 60), rng.random(60)
    joint, patients = np.arange(60) % 6, np.arange(60) // 3
    expected = resample_erosion(target, probability, probability > 0.5, joint, patients, resamples=20)
    with_unscored = [
        np.append(a, b)
        for a, b in zip((target, probability, probability > 0.5, joint, patients), (-1, 0.2, 0, 3, 99), strict=True)
    ]
    found = resample_erosion(*with_unscored, resamples=20)
    np.testing.assert_array_equal(found["pooled"]["AUROC"], expected["pooled"]["AUROC"])


def test_the_odds_ratio_of_a_perfect_classifier_has_an_upper_end():
    eroded = np.arange(60) % 3 == 0
    found = resample_erosion(eroded, eroded * 1.0, eroded, np.zeros(60, int), np.arange(60), resamples=200)["pooled"][
        "DOR"
    ]
    assert np.isfinite(found).all() and found.min() < 41 * 21 * 4 < found.max()
