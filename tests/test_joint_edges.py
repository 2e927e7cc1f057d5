"""Outlines moved to the edges of bones on the radiograph, on drawn bones and against the true outlines of phantoms."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_filter

from jointwrist.data.sample import unpack_masks
from jointwrist.inference.joint_edges import INSIDE, cheapest_path, on_edges
from jointwrist.inference.joint_margins import joint_margins
from jointwrist.inference.joint_space import MOST_PIXELS, SITES, joint_space
from jointwrist.phantom import PhantomConfig, make_wrist

PLAIN = PhantomConfig(prevalence=0, cyst_rate=0, notch_rate=0, osteophyte_rate=0)


def test_outlines_move_to_the_edges_of_bones_that_overlap():
    rows, columns = np.mgrid[:160, :120]
    first, second = (np.abs(columns - 60) < 35) & (rows < 86), (np.abs(columns - 60) < 35) & (rows >= 80)
    pixels = gaussian_filter(first + 0.8 * second, 1.0)
    # masks a pixel too small on either side
    smaller = (np.abs(columns - 60) < 35) & (rows < 85), (np.abs(columns - 60) < 35) & (rows >= 81)
    before = joint_margins(*smaller)
    after = on_edges(pixels, before)
    gap = {name: np.average(one.gaps, weights=one.weights) for name, one in (("before", before), ("after", after))}
    assert gap["before"] == pytest.approx(-4, abs=0.3)
    # outlines lie outside of the steepest slope by a constant
    assert gap["after"] + 2 * INSIDE * before.scale == pytest.approx(-6, abs=0.6)


def test_the_cheapest_path_is_that_of_all_paths():
    rng = np.random.default_rng(1)
    cost = rng.normal(size=(5, 4))
    paths = [p for p in np.ndindex(*(4,) * 5) if np.abs(np.diff(p)).max() <= 1]
    sums = [cost[range(5), p].sum() + 0.3 * np.abs(np.diff(p)).sum() for p in paths]
    assert tuple(cheapest_path(cost, 0.3)) == paths[int(np.argmin(sums))]


@pytest.mark.parametrize("change", [binary_dilation, binary_erosion])
def test_on_phantoms_the_width_at_edges_is_nearer_to_the_true_one_than_that_of_masks_of_wrong_size(change):
    errors = []
    for index in range(2):
        wrist = make_wrist(21, index, PLAIN)
        masks = unpack_masks(wrist.bones)
        for pairs in SITES.values():
            pair = masks[list(pairs[0])]
            wrong = joint_space(*map(change, pair), wrist.spacing_mm, wrist.image[0])
            true = joint_space(*pair, wrist.spacing_mm)
            errors.append((abs(wrong.mean_at_edges - true.mean), abs(wrong.mean - true.mean)))
    at_edges, outlines = np.mean(errors, 0)
    assert at_edges < 0.6 * outlines and outlines > 0.2


def test_a_width_does_not_depend_on_the_size_of_the_radiograph():
    wrist = make_wrist(21, 0, PLAIN)
    masks, pixels = unpack_masks(wrist.bones), wrist.image[0]
    for pair in (SITES["SC"][0], SITES["SR"][0]):
        alone = joint_space(*masks[list(pair)], 1.0, pixels)
        around = joint_space(
            *np.pad(masks[list(pair)], [(0, 0), (90, 70), (50, 210)]), 1.0, np.pad(pixels, ((90, 70), (50, 210)))
        )
        assert astuple(around) == pytest.approx(astuple(alone), abs=1e-6)


def test_bones_are_measured_on_blocks_as_on_pixels(monkeypatch):
    wrist = make_wrist(3, 0, PhantomConfig(size=300))
    masks = unpack_masks(wrist.bones).repeat(4, 1).repeat(4, 2)
    pairs = [masks[list(pair)] for pairs in SITES.values() for pair in pairs]
    fine = [joint_space(*pair, 0.25).mean for pair in pairs]
    monkeypatch.setattr("jointwrist.inference.joint_space.MOST_PIXELS", 100)
    coarse = [joint_space(*pair, 0.25).mean for pair in pairs]
    # blocks of half a pixel of the phantom; with bones cut off at their extremes the mean difference would be 0.046
    assert np.abs(np.subtract(coarse, fine)).mean() < 0.035


def test_without_an_edge_outlines_stay_but_for_the_constant_and_large_bones_are_measured_on_blocks():
    first, second = np.zeros((2, 100, 120), bool)
    first[20:40, 10:110] = second[45:80, 10:110] = True
    margins = joint_margins(first, second)
    still = on_edges(np.zeros((100, 120)), margins)
    assert still.mean_gap == pytest.approx(margins.mean_gap - 2 * INSIDE * margins.scale)
    assert joint_space(first, second).mean_at_edges is None
    pixels = gaussian_filter((first | second).astype(np.float32), 1)
    times = -(-MOST_PIXELS // 50)
    large = [plane.repeat(times, 0).repeat(times, 1) for plane in (first, second)]
    small = joint_space(first, second, 1.0, pixels)
    found = joint_space(*large, 1 / times, pixels.repeat(times, 0).repeat(times, 1))
    assert found.mean_at_edges == pytest.approx(small.mean_at_edges, abs=0.5)
