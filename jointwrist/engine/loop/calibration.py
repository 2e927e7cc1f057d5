"""Calibrate erosion probabilities on validation data, and choose decision thresholds, which `erosion_call` applies."""

from __future__ import annotations

import numpy as np
import pandas as pd
from accelerate import Accelerator
from scipy.optimize import brentq, minimize
from scipy.special import expit, logit
from torch import nn
from torch.utils.data import Dataset

from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.tasks import Task
from jointwrist.metrics.erosion import best_balanced_threshold, best_f1_threshold

#: Number of eroded, and of healthy, joints from which a cross-validation can calibrate.
ENOUGH = 10


def platt_scaling(eroded: np.ndarray, probability: np.ndarray) -> tuple[float, float]:
    """Fit scale and shift of the logit by Platt scaling, so that probabilities match the frequency of erosion.

    Maximum likelihood with smoothed targets (Platt, Probabilistic Outputs for Support Vector Machines, 1999).

    Args:
        eroded: (N,) bool.
        probability: (N,) float in [0, 1].

    Returns:
        Scale, at least 0.01, and shift.

    Raises:
        ValueError: All joints are eroded, or none.
    """
    eroded = np.asarray(eroded, bool)
    if eroded.all() or not eroded.any():
        raise ValueError("calibration needs both eroded and healthy joints")
    positives, negatives = eroded.sum(), (~eroded).sum()
    target = np.where(eroded, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    values = logit(np.clip(np.asarray(probability, float), 1e-7, 1 - 1e-7))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        z = parameters[0] * values + parameters[1]
        error = expit(z) - target
        return float((np.logaddexp(0, z) - target * z).mean()), np.array([(error * values).mean(), error.mean()])

    found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=[(0.01, None), (None, None)], method="L-BFGS-B")
    return float(found.x[0]), float(found.x[1])


def level_shifts(levels: np.ndarray, probability: np.ndarray, count: int) -> list[float | None]:
    """Fit how far the logit of P(level > k) lies below that of P(level > 0), for k from 1 on.

    Maximum likelihood of one shift per level, with Platt's smoothed targets: the mean of P(level > k) is then that of
    the targets. Targets of higher levels are part of those of lower ones, so that the shifts are in order.

    Args:
        levels: (N,) int, from 0.
        probability: (N,) float, calibrated P(level > 0).
        count: Number of levels.

    Returns:
        A shift for each k, at least 0; None where fewer than `ENOUGH` joints are above k, or not.
    """
    values = logit(np.clip(probability, 1e-7, 1 - 1e-7))
    shifts: list[float | None] = []
    for k in range(1, count - 1):
        above = int((levels > k).sum())
        others = len(levels) - above
        if min(above, others) < ENOUGH:
            shifts.append(None)
            continue
        target = above * (above + 1) / (above + 2) + others / (others + 2)
        shifts.append(float(brentq(lambda shift, wanted: expit(values - shift).sum() - wanted, -40, 40, (target,))))
    return shifts


def calibrate(accelerator: Accelerator, model: nn.Module, validation: Dataset, task: Task) -> dict[str, float]:
    """Calibrate a joint network on validation data, and choose the decision thresholds.

    Args:
        accelerator: Processes share the dataset.
        model: Trained model; a joint network's `erosion.calibration` and the distances of its levels are set in place.
        validation: Items of the task.
        task: Computes per-case results.

    Returns:
        Thresholds: `mask`; `erosion`, which decides calls; and, if validation has eroded and healthy joints,
        `erosion_balanced` and `erosion_f1`, which maximise balanced accuracy and F1.
    """
    config = task.config
    thresholds = {"mask": 0.5, "erosion": 0.5}
    if config.task in ("segmentation", "foundation") or config.erosion.threshold == "argmax":
        return thresholds
    if config.task == "joint":
        model.erosion.calibration.copy_(model.erosion.calibration.new_tensor([1.0, 0.0]))
    joints = evaluate_model(accelerator, model, validation, task)[1]["erosion"]
    scores = np.array([joint["score"] for joint in joints])
    eroded, probability = scores > 0, np.array([joint["probability"] for joint in joints])
    if eroded.all() or not eroded.any():
        return thresholds
    if config.task == "joint":
        probability = _calibrated(model, eroded, probability)
        space_levels(model, scores, probability)
    return thresholds | _call_thresholds(eroded, probability, config)


def calibrate_on(model: nn.Module, joints: pd.DataFrame, config: RunConfig) -> dict[str, float] | None:
    """Calibrate a joint network on the pooled predictions of a cross-validation.

    Args:
        model: Trained joint network; its `erosion.calibration`, which the probabilities have, and the distances of its
            levels are adjusted in place.
        joints: A row per joint: `score` and `probability`.
        config: Configuration of the run.

    Returns:
        As `calibrate`; None, with the calibration as it was, if fewer than `ENOUGH` joints are eroded or healthy.
    """
    eroded, probability = joints["score"].to_numpy() > 0, joints["probability"].to_numpy(float)
    if min(eroded.sum(), (~eroded).sum()) < ENOUGH:
        return None
    probability = _calibrated(model, eroded, probability)
    space_levels(model, joints["score"].to_numpy(), probability)
    return {"mask": 0.5, "erosion": 0.5} | _call_thresholds(eroded, probability, config)


def _calibrated(model: nn.Module, eroded: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Compose Platt scaling with a joint network's calibration; return the calibrated probabilities."""
    scale, shift = platt_scaling(eroded, probability)
    before = model.erosion.calibration.tolist()
    model.erosion.calibration.copy_(
        model.erosion.calibration.new_tensor([scale * before[0], scale * before[1] + shift])
    )
    return expit(scale * logit(np.clip(probability, 1e-7, 1 - 1e-7)) + shift)


def space_levels(model: nn.Module, scores: np.ndarray, probability: np.ndarray) -> None:
    """Set the distances of a joint network's erosion levels in place, so that P(level > k) match their frequencies.

    Levels with too few joints keep their distance to the level below.

    Args:
        model: Joint network, calibrated.
        scores: (N,) int, true scores; those above the highest level count as it.
        probability: (N,) float, its calibrated P(level > 0).
    """
    head = model.erosion
    cuts = head.cuts().detach()
    scale, kept = float(head.calibration[0]), cuts.diff()
    levels = np.minimum(scores, len(cuts))
    distances: list[float] = []
    for shift, step in zip(level_shifts(levels, probability, len(cuts) + 1), kept.tolist(), strict=True):
        below = distances[-1] if distances else 0.0
        distances.append(below + step if shift is None else max(shift / scale, below))
    head.set_distances(cuts.new_tensor(distances))


def _call_thresholds(eroded: np.ndarray, probability: np.ndarray, config: RunConfig) -> dict[str, float]:
    balanced, f1 = best_balanced_threshold(eroded, probability), best_f1_threshold(eroded, probability)
    chosen = f1 if config.erosion.threshold == "f1" else balanced
    return {"erosion_balanced": balanced, "erosion_f1": f1, "erosion": chosen}
