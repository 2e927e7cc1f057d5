"""The line that `evaluate` prints of per-case results."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from jointwrist.commands.evaluation_means import means


def erosion(scores) -> pd.DataFrame:
    probability = np.linspace(0.1, 0.9, len(scores))
    called = (probability > 0.5).astype(int)
    return pd.DataFrame(
        {"joint": "Lunate", "score": scores, "probability": probability, "predicted": called, "level": called}
    )


@pytest.mark.parametrize(("score", "word"), [(0, "no"), (3, "every")])
def test_joints_of_one_kind_have_no_figures_and_the_line_says_why(score, word):
    line = means("erosion", erosion([score] * 4))
    assert f"{word} scored joint is eroded, so the other figures are unknown" in line and "nan" not in line


def test_joints_of_both_kinds_have_all_figures():
    line = means("erosion", erosion([0, 0, 2, 2]))
    assert "AUROC 1.000, balanced accuracy 100.00 %, F1 100.00 %" in line and "unknown" not in line
