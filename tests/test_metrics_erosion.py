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
    quadratic_kappa,
)
from jointwrist.metrics.erosion_bootstrap import resample_erosion, weighted_figures

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
            "DOR": tp * tn / (fp * fn) if tp * tn * fp * fn else (tp + 0.5) * (tn + 0.5) / ((fp + 0.5) * (fn + 0.5)),
            "AUROC": sklearn.roc_auc_score(truth, probability[chosen]),
            "AUPRC": sklearn.average_precision_score(truth, probability[chosen]),
            "QWK": sklearn.cohen_kappa_score(target[chosen], score[chosen], labels=range(6), weights="quadratic"),
        }
        for key, value in expected.items():
            assert frame.loc[name, key] == pytest.approx(value, rel=1e-12, nan_ok=True), (name, key)
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


def test_a_probability_that_is_no_number_leaves_no_auroc():
    eroded, probability = np.array([0, 1, 1, 0, 1]), np.array([0.1, np.nan, 0.9, 0.2, 0.7])
    assert np.isnan(auroc(eroded, probability))
    table = erosion_metrics(eroded, probability, eroded, np.array([0, 0, 0, 1, 1]))
    assert table.loc[["pooled", "Metacarpal1st"], ["AUROC", "AUPRC"]].isna().all(axis=None)
    assert (table.loc[["Trapezium", "mean over joints"], ["AUROC", "AUPRC"]] == 1).all(axis=None)
    without = np.array([[1, 0, 1, 1, 1], [1, 1, 1, 1, 1]])  # the first resample leaves it out
    assert weighted_figures(eroded == 1, probability, eroded == 1, without)["AUROC"].tolist()[0] == 1
    assert np.isnan(weighted_figures(eroded == 1, probability, eroded == 1, without)["AUROC"][1])


def test_odds_ratio_of_empty_cells_by_hand():
    eroded, joint = np.repeat([1, 0], [4, 6]), np.zeros(10, int)
    for calls, expected in (
        (eroded, 4.5 * 6.5 / 0.25),  # no error: 0.5 added to all four cells
        (np.repeat([1, 0], [3, 7]), 3.5 * 6.5 / (0.5 * 1.5)),
        (np.repeat([1, 0, 1, 0], [3, 1, 2, 4]), 3 * 4 / (2 * 1)),
        (np.zeros(10), np.nan),  # nothing is called eroded: the calls say nothing
        (np.ones(10), np.nan),
    ):
        frame = erosion_metrics(eroded, np.full(10, 0.5), calls, joint)
        assert frame.loc["pooled", "DOR"] == pytest.approx(expected, nan_ok=True)


@pytest.mark.parametrize("wrong", [0.7, 2, -1, np.nan])
def test_a_decision_is_0_or_1(rows, wrong):
    target, probability, predicted, joint, _ = rows
    for bad in (probability, np.where(np.arange(len(joint)) == 5, wrong, predicted)):
        with pytest.raises(ValueError, match="predicted must be 0 or 1"):
            erosion_metrics(target, probability, bad, joint)
        with pytest.raises(ValueError, match="predicted must be 0 or 1"):
            resample_erosion(target, probability, bad, joint, joint, resamples=2)


def test_levels_stand_for_all_scores_from_theirs_on(rows):
    target, probability, predicted, joint, score = rows
    level = np.minimum(score, 3)
    found = erosion_metrics(target, probability, predicted, joint, level, levels=4).loc["pooled", "QWK"]
    assert found == pytest.approx(sklearn.cohen_kappa_score(np.minimum(target, 3), level, weights="quadratic"))
    with pytest.raises(ValueError, match="0 to 3"):
        erosion_metrics(target, probability, predicted, joint, score, levels=4)


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0, 0, 5, 5, 1], [0, 5, 5, 5, 0], None),  # scores 2 to 4 are missing
        ([0, 0, 0], [0, 1, 2], 0.0),
        ([1, 1], [4, 4], 0.0),
        ([2, 2], [2, 2], np.nan),
        ([], [], np.nan),
    ],
)
def test_kappa_with_missing_scores(first, second, expected):
    if expected is None:
        expected = sklearn.cohen_kappa_score(first, second, labels=range(6), weights="quadratic")
    assert quadratic_kappa(first, second) == pytest.approx(expected, nan_ok=True)


def test_float32_neighbours_keep_their_order():
    probability = 0.5 + np.array([0.0, 1e-9, 2e-9, 3e-9])
    assert auroc(np.array([0, 0, 1, 1]), probability) == 1.0


def test_calibration_error_is_the_mean_distance_from_the_share_of_eroded():
    eroded = np.array([0, 1, 1, 1, 0, 0, 0, 1], bool)
    probability = np.array([0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1])
    assert calibration_error(eroded, probability) == pytest.approx(0.15)


@pytest.mark.parametrize("bins", [1, 7, 10, 15])
def test_calibration_error_equals_a_histogram(bins):
    rng = np.random.default_rng(bins)
    probability = np.concatenate([rng.random(500), [0.0, 1.0, 1.0, 1 - 1e-12], np.arange(bins + 1) / bins])
    eroded = rng.random(len(probability)) < probability**2
    total = 0.0
    for place in range(bins):
        own = (probability > place / bins) & (probability <= (place + 1) / bins)
        own |= (place == 0) & (probability == 0)
        if own.any():
            total += own.sum() * abs(probability[own].mean() - eroded[own].mean())
    assert calibration_error(eroded, probability, bins) == pytest.approx(total / len(probability), rel=1e-12)


def test_certain_and_nearly_certain_probabilities_share_the_last_bin():
    assert calibration_error(np.array([1, 0], bool), np.array([1.0, 0.99])) == pytest.approx(0.495)
    with pytest.raises(ValueError, match="between 0 and 1"):
        calibration_error(np.array([1, 0], bool), np.array([1.2, 0.0]))
