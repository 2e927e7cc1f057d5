"""Erosion metrics over joint rows: pooled, per joint, and as the mean over joints that the published figures fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from torchmetrics.functional.classification import (
    binary_auroc,
    binary_average_precision,
    binary_calibration_error,
    binary_stat_scores,
    multiclass_cohen_kappa,
)

from jointwrist.anatomy import JOINT_NAMES

COLUMNS = ("ACC", "PRE", "SEN", "SPC", "F1", "BACC", "DOR", "AUROC", "AUPRC", "QWK")
_SCORES = 6


def erosion_metrics(
    target: np.ndarray,
    probability: np.ndarray,
    predicted: np.ndarray,
    joint: np.ndarray,
    score: np.ndarray | None = None,
) -> pd.DataFrame:
    """Compare erosion calls with scores.

    Args:
        target: (N,) true scores 0..5; -1, not scored, is left out.
        probability: (N,) probability of erosion.
        predicted: (N,) decision, 0 or 1.
        joint: (N,) index of the joint surface.
        score: (N,) predicted score or level, for the quadratic weighted kappa; None leaves it undefined.

    Returns:
        One row for "pooled", "mean over joints" and each joint; columns `COLUMNS`, fractions. What a group cannot
        define (no eroded joint, no call) is nan, and the mean over joints leaves it out.
    """
    target = np.asarray(target)
    keep = target >= 0
    columns = [np.asarray(c)[keep] for c in (target, probability, predicted, joint)]
    target, probability, predicted, joint = columns
    score = None if score is None else np.asarray(score)[keep]

    def figures(chosen: np.ndarray) -> dict[str, float]:
        level = None if score is None else score[chosen]
        return _figures(target[chosen], probability[chosen], predicted[chosen], level)

    rows = {name: figures(joint == index) for index, name in enumerate(JOINT_NAMES)}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    summary = pd.DataFrame(
        [figures(np.ones(len(target), bool)), frame.mean(skipna=True).to_dict()], index=["pooled", "mean over joints"]
    )
    return pd.concat([summary, frame])


def auroc(eroded: np.ndarray, probability: np.ndarray) -> float:
    """Area under the ROC curve; nan with one class only."""
    eroded = np.asarray(eroded, bool)
    if len(eroded) == 0 or eroded.all() or not eroded.any():
        return float("nan")
    return float(binary_auroc(torch.tensor(np.asarray(probability, np.float32)), torch.tensor(eroded).int()))


def calibration_error(eroded: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean distance of the probabilities from the share of eroded joints in their bin."""
    values, target = torch.tensor(np.asarray(probability, np.float32)), torch.tensor(np.asarray(eroded, int))
    return float(binary_calibration_error(values, target, n_bins=bins, norm="l1"))


def best_balanced_threshold(eroded: np.ndarray, probability: np.ndarray) -> float:
    """Probability from which a joint counts as eroded so that sensitivity plus specificity is largest."""
    return _best_threshold(eroded, probability, lambda tp, fp, fn, tn: tp / (tp + fn) + tn / (tn + fp))


def best_f1_threshold(eroded: np.ndarray, probability: np.ndarray) -> float:
    """Probability from which a joint counts as eroded so that F1 is largest."""
    return _best_threshold(eroded, probability, lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn))


def _best_threshold(eroded: np.ndarray, probability: np.ndarray, figure) -> float:
    eroded, probability = np.asarray(eroded, bool), np.asarray(probability, float)
    if eroded.all() or not eroded.any():
        raise ValueError("a threshold needs both eroded and healthy joints")
    values = np.unique(probability)
    order = np.argsort(probability, kind="stable")
    positives = np.concatenate([[0], np.cumsum(eroded[order])])
    start = np.searchsorted(probability[order], values, side="left")
    fn = positives[start]
    tp, tn = eroded.sum() - fn, start - fn
    fp = (~eroded).sum() - tn
    best = int(np.argmax(figure(tp, fp, fn, tn)))
    # half way to the next lower probability, so that rounding cannot move a case across
    return float(values[0] if best == 0 else (values[best - 1] + values[best]) / 2)


def _figures(
    target: np.ndarray, probability: np.ndarray, predicted: np.ndarray, level: np.ndarray | None
) -> dict[str, float]:
    if len(target) == 0:
        return dict.fromkeys(COLUMNS, np.nan)
    eroded = torch.tensor(target > 0).int()
    tp, fp, tn, fn, _ = (float(v) for v in binary_stat_scores(torch.tensor(np.asarray(predicted, int)), eroded))
    sensitivity, specificity = _ratio(tp, tp + fn), _ratio(tn, tn + fp)
    both = bool(eroded.any()) and not bool(eroded.all())
    probabilities = torch.tensor(np.asarray(probability, np.float32))
    return {
        "ACC": (tp + tn) / len(target),
        "PRE": _ratio(tp, tp + fp),
        "SEN": sensitivity,
        "SPC": specificity,
        "F1": _ratio(2 * tp, 2 * tp + fp + fn),
        "BACC": (sensitivity + specificity) / 2,
        "DOR": _ratio(tp * tn, fp * fn),
        "AUROC": auroc(target > 0, probability),
        "AUPRC": float(binary_average_precision(probabilities, eroded)) if both else np.nan,
        "QWK": np.nan if level is None else _kappa(target, level),
    }


def _kappa(target: np.ndarray, level: np.ndarray) -> float:
    """Quadratic weighted kappa; nan when truth or calls never vary."""
    if len(np.unique(target)) < 2 and len(np.unique(level)) < 2:
        return np.nan
    kappa = multiclass_cohen_kappa(
        torch.tensor(np.asarray(level, int)), torch.tensor(np.asarray(target, int)), _SCORES, weights="quadratic"
    )
    return float(kappa)


def _ratio(above: float, below: float) -> float:
    return above / below if below else np.nan
