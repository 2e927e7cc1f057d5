"""Turn network output into joint scores other than erosion, such as joint-space narrowing."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np

from jointwrist.anatomy import NOT_SCORED, Anatomy, Score
from jointwrist.inference.prediction import Prediction


class JointScores(NamedTuple):
    """One score of the joint surfaces of a wrist.

    Attributes:
        score: Name and levels of the score.
        levels: (J,) int64, `NOT_SCORED` where the joint is not scored or its bone was not found.
        probabilities: (J,) float32 that the score is above 0; nan where there is none.
    """

    score: Score
    levels: np.ndarray
    probabilities: np.ndarray

    def rows(self, anatomy: Anatomy) -> list[dict[str, Any]]:
        """Return the scored joints as JSON values."""
        rows = []
        for joint in self.score.joints:
            level, probability = int(self.levels[joint]), round(float(self.probabilities[joint]), 4)
            found = level != NOT_SCORED
            values = {"score": level, "score_label": self.score.labels[level], "probability": probability}
            rows.append({"name": anatomy.joint_names[joint], "found": found, **(values if found else {})})
        return rows

    def summary(self, anatomy: Anatomy) -> str:
        """Name the joints whose score is above 0."""
        above = [joint for joint in self.score.joints if self.levels[joint] > 0]
        named = [f"{anatomy.joints[joint].display} {self.score.labels[self.levels[joint]]}" for joint in above]
        return f"{self.score.name}: {', '.join(named) or 'none'}"


def joint_scores(
    prediction: Prediction, index: int, anatomy: Anatomy, withheld: Collection[int] = ()
) -> tuple[JointScores, ...]:
    """Return the scores of one image of a batch; empty if the network predicts none.

    Args:
        prediction: Prediction of the batch.
        index: Index of the image in the batch.
        anatomy: Anatomy with its joints and scores.
        withheld: Indices of joints that are left without a score.
    """
    if prediction.further is None:
        return ()
    found = []
    for number, score in enumerate(anatomy.further_scores):
        shown = [joint for joint in score.joints if prediction.valid[index, joint] and joint not in withheld]
        levels = np.full(len(anatomy.joints), NOT_SCORED, np.int64)
        probabilities = np.full(len(anatomy.joints), np.nan, np.float32)
        cumulative = prediction.further[index, number, shown]
        levels[shown], probabilities[shown] = (cumulative >= 0.5).sum(-1), cumulative[:, 0]
        found.append(JointScores(score, levels, probabilities))
    return tuple(found)
