"""Erosion metrics of resamples equal those of the rows that were drawn, repeated as often as they were."""

from __future__ import annotations

import numpy as np
import pytest

from jointwrist.metrics.erosion import erosion_metrics
from jointwrist.metrics.erosion_bootstrap import FIGURES, resample_erosion
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
                assert value == pytest.approx(expected.loc[group, figure], abs=1e-5, nan_ok=True), (group, figure)
    assert undefined < 12 * 8 * len(FIGURES) / 2


def test_a_joint_without_rows_is_undefined():
    found = resample_erosion(
        np.array([0, 1]), np.array([0.2, 0.9]), np.array([0, 1]), np.array([0, 0]), ["a", "b"], resamples=5
    )
    assert np.isnan(found["Lunate"]["AUROC"]).all() and np.isnan(found["Lunate"]["BACC"]).all()
