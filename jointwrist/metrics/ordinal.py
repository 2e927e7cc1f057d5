"""Metrics of an ordinal score with any number of levels, for all cases or for many bootstrap resamples at once."""

from __future__ import annotations

import numpy as np

from jointwrist.metrics.erosion_bootstrap import weighted_figures

FIGURES = ("QWK", "accuracy", "AUROC")


def ordinal_figures(
    target: np.ndarray, level: np.ndarray, probability: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Compare predicted levels with true ones.

    Args:
        target: (N,) true levels from 0.
        level: (N,) predicted levels.
        probability: (N,) probability that the level is above 0.
        weights: (R, N) number of times that each resample contains each row; None takes every row once, with R = 1.

    Returns:
        (R,) values by name: `QWK`, the quadratic weighted kappa (Cohen, Psychol. Bull. 70, 1968), which is
        1 - E(t - l)^2 / (E t^2 + E l^2 - 2 E t E l); `accuracy`, the share of levels that are right; and `AUROC` of
        levels above 0. Fractions; nan where undefined.
    """
    target, level = np.asarray(target, float), np.asarray(level, float)
    weights = np.ones((1, len(target))) if weights is None else np.asarray(weights, float)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = weights.sum(1)
        true, found, squares, right = (
            weights @ values / total for values in (target, level, (target - level) ** 2, target == level)
        )
        by_chance = weights @ (target**2 + level**2) / total - 2 * true * found
        kappa = np.where(by_chance > 1e-12, 1 - squares / by_chance, np.nan)
    probability = np.asarray(probability, float)
    return {
        "QWK": kappa,
        "accuracy": right,
        "AUROC": weighted_figures(target > 0, probability, probability >= 0.5, weights)["AUROC"],
    }
