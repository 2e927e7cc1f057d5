"""Weighted erosion metrics, computed for many bootstrap resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jointwrist.anatomy import WRIST
from jointwrist.metrics.statistics import RESAMPLES, resampling_weights

FIGURES = ("ACC", "PRE", "SEN", "SPC", "F1", "BACC", "DOR", "AUROC", "AUPRC")


def resample_erosion(
    target: np.ndarray,
    probability: np.ndarray,
    predicted: np.ndarray,
    joint: np.ndarray,
    patients: Sequence | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
    joints: Sequence[str] = WRIST.joint_names,
) -> dict[str, dict[str, np.ndarray]]:
    """Compute erosion metrics of bootstrap resamples of patients.

    The same patients and seed give the same resamples.

    Args:
        target: (N,) true scores from 0; -1 (not scored) is left out.
        probability: (N,) probability of erosion.
        predicted: (N,) decision, 0 or 1.
        joint: (N,) index of the joint surface.
        patients: (N,) patient of each row.
        resamples: Number of resamples, R.
        seed: Seed.
        joints: Names of the joint surfaces in the order of their indices.

    Returns:
        (R,) values by group ("pooled", "mean over joints" and each joint) and name (`FIGURES`), as `erosion_metrics`
        defines them.

    Raises:
        ValueError: A decision is not 0 or 1.
    """
    target = np.asarray(target)
    keep = target >= 0
    columns = (target > 0, np.asarray(probability, float), decisions(predicted), joint, patients)
    eroded, probability, predicted, joint, patients = (np.asarray(column)[keep] for column in columns)
    weights = resampling_weights(patients, resamples, seed)
    groups = {
        name: weighted_figures(eroded[chosen], probability[chosen], predicted[chosen], weights[:, chosen])
        for name, chosen in ((name, joint == index) for index, name in enumerate(joints))
    }
    mean = {figure: _mean_of_defined(np.stack([g[figure] for g in groups.values()])) for figure in FIGURES}
    return {"pooled": weighted_figures(eroded, probability, predicted, weights), "mean over joints": mean, **groups}


def decisions(predicted: np.ndarray) -> np.ndarray:
    """Return (N,) decisions as bool.

    Raises:
        ValueError: One of them is not 0 or 1.
    """
    predicted = np.asarray(predicted)
    if not np.isin(predicted, (0, 1)).all():
        raise ValueError("predicted must be 0 or 1 everywhere; compare the probabilities with a threshold first")
    return predicted.astype(bool)


def weighted_figures(
    eroded: np.ndarray, probability: np.ndarray, predicted: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compute weighted erosion metrics of joints, in float64.

    Args:
        eroded: (N,) bool.
        probability: (N,) probability of erosion.
        predicted: (N,) bool.
        weights: (R, N) weight of each joint in each resample; None weighs all equally, with R = 1.

    Returns:
        (R,) values by name (`FIGURES`), nan where a resample leaves one undefined; see `erosion_metrics`.
    """
    weights = np.ones((1, len(eroded))) if weights is None else weights
    cells = np.stack([eroded & predicted, ~eroded & predicted, ~eroded & ~predicted, eroded & ~predicted], 1)
    tp, fp, tn, fn = (weights @ cells.astype(float)).T
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    area, precision = _areas(eroded, probability, weights)
    return {
        "ACC": _ratio(tp + tn, tp + fp + tn + fn),
        "PRE": _ratio(tp, tp + fp),
        "SEN": sensitivity,
        "SPC": specificity,
        "F1": _ratio(2 * tp, 2 * tp + fp + fn),
        "BACC": (sensitivity + specificity) / 2,
        "DOR": _odds_ratio(tp, fp, tn, fn),
        "AUROC": area,
        "AUPRC": precision,
    }


def _odds_ratio(tp: np.ndarray, fp: np.ndarray, tn: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """Diagnostic odds ratio, with 0.5 added to all cells if one is 0; nan if a row or column of the table is empty."""
    added = 0.5 * ((tp * fp * tn * fn) == 0)
    defined = ((tp + fn) * (tn + fp) * (tp + fp) * (tn + fn)) > 0
    return np.where(defined, _ratio((tp + added) * (tn + added), (fp + added) * (fn + added)), np.nan)


def _areas(eroded: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve and average precision; equal probabilities share one threshold, and nan gives nan."""
    thresholds, others = probability[eroded], probability[~eroded]
    positive, negative = weights[:, eroded], weights[:, ~eroded]
    positives, negatives = positive.sum(1), negative.sum(1)
    below = negative @ (others[:, None] < thresholds).astype(float)
    tied = negative @ (others[:, None] == thresholds).astype(float)
    above = positive @ (thresholds[:, None] >= thresholds).astype(float)
    area = _ratio((positive * (below + tied / 2)).sum(1), positives * negatives)
    # a threshold that no resampled joint reaches has no precision and weight 0
    precision = np.nan_to_num(_ratio(above, above + negatives[:, None] - below))
    average = np.where(negatives > 0, _ratio((positive * precision).sum(1), positives), np.nan)
    unknown = weights @ np.isnan(probability) > 0
    return np.where(unknown, np.nan, area), np.where(unknown, np.nan, average)


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    return _ratio(np.nansum(values, 0), (~np.isnan(values)).sum(0).astype(float))
