"""Losses against MONAI, scipy and the definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import distance_transform_edt

from jointwrist.losses import (
    dice_loss,
    distance_loss,
    level_log_odds,
    ordinal_loss,
    overlap_dice_loss,
    score_levels,
    signed_distance,
)


@pytest.fixture
def masks():
    rng = np.random.default_rng(0)
    yy, xx = np.mgrid[:40, :48]
    centres, areas = rng.integers(5, 35, (28, 2)), rng.integers(9, 150, 28)
    discs = [(yy - y) ** 2 + (xx - x) ** 2 < area for (y, x), area in zip(centres, areas, strict=True)]
    return torch.tensor(np.array(discs).reshape(2, 14, 40, 48)).float()


@pytest.mark.parametrize("squared", [False, True])
def test_dice_equals_monai(masks, squared):
    monai = pytest.importorskip("monai.losses")
    values = torch.rand_like(masks)
    theirs = monai.DiceLoss(squared_pred=squared, smooth_nr=1e-5, smooth_dr=1e-5)(values, masks)
    assert torch.allclose(dice_loss(values, masks, squared), theirs, atol=1e-6)


def test_signed_distance_equals_scipy(masks):
    ours = signed_distance(masks, radius=8).numpy()
    for mask, distance in zip(masks.flatten(0, 1).numpy() > 0, ours.reshape(-1, 40, 48), strict=True):
        inside = np.minimum(distance_transform_edt(mask), 8)
        outside = np.minimum(distance_transform_edt(~mask), 8)
        assert np.allclose(distance, inside - outside, atol=1e-5)


@pytest.mark.parametrize("radius", [1, 3, 11, 15])
def test_signed_distance_is_clipped_at_any_radius(masks, radius):
    ours = signed_distance(masks, radius).numpy()
    for mask, distance in zip(masks.flatten(0, 1).numpy() > 0, ours.reshape(-1, 40, 48), strict=True):
        inside, outside = (np.minimum(distance_transform_edt(plane), radius) for plane in (mask, ~mask))
        assert np.allclose(distance, inside - outside, atol=1e-5)


@pytest.mark.parametrize("scale", [2.0, 4.0])
def test_distance_loss_equals_its_definition(masks, scale):
    logits = torch.randn_like(masks)
    truth = torch.tanh(signed_distance(masks) / scale)
    expected = F.smooth_l1_loss(logits.tanh(), truth)
    assert torch.allclose(distance_loss(logits, masks, scale), expected, atol=1e-7)


def test_distance_loss_is_zero_for_the_true_distance(masks):
    truth = signed_distance(masks) / 4
    assert distance_loss(truth, masks) < 1e-10
    assert distance_loss(-truth, masks) > 0.1


def test_overlap_dice_rewards_the_right_overlap(masks):
    right = (masks * 2 - 1) * 20
    assert overlap_dice_loss(right.sigmoid(), masks) < 1e-3
    assert overlap_dice_loss(right.roll(1, 1).sigmoid(), masks) > overlap_dice_loss(right.sigmoid(), masks)


def test_ordinal_loss_equals_cross_entropy_of_each_cut():
    torch.manual_seed(0)
    logits, levels = torch.randn(4, 6, 3), torch.randint(-1, 4, (4, 6))
    valid = torch.rand(4, 6) > 0.2
    keep = (levels >= 0) & valid
    terms = [F.binary_cross_entropy_with_logits(logits[..., k][keep], (levels[keep] > k).float()) for k in range(3)]
    assert torch.allclose(ordinal_loss(logits, levels, valid), torch.stack(terms).mean())


def test_ordinal_loss_without_labels_is_zero_and_connected():
    logits = torch.randn(2, 6, 3, requires_grad=True)
    loss = ordinal_loss(logits, torch.full((2, 6), -1), torch.ones(2, 6, dtype=torch.bool))
    loss.backward()
    assert loss == 0 and logits.grad.abs().sum() == 0


def test_log_odds_are_the_prior():
    counts = torch.tensor([[90.0, 6.0, 3.0, 1.0]])
    odds = level_log_odds(counts, smooth=0.0).sigmoid()
    assert torch.allclose(odds, torch.tensor([[0.10, 0.04, 0.01]]))


def test_scores_three_to_five_share_a_level():
    assert score_levels(torch.tensor([-1, 0, 1, 2, 3, 4, 5])).tolist() == [-1, 0, 1, 2, 3, 3, 3]
