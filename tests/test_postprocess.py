"""Masks lose holes and islands, and keep contours and large pieces."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from jointwrist.anatomy import bone_index
from jointwrist.data.collimation import exposed_window
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import unpack_masks
from jointwrist.inference.placement import Placement
from jointwrist.inference.postprocess import (
    NECK,
    clean_mask,
    close_slits,
    cut_necks,
    smallest_piece,
    smooth_outlines,
)
from jointwrist.inference.predictor import Predictor
from jointwrist.phantom import PhantomConfig, make_wrist


def disc(row, column, radius, size=80):
    y, x = np.indices((size, size))
    return (y - row) ** 2 + (x - column) ** 2 <= radius**2


def test_holes_close_and_islands_go_but_dents_and_large_pieces_stay():
    bone = disc(30, 30, 18) & ~disc(30, 49, 6)
    second = disc(65, 65, 8)
    damaged = (bone & ~disc(26, 26, 4)) | second | disc(5, 70, 2)
    np.testing.assert_array_equal(clean_mask(damaged), bone | second)


def test_a_metacarpal_does_not_keep_the_head_of_its_neighbour_and_a_pisiform_stays():
    bone, head = disc(30, 30, 18), disc(65, 65, 10)
    both = bone | head
    np.testing.assert_array_equal(clean_mask(both, smallest_piece(bone_index("Metacarpal4th"))), bone)
    np.testing.assert_array_equal(clean_mask(both, smallest_piece(bone_index("TriquetrumPisiform"))), both)


def test_true_masks_hardly_change_and_empty_ones_not_at_all():
    masks = unpack_masks(make_wrist(0, 0, PhantomConfig(size=128, prevalence=0.5)).bones)
    for bone, mask in enumerate(masks):
        assert (clean_mask(mask, smallest_piece(bone)) ^ mask).sum() <= 0.03 * mask.sum()
    assert not clean_mask(np.zeros((8, 8), bool)).any()


def test_slits_of_shafts_close_and_nothing_else_changes():
    masks = unpack_masks(make_wrist(0, 0, PhantomConfig(size=128, prevalence=0.5)).bones)
    logits = np.where(masks, 3.0, -3.0)
    shafts = [10, 11, 12, 13]
    others = [bone for bone in range(14) if bone not in shafts]
    closed = close_slits(logits)
    np.testing.assert_array_equal(closed[others], logits[others])
    for bone in shafts:
        added = (closed[bone] > 0) & ~masks[bone]
        assert (closed[bone] >= logits[bone]).all() and added.sum() <= 0.02 * masks[bone].sum()


@pytest.mark.parametrize("turned", [False, True])
def test_a_slit_between_two_cortices_closes_up_to_twice_the_reach(turned):
    def cortices(gap):
        image = np.zeros((128, 128), bool)
        image[:100, 50:53] = image[:100, 53 + gap : 56 + gap] = True  # a shaft that leaves the frame
        image[95:100, 50 : 56 + gap] = True  # its base
        return image.T if turned else image

    for gap, closes in ((4, True), (6, True), (7, False), (12, False)):
        slit = cortices(gap)
        closed = close_slits(np.where([slit] * 14, 3.0, -3.0))[13] > 0
        middle = closed.T[:, 53 : 53 + gap] if turned else closed[:, 53 : 53 + gap]
        assert middle[:90].all() == closes and middle[:80].any() == closes
        beyond = closed.T[100:] if turned else closed[100:]
        assert not beyond.any()


def smoothed(mask, threshold=0.0, strength=9.0):
    logits = np.where(mask, strength, -strength) + threshold
    return smooth_outlines(logits[None], threshold)[0] > threshold


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_spikes_and_nicks_of_an_outline_go_and_an_erosion_stays(threshold):
    bone = disc(128, 128, 50, 256)
    rough = bone.copy()
    rough[60:80, 128] = True  # a spike, one pixel wide
    rough[128, 165:180] = False  # a nick
    assert (rough ^ bone).sum() == 32
    for strength in (9.0, 90.0):
        assert (smoothed(rough, threshold, strength) ^ bone).sum() <= 10
    bite = disc(128, 178, 8, 256)  # an erosion, 5 mm wide in 90
    kept = smoothed(bone & ~bite, threshold)
    assert (kept & bite & bone).sum() <= 0.03 * (bite & bone).sum()
    assert (kept ^ (bone & ~bite)).sum() <= 0.003 * bone.sum()


def test_a_straight_edge_and_the_edge_of_the_radiograph_stay_where_they_are():
    half = np.zeros((64, 64), bool)
    half[:, :20] = True
    for edge in (half, half.T, np.ones((64, 64), bool), np.zeros((64, 64), bool)):
        np.testing.assert_array_equal(smoothed(edge), edge)


def test_smoothing_hardly_changes_true_masks():
    for index in range(4):
        masks = unpack_masks(make_wrist(0, index, PhantomConfig(size=256, prevalence=0.5)).bones)
        for bone, mask in enumerate(masks):
            smooth = smoothed(mask)
            assert 2 * (smooth & mask).sum() / (smooth.sum() + mask.sum()) > 0.99, bone


METACARPALS = [bone_index(f"Metacarpal{number}") for number in ("1st", "2nd", "3rd", "4th", "5th")]


def test_a_sesamoid_that_hangs_on_a_metacarpal_by_a_neck_is_no_part_of_it():
    head, sesamoid = disc(60, 60, 14, 128), disc(60, 80, 4, 128)
    for width, parted in ((1, True), (3, True), (7, False)):
        neck = np.zeros_like(head)
        neck[60 - width // 2 : 61 + width // 2, 60:80] = True
        joined = head | sesamoid | neck
        for bone in range(14):
            mask = cut_necks(joined, bone, 2.0)
            if bone in METACARPALS and parted:
                assert (mask & head == head).all() and not (mask & sesamoid)[:, 79:].any()
            else:
                np.testing.assert_array_equal(mask, joined)


def test_a_metacarpal_with_a_hollow_shaft_keeps_both_ends():
    bone = disc(30, 60, 14, 128) | disc(95, 60, 14, 128)
    bone[30:95, 52:54] = bone[30:95, 66:68] = True
    np.testing.assert_array_equal(cut_necks(bone, METACARPALS[0], 2.0), bone)


def test_cutting_necks_takes_hardly_anything_from_true_masks():
    for index in range(6):
        masks = unpack_masks(make_wrist(0, index, PhantomConfig(size=128, prevalence=0.5)).bones)
        for bone, mask in enumerate(masks):
            cut = cut_necks(mask, bone, NECK * 128)
            assert not (cut & ~mask).any() and cut.sum() >= 0.97 * mask.sum()
    small = disc(9, 9, 1, 20)
    np.testing.assert_array_equal(cut_necks(small, METACARPALS[0], 5.0), small)


def test_the_exposed_window_lies_between_bars():
    pixels = np.random.default_rng(0).random((40, 50))
    assert exposed_window(pixels) == (slice(0, 40), slice(0, 50))
    pixels[:7], pixels[:, 46:] = 0.0, 0.004
    assert exposed_window(pixels) == (slice(7, 40), slice(0, 46))
    pixels[20] = 0.0  # a dark row within the radiograph is no bar
    assert exposed_window(pixels) == (slice(7, 40), slice(0, 46))
    assert exposed_window(np.zeros((4, 4))) == (slice(None), slice(None))


@pytest.mark.parametrize("side", ["L", "R"])
def test_no_bone_is_drawn_under_a_bar(side):
    class Everywhere(torch.nn.Module):
        def forward(self, image):
            return torch.full((len(image), 14, *image.shape[-2:]), 9.0)

    pixels = np.random.default_rng(0).random((48, 64), dtype=np.float32)
    pixels[:9], pixels[:, :5] = 0.0, 0.0
    radiograph = Radiograph(pixels, side=side)
    masks = Predictor(Everywhere(), image_size=32, localise=False).predict([Placement(radiograph)])[0].masks
    assert masks[:, 9:, 5:].all() and not masks[:, :9].any() and not masks[:, :, :5].any()
    assert (
        Predictor(Everywhere(), image_size=32, postprocess=False, localise=False)
        .predict([Placement(radiograph)])[0]
        .masks.all()
    )
