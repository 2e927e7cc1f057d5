"""Turn network output into an erosion probability and level per joint surface; withheld surfaces get none."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np

from jointwrist.anatomy import NOT_SCORED, Anatomy
from jointwrist.inference.prediction import Prediction
from jointwrist.metrics.erosion_call import call_eroded


class ErosionScores(NamedTuple):
    """Erosion of the J joint surfaces of a wrist.

    Attributes:
        probabilities: (J,) float32 that a surface is eroded; nan without a score.
        levels: (J,) int64; `NOT_SCORED` without a score.
        boxes: (J, 4) float32 joint boxes in pixels of the network's image; nan where the bone was not found.
    """

    probabilities: np.ndarray
    levels: np.ndarray
    boxes: np.ndarray


def erosion_scores(
    prediction: Prediction, index: int, anatomy: Anatomy, threshold: float, withheld: Collection[int] = ()
) -> ErosionScores:
    """Score the joint surfaces of one wrist of a batch.

    Args:
        prediction: Prediction of the batch.
        index: Index of the wrist in the batch.
        anatomy: Anatomy with its joint surfaces.
        threshold: Probability from which a surface counts as eroded.
        withheld: Indices of surfaces that are left without a score.
    """
    joints = len(anatomy.joints)
    scores = ErosionScores(
        np.full(joints, np.nan, np.float32),
        np.full(joints, NOT_SCORED, np.int64),
        np.full((joints, 4), np.nan, np.float32),
    )
    if prediction.cumulative is None:
        return scores
    for joint in anatomy.erosion.joints:
        if not prediction.valid[index, joint]:
            continue
        scores.boxes[joint] = prediction.boxes[index, joint]
        if joint not in withheld:
            cumulative = prediction.cumulative[index, joint]
            scores.probabilities[joint] = cumulative[0]
            scores.levels[joint] = erosion_level(cumulative, threshold)
    return scores


def erosion_level(cumulative: np.ndarray, threshold: float) -> int:
    """Turn (K,) cumulative probabilities P(level > k) into a level from 0 to K.

    The model's threshold on P(level > 0) decides whether the joint is eroded. The level of an eroded joint is the
    highest one that is reached with a probability of 0.5 or more, and at least 1.
    """
    return max(1, int((cumulative >= 0.5).sum())) if call_eroded(cumulative[0], threshold) else 0
