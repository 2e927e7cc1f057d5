"""AUROC for each family of erosions and of look-alikes, where the ground truth names the families."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.statistics import RESAMPLES, percentile_interval, resampling_weights


def family_figures(
    score: np.ndarray,
    probability: np.ndarray,
    family: Sequence[str] | np.ndarray,
    patients: Sequence | np.ndarray,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> pd.DataFrame:
    """AUROC of each family against its opposite: eroded joints against uneroded ones, look-alikes against erosions.

    Args:
        score: (N,) true scores 0..5; -1 (not scored) is left out.
        probability: (N,) probability of erosion.
        family: (N,) family of each joint surface.
        patients: (N,) patient of each joint surface.
        resamples: Number of bootstrap resamples of patients.
        seed: Seed.

    Returns:
        One row per family, the erosive ones first: `family`, `erosive`, `joints`, `opposite` (joints that it is
        compared with), `AUROC` with its 95 % interval over patients `low` and `high`, and `probability`, the family's
        mean. nan where there is no opposite.
    """
    keep = np.asarray(score) >= 0
    score, probability, family, patients = (
        np.asarray(column)[keep] for column in (score, np.asarray(probability, float), family, patients)
    )
    eroded = score > 0
    found = []
    for name in np.unique(family):
        erosive = bool(eroded[family == name].any())
        mine = (family == name) & (eroded == erosive)
        chosen = mine | (eroded != erosive)
        calls = eroded[chosen], probability[chosen], probability[chosen] >= 0.5
        weights = resampling_weights(patients[chosen], resamples, seed)
        estimate = float(weighted_figures(*calls)["AUROC"][0])
        drawn = weighted_figures(*calls, weights)["AUROC"]
        interval = percentile_interval(estimate, drawn, len(np.unique(patients[chosen])))
        found.append(
            {
                "family": str(name), "erosive": erosive, "joints": int(mine.sum()),
                "opposite": int(chosen.sum() - mine.sum()), "AUROC": interval.estimate, "low": interval.low,
                "high": interval.high, "probability": float(probability[mine].mean()),
            }
        )  # fmt: skip
    columns = ["family", "erosive", "joints", "opposite", "AUROC", "low", "high", "probability"]
    return pd.DataFrame(found, columns=columns).sort_values(["erosive", "family"], ascending=[False, True])
