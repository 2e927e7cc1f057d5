"""Rows of one wrist: what they say of the case, and figures in pixels and millimetres as MONAI has them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from test_metrics_segmentation import masks

from jointwrist.anatomy import BONE_NAMES
from jointwrist.data.sample import pack_masks
from jointwrist.metrics.segmentation_results import TOLERANCE_MM, segmentation_results

WHO = {"case": "0001_0001_L", "patient": "0001", "side": "L"}
NOBODY = np.full(6, -1)


@pytest.mark.parametrize(
    ("scores", "eroded"), [(NOBODY, None), ([0, 0, -1, 0, 0, 0], False), ([0, -1, -1, 2, 0, 0], True)]
)
def test_every_row_says_whose_it_is_and_whether_a_joint_is_eroded(scores, eroded):
    predicted, truth = masks("plain", np.random.default_rng(0))
    rows = segmentation_results(**WHO, scores=scores, predicted=predicted, truth=truth)
    assert len({(row["kind"], row["region"]) for row in rows}) == len(rows) == 28
    assert [row["region"] for row in rows[:14]] == list(BONE_NAMES)
    assert all({**WHO, "eroded": eroded}.items() <= row.items() for row in rows)
    packed = segmentation_results(**WHO, scores=scores, predicted=pack_masks(predicted), truth=pack_masks(truth))
    pd.testing.assert_frame_equal(pd.DataFrame(packed), pd.DataFrame(rows))


def test_figures_in_mm_are_those_of_monai_with_a_spacing():
    monai = pytest.importorskip("monai.metrics")
    predicted, truth = masks("noisy", np.random.default_rng(1))
    spacing = 0.13
    rows = segmentation_results(**WHO, scores=NOBODY, predicted=predicted, truth=truth, spacing_mm=spacing)
    p, t = torch.tensor(predicted)[None].float(), torch.tensor(truth)[None].float()
    nsd = monai.compute_surface_dice(p, t, [TOLERANCE_MM] * 14, include_background=True, spacing=spacing)
    msd = monai.compute_average_surface_distance(p, t, include_background=True, symmetric=True, spacing=spacing)
    assert [row["nsd_mm"] for row in rows[:14]] == pytest.approx(nsd[0].tolist(), abs=1e-6)
    assert [row["msd_mm"] for row in rows[:14]] == pytest.approx(msd[0].tolist(), abs=1e-5)
    plain = segmentation_results(**WHO, scores=NOBODY, predicted=predicted, truth=truth)
    known = pd.DataFrame(rows).drop(columns=["nsd_mm", "msd_mm", "spacing_mm"])
    pd.testing.assert_frame_equal(pd.DataFrame(plain), known)
