"""Erosion metrics: pooled, per joint, and as the mean over joints, which reproduces the published figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from jointwrist.anatomy import WRIST
from jointwrist.metrics.erosion_bootstrap import decisions, weighted_figures

COLUMNS = ("ACC", "PRE", "SEN", "SPC", "F1", "BACC", "DOR", "AUROC", "AUPRC", "QWK")


def erosion_metrics(
    target: np.ndarray,
    probability: np.ndarray,
    predicted: np.ndarray,
    joint: np.ndarray,
    score: np.ndarray | None = None,
    levels: int = len(WRIST.erosion.values),
    joints: Sequence[str] = WRIST.joint_names,
) -> pd.DataFrame:
    """Compare erosion predictions with true scores.

    Args:
        target: (N,) true scores from 0; -1 (not scored) is left out.
        probability: (N,) probability of erosion.
        predicted: (N,) decision, 0 or 1.
        joint: (N,) index of the joint surface.
        score: (N,) predicted score or level, for the quadratic weighted kappa; None leaves it undefined.
        levels: Number of levels of `score`. The highest includes all scores above it, and true scores are
            clipped to it: 4 for the joint networks, whose level 3 means 3 to 5.
        joints: Names of the joint surfaces in the order of their indices.

    Returns:
        One row for "pooled", "mean over joints" and each joint; columns `COLUMNS`, fractions. Where a cell of the 2 x 2
        table is 0, the diagnostic odds ratio (DOR) has 0.5 added to all four (Haldane, Ann. Hum. Genet. 20, 1956;
        Anscombe, Biometrika 43, 1956; Glas et al., J. Clin. Epidemiol. 56, 2003). A metric that is undefined in a
        group (no eroded joint, no positive prediction, a probability that is nan) is nan and is left out of the mean
        over joints.

    Raises:
        ValueError: A decision is not 0 or 1, or a predicted score is not one of 0 to `levels` - 1.
    """
    target = np.asarray(target)
    keep = target >= 0
    columns = [np.asarray(c)[keep] for c in (target, probability, decisions(predicted), joint)]
    target, probability, predicted, joint = columns
    score = None if score is None else _levels(score, levels)[keep]

    def figures(chosen: np.ndarray) -> dict[str, float]:
        one = weighted_figures(target[chosen] > 0, probability[chosen], predicted[chosen])
        kappa = np.nan if score is None else quadratic_kappa(np.minimum(target, levels - 1)[chosen], score[chosen])
        return {name: float(value[0]) for name, value in one.items()} | {"QWK": kappa}

    rows = {name: figures(joint == index) for index, name in enumerate(joints)}
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=list(COLUMNS))
    summary = pd.DataFrame(
        [figures(np.ones(len(target), bool)), frame.mean(skipna=True).to_dict()], index=["pooled", "mean over joints"]
    )
    return pd.concat([summary, frame])


def auroc(eroded: np.ndarray, probability: np.ndarray) -> float:
    """Area under the ROC curve of (N,) joints; nan with one class only, or if a probability is nan."""
    eroded, probability = np.asarray(eroded, bool), np.asarray(probability, float)
    return float(weighted_figures(eroded, probability, probability >= 0.5)["AUROC"][0])


def quadratic_kappa(first: np.ndarray, second: np.ndarray) -> float:
    """Quadratic weighted kappa of two (N,) arrays of scores, integers from 0 (Cohen, Psychol. Bull. 70, 1968).

    Unused scores have no effect. 0 if only one of the arrays varies; nan if all scores are equal.
    """
    # imported here, as it takes longer than all the rest of the metrics
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    first, second = (torch.from_numpy(np.array(scores, np.int64)) for scores in (first, second))
    if len(first) == 0:
        return float("nan")
    levels = max(int(first.max()), int(second.max()), 1) + 1
    counts = multiclass_confusion_matrix(second, first, levels).double()
    level = torch.arange(levels)
    weights = (level[:, None] - level) ** 2
    by_chance = counts.sum(1)[:, None] * counts.sum(0) / counts.sum()
    expected = float((weights * by_chance).sum())
    return 1 - float((weights * counts).sum()) / expected if expected else float("nan")


def calibration_error(eroded: np.ndarray, probability: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error of erosion probabilities (Guo et al., ICML 2017).

    The mean distance between predicted probability and share of eroded joints, over bins of equal width. Each bin
    includes its upper end, the first one 0 as well.

    Args:
        eroded: (N,) bool.
        probability: (N,) probability of erosion.
        bins: Number of bins.

    Raises:
        ValueError: A probability is outside 0 to 1.
    """
    eroded, probability = np.asarray(eroded, float), np.asarray(probability, float)
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities must lie between 0 and 1; take the sigmoid of logits first")
    if len(probability) == 0:
        return float("nan")
    place = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], probability)
    return float(np.abs(np.bincount(place, probability - eroded)).sum() / len(probability))


def best_balanced_threshold(eroded: np.ndarray, probability: np.ndarray) -> float:
    """Threshold on the probability that maximises sensitivity plus specificity."""
    return _best_threshold(eroded, probability, lambda tp, fp, fn, tn: tp / (tp + fn) + tn / (tn + fp))


def best_f1_threshold(eroded: np.ndarray, probability: np.ndarray) -> float:
    """Threshold on the probability that maximises F1."""
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
    # half way to the next lower probability, so that rounding changes no prediction
    return float(values[0] if best == 0 else (values[best - 1] + values[best]) / 2)


def _levels(score: np.ndarray, levels: int) -> np.ndarray:
    score = np.asarray(score)
    if not np.isin(score, np.arange(levels)).all():
        raise ValueError(f"predicted scores must be whole numbers from 0 to {levels - 1}")
    return score
