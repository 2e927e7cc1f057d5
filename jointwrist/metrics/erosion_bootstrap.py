"""Erosion metrics of many bootstrap resamples at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jointwrist.anatomy import JOINT_NAMES
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
) -> dict[str, dict[str, np.ndarray]]:
    """Compute erosion metrics of bootstrap resamples of patients; the same patients and seed give the same resamples.

    Args:
        target: (N,) true scores 0..5.
        probability: (N,) probability of erosion.
        predicted: (N,) decision, 0 or 1.
        joint: (N,) index of the joint surface.
        patients: (N,) patient of each row.
        resamples: Resamples R.
        seed: Seed.

    Returns:
        (R,) figures by group ("pooled", "mean over joints" and each joint) and name (`FIGURES`), as `erosion_metrics`
        defines them.
    """
    eroded, predicted = np.asarray(target) > 0, np.asarray(predicted).astype(bool)
    probability, joint = np.asarray(probability, float), np.asarray(joint)
    weights = resampling_weights(patients, resamples, seed)
    groups = {
        name: weighted_figures(eroded[chosen], probability[chosen], predicted[chosen], weights[:, chosen])
        for name, chosen in ((name, joint == index) for index, name in enumerate(JOINT_NAMES))
    }
    mean = {figure: _mean_of_defined(np.stack([g[figure] for g in groups.values()])) for figure in FIGURES}
    return {"pooled": weighted_figures(eroded, probability, predicted, weights), "mean over joints": mean, **groups}


def weighted_figures(
    eroded: np.ndarray, probability: np.ndarray, predicted: np.ndarray, weights: np.ndarray
) -> dict[str, np.ndarray]:
    """Erosion metrics of (N,) joints under (R, N) weights: (R,) figures, nan where a resample does not define one."""
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
        "DOR": _ratio(tp * tn, fp * fn),
        "AUROC": area,
        "AUPRC": precision,
    }


def _areas(eroded: np.ndarray, probability: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Area under the ROC curve and average precision; equal probabilities are one threshold."""
    if len(eroded) == 0:
        return np.full(len(weights), np.nan), np.full(len(weights), np.nan)
    order = np.argsort(-probability, kind="stable")
    first = np.flatnonzero(np.diff(probability[order], prepend=np.inf))
    positive = np.add.reduceat(weights[:, order] * eroded[order], first, 1)
    negative = np.add.reduceat(weights[:, order] * ~eroded[order], first, 1)
    above, false_above = positive.cumsum(1), negative.cumsum(1)
    positives, negatives = above[:, -1], false_above[:, -1]
    below = negatives[:, None] - false_above
    area = _ratio((positive * (below + negative / 2)).sum(1), positives * negatives)
    # a threshold that no resampled joint reaches has no precision, and weighs nothing
    precision = np.nan_to_num(_ratio(above, above + false_above))
    average = np.where(negatives > 0, _ratio((positive * precision).sum(1), positives), np.nan)
    return area, average


def _ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below != 0)


def _mean_of_defined(values: np.ndarray) -> np.ndarray:
    return _ratio(np.nansum(values, 0), (~np.isnan(values)).sum(0).astype(float))
