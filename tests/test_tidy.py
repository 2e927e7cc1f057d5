"""Masks lose holes and islands, and keep contours and large pieces."""

from __future__ import annotations

import numpy as np

from jointwrist.data.phantom import PhantomConfig, make_wrist
from jointwrist.data.sample import unpack_masks
from jointwrist.inference.tidy import tidy_mask


def disc(row, column, radius, size=80):
    y, x = np.indices((size, size))
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def test_holes_close_and_islands_go_but_dents_and_large_pieces_stay():
    bone = disc(30, 30, 18) & ~disc(30, 49, 6)
    second = disc(65, 65, 8)
    damaged = (bone & ~disc(26, 26, 4)) | second | disc(5, 70, 2)
    np.testing.assert_array_equal(tidy_mask(damaged), bone | second)


def test_true_masks_hardly_change_and_empty_ones_not_at_all():
    masks = unpack_masks(make_wrist(0, 0, PhantomConfig(size=128, prevalence=0.5)).bones)
    for mask in masks:
        assert (tidy_mask(mask) ^ mask).sum() <= 0.03 * mask.sum()
    assert not tidy_mask(np.zeros((8, 8), bool)).any()
