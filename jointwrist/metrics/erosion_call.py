"""Call joints eroded: the one place where probabilities are compared with the decision threshold.

The level of an eroded joint is chosen in `inference.erosion_scores`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def call_eroded(probability: ArrayLike, threshold: ArrayLike) -> np.ndarray:
    """Return where a joint counts as eroded: where its probability reaches the threshold.

    Both are compared as float64, so that a result, its files and the evaluation agree on a probability that rounds to
    the threshold in float32.

    Args:
        probability: (...) probability of erosion; nan (no score) is never called.
        threshold: Decision threshold, a number or an array that broadcasts against `probability`.

    Returns:
        (...) bool.
    """
    return np.asarray(probability, np.float64) >= np.asarray(threshold, np.float64)
