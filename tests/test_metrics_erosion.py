"""Erosion metrics against sklearn and exhaustive search."""

from __future__ import annotations

import numpy as np
import pytest

from jointwrist.anatomy import JOINT_NAMES
from jointwrist.metrics.erosion import (
    auroc,
    best_balanced_threshold,
    best_f1_threshold,
    calibration_error,
    erosion_metrics,
)

sklearn = pytest.importorskip("sklearn.metrics")


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    target = rng.choice([0, 1, 2, 3, 5], 600, p=[0.8, 0.1, 0.05, 0.03, 0.02])
    probability = np.clip(rng.normal(0.3 + 0.1 * target, 0.2), 0, 1).round(2)
    score = np.clip(np.round(target + rng.normal(0, 1, 600)), 0, 5).astype(int)
    return target, probability, probability >= 0.5, np.arange(600) % 6, score


def test_figures_equal_sklearn(rows):
    target, probability, predicted, joint, score = rows
    frame = erosion_metrics(*rows)
    for name, chosen in [("pooled", joint >= 0), *((n, joint == i) for i, n in enumerate(JOINT_NAMES))]:
        truth, call = target[chosen] > 0, predicted[chosen]
        tn, fp, fn, tp = sklearn.confusion_matrix(truth, call).ravel()
        expected = {
            "ACC": sklearn.accuracy_score(truth, call),
            "PRE": sklearn.precision_score(truth, call),
            "SEN": sklearn.recall_score(truth, call),
            "SPC": sklearn.recall_score(~truth, ~call),
            "F1": sklearn.f1_score(truth, call),
            "BACC": sklearn.balanced_accuracy_score(truth, call),
            "DOR": tp * tn / (fp * fn) if fp * fn else np.nan,
            "AUROC": sklearn.roc_auc_score(truth, probability[chosen]),
            "AUPRC": sklearn.average_precision_score(truth, probability[chosen]),
            "QWK": sklearn.cohen_kappa_score(target[chosen], score[chosen], weights="quadratic"),
        }
        for key, value in expected.items():
            assert frame.loc[name, key] == pytest.approx(value, abs=1e-5, nan_ok=True), (name, key)
    assert frame.loc["mean over joints", "BACC"] == pytest.approx(frame.loc[list(JOINT_NAMES), "BACC"].mean())


def test_undefined_is_nan_and_unscored_is_left_out(rows):
    target, probability, predicted, joint, score = rows
    target = np.where(joint == 2, 0, target)
    frame = erosion_metrics(target, probability, predicted, joint, score)
    assert frame.loc["Scaphoid", ["SEN", "AUROC", "AUPRC", "BACC"]].isna().all()
    unscored = np.concatenate([target, np.full(6, -1)])
    extra = [np.concatenate([a, a[:6]]) for a in (probability, predicted, joint, score)]
    assert erosion_metrics(unscored, *extra).equals(frame)


def test_trivial_classifier_has_the_trivial_figures():
    target = (np.arange(1000) < 63).astype(int)
    frame = erosion_metrics(target, np.ones(1000), np.ones(1000, bool), np.arange(1000) % 6)
    assert frame.loc["pooled", "BACC"] == 0.5
    assert frame.loc["pooled", "F1"] == pytest.approx(2 * 0.063 / 1.063)


@pytest.mark.parametrize(
    ("best", "figure"),
    [(best_balanced_threshold, sklearn.balanced_accuracy_score), (best_f1_threshold, sklearn.f1_score)],
)
def test_threshold_is_the_best_of_all(rows, best, figure):
    truth, probability = rows[0] > 0, rows[1]
    chosen = figure(truth, probability >= best(truth, probability))
    assert chosen == pytest.approx(max(figure(truth, probability >= t) for t in np.unique(probability)))


def test_threshold_needs_both_classes():
    with pytest.raises(ValueError, match="both"):
        best_f1_threshold(np.zeros(3), np.zeros(3))
    assert np.isnan(auroc(np.zeros(3), np.zeros(3)))


def test_calibration_error_is_the_mean_distance_from_the_share_of_eroded():
    eroded = np.array([0, 1, 1, 1, 0, 0, 0, 1], bool)
    probability = np.array([0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    assert calibration_error(eroded, probability) == pytest.approx(0.15, abs=1e-6)
