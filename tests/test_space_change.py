"""The change of a joint space found from grey values is that by which two bones were moved."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates, spline_filter

from jointwrist.anatomy import bone_index
from jointwrist.config import ConfigError
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import unpack_masks
from jointwrist.inference.comparison import compare
from jointwrist.inference.followup import visit_pixels
from jointwrist.inference.followup.registration import Similarity
from jointwrist.inference.joint_margins import joint_margins
from jointwrist.inference.joint_space import SITES, SPACES, joint_space, site_of
from jointwrist.inference.placement import Placement
from jointwrist.inference.result import WristResult
from jointwrist.inference.space_change import joint_space_change
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.narrowing import SITES as NARROWED
from jointwrist.phantom.visit import Visit

PLAIN = PhantomConfig(size=300, prevalence=0, cyst_rate=0, notch_rate=0, osteophyte_rate=0)


def two_bones(view: Similarity, gap: float, size: int = 160, grey=(0.8, 0.1), noise: float = 0.0):
    """Radiograph of two textured bones `gap` apart, seen through a similarity from the first view, and their masks."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[:size, :size].astype(float)
    points = view.inverse(np.stack([x.ravel(), y.ravel()], 1))
    image, masks = np.full((size, size), 0.2), []
    for left, shift in ((True, 0.0), (False, gap)):
        here = points - (shift, 0)
        texture = spline_filter(gaussian_filter(rng.standard_normal((160, 160)), 2) * 4)
        inside = (np.abs(here[:, 1] - 80) < 40) & (
            (here[:, 0] > 25) & (here[:, 0] < 75) if left else (here[:, 0] > 78) & (here[:, 0] < 128)
        )
        grain = map_coordinates(texture, here[:, ::-1].T, order=3, prefilter=False, mode="nearest")
        mask = inside.reshape(size, size)
        image += gaussian_filter(mask.astype(float), 0.8) * (0.35 + 0.1 * grain.reshape(size, size))
        masks.append(mask)
    image = grey[0] * image + grey[1] + noise * np.random.default_rng(9).standard_normal(image.shape)
    return image, np.stack(masks)


@pytest.mark.parametrize(
    ("view", "gap", "grey", "noise"),
    [
        (Similarity(1.0, 0.0, np.array([0.4, -0.7])), -1.3, (0.8, 0.1), 0.0),
        (Similarity(1.0, 0.06, np.array([4.0, -5.0])), 2.6, (0.5, 0.3), 0.01),
        (Similarity(0.8, -0.04, np.array([9.0, 6.0])), 1.7, (-0.7, 0.9), 0.005),
    ],
)
def test_a_known_change_is_found_whatever_place_exposure_and_pixel_size(view, gap, grey, noise):
    first = two_bones(Similarity(1.0, 0.0, np.zeros(2)), 0.0)
    second = two_bones(view, gap, grey=grey, noise=noise)
    found = joint_space_change(*zip(first, second, strict=True), spacing=(0.2, 0.2 / view.scale))
    assert found.change == pytest.approx(0.2 * gap, abs=0.012)
    assert 0 < found.error < 0.03
    assert found.correlation > 0.9
    back = joint_space_change(*zip(second, first, strict=True), spacing=(0.2 / view.scale, 0.2))
    assert back.change == pytest.approx(-found.change, abs=0.01)


def test_bones_without_a_match_have_no_change():
    image, masks = two_bones(Similarity(1.0, 0.0, np.zeros(2)), 0.0)
    flat = np.full_like(image, 0.5)
    assert joint_space_change((image, flat), (masks, masks)) is None
    other = np.random.default_rng(3).standard_normal(image.shape)
    start = Similarity(1.0, 0.0, np.zeros(2))
    assert joint_space_change((image, other), (masks, masks), start=start) is None


def test_two_radiographs_of_a_phantom_show_by_how_much_its_joint_narrowed():
    amount, radius, scaphoid = 0.8, bone_index("DistalRadius"), bone_index("Scaphoid")
    before = make_wrist(4, 1, PLAIN)
    after = make_wrist(4, 1, PLAIN, Visit(seed=1, rotation=4.0, shift=(2.0, -3.0), narrowing={"SR": amount}))
    pair = [unpack_masks(wrist.bones)[[scaphoid, radius]] for wrist in (before, after)]
    found = joint_space_change([before.image[0], after.image[0]], pair, (before.spacing_mm,) * 2)
    assert found.change == pytest.approx(-amount, abs=0.15)
    widths = [joint_space(*masks, before.spacing_mm) for masks in pair]
    assert widths[1].mean - widths[0].mean == pytest.approx(-amount, abs=0.2)


def test_a_visit_without_changes_is_the_same_radiograph_and_narrowing_moves_the_named_bones_alone():
    first, same = make_wrist(4, 1, PLAIN), make_wrist(4, 1, PLAIN, Visit())
    np.testing.assert_array_equal(first.image, same.image)
    # several sesamoids and processes have one name
    detailed = PhantomConfig(size=200, relief=1.0)
    np.testing.assert_array_equal(make_wrist(902, 0, detailed).image, make_wrist(902, 0, detailed, Visit()).image)
    narrowed = make_wrist(4, 1, PLAIN, Visit(narrowing={"CMC5": 1.0}))
    moved = [
        b
        for b, (m, n) in enumerate(zip(*(unpack_masks(w.bones) for w in (first, narrowed)), strict=True))
        if (m != n).any()
    ]
    assert moved == [bone_index("Metacarpal5th")]
    with pytest.raises(ConfigError, match="Knee"):
        Visit(narrowing={"Knee": 1.0})


def test_every_site_has_its_bones_and_can_be_narrowed():
    assert set(SITES) == set(NARROWED)
    assert {site_of(pair[::-1]) for pair in SPACES} == set(SITES)
    assert site_of((0, 1)) is None


def visit(wrist, pixels, masks):
    radiograph = Radiograph(pixels, spacing_mm=wrist.spacing_mm, side=wrist.side)
    blank = np.full(6, np.nan, np.float32)
    return WristResult(Placement(radiograph), masks, blank, np.full(6, -1), np.zeros((6, 4), np.float32), model="none")


def test_a_result_states_the_widths_of_its_joint_spaces():
    wrist = make_wrist(4, 1, PLAIN)
    masks = unpack_masks(wrist.bones)
    result = visit(wrist, wrist.image[0], masks)
    rows = result.to_dict()["joint_spaces"]
    assert [(row["site"], row["unit"]) for row in rows] == [(site_of(pair), "mm") for pair in SPACES]
    wanted = joint_space(masks[6], masks[1], wrist.spacing_mm)
    assert rows[0]["mean"] == pytest.approx(wanted.mean, abs=0.001)
    wanted = joint_space(masks[6], masks[1], wrist.spacing_mm, wrist.image[0])
    assert rows[0]["mean_at_edges"] == pytest.approx(wanted.mean_at_edges, abs=0.001)
    without = masks.copy()
    without[6] = False
    assert len(replace(result, masks=without).to_dict()["joint_spaces"]) == 5


def test_width_area_and_overlap_of_two_parallel_edges():
    first, second = np.zeros((2, 100, 120), bool)
    first[20:40, 10:110] = True
    second[37:80, 10:110] = True
    width = joint_space(first, second, 0.1)
    assert width.overlap == pytest.approx(3.0)
    assert width.minimum == pytest.approx(-0.3, abs=0.01)
    second[:46] = False
    width = joint_space(first, second, 0.1)
    length = 0.1 * 0.5 * np.sqrt(20 * 100)
    assert (width.overlap, width.area) == (0, pytest.approx(0.6 * length, rel=0.02))
    np.testing.assert_allclose(joint_margins(first, second).direction, (0, 1), atol=0.02)


@pytest.mark.parametrize("angle", [0.4, 1.1, 2.5])
@pytest.mark.parametrize("gap", [-14.0, -3.0, 4.0])
def test_the_width_between_two_circles_is_that_of_geometry(angle, gap):
    radii, (y, x) = (36.0, 50.0), np.mgrid[:240, :240]
    way = (sum(radii) + gap) / 2 * np.array([np.cos(angle), np.sin(angle)])
    masks = [
        np.hypot(x - 120 - side * way[0], y - 120 - side * way[1]) < r for r, side in zip(radii, (-1, 1), strict=True)
    ]
    half = 0.25 * np.sqrt(np.pi) * radii[0]
    along = np.linspace(-half, half, 501)
    wanted = sum(radii) + gap - sum(np.sqrt(radius**2 - along**2) for radius in radii)
    width, margins = joint_space(*masks, 0.1), joint_margins(*masks)
    assert width.mean == pytest.approx(0.1 * wanted.mean(), abs=0.015)
    assert width.minimum == pytest.approx(0.1 * gap, abs=0.02)
    assert width.area == pytest.approx(width.mean * 0.2 * half, rel=0.02)
    np.testing.assert_allclose(margins.direction, way / np.linalg.norm(way), atol=0.03)
    np.testing.assert_allclose(margins.points(margins.first)[margins.weights > 0].mean(0), margins.centre, atol=0.3)
    back = joint_space(*masks[::-1], 0.1)
    assert back.mean == pytest.approx(width.mean, abs=0.002)


def test_a_lip_at_the_side_of_a_joint_does_not_move_its_width():
    first, second = np.zeros((2, 120, 140), bool)
    first[20:60, 10:110] = True
    second[66:110, 10:110] = True
    plain = joint_space(first, second)
    second[50:66, 10:16] = True
    assert joint_space(first, second).mean == pytest.approx(plain.mean, abs=0.4)


def test_any_two_masks_have_a_width_or_none():
    """Scraps, specks, frames and halves of the image, as networks without training predict them."""
    rng = np.random.default_rng(2)
    kinds = [gaussian_filter(rng.standard_normal((60, 60)), width) > 0 for width in (0.5, 2, 4, 8) for _ in range(4)]
    kinds += [np.eye(60, dtype=bool), np.ones((60, 60), bool), np.arange(60)[:, None] < np.full(60, 30)]
    speck = np.zeros((60, 60), bool)
    speck[30, 30] = True
    kinds += [speck, ~speck, np.pad(np.zeros((58, 58), bool), 1, constant_values=True)]
    for first in kinds:
        for second in kinds:
            width = joint_space(first, second)
            assert width is None or np.isfinite([width.minimum, width.mean, width.area, width.overlap]).all()


def test_bones_of_very_many_pixels_are_measured_on_larger_ones():
    masks = unpack_masks(make_wrist(4, 1, PLAIN).bones)
    wanted = joint_space(masks[6], masks[1], 0.25)
    fine = [np.kron(mask, np.ones((24, 24), bool)) for mask in (masks[6], masks[1])]
    found = joint_space(*fine, 0.25 / 24)
    assert found.mean == pytest.approx(wanted.mean, abs=0.1) and found.overlap == pytest.approx(wanted.overlap, rel=0.1)


def test_visits_of_very_many_pixels_are_matched_on_larger_ones():
    fine, coarse = Similarity(1.1, 0.05, np.array([3.0, -2.0])), (4, 3)
    moved = fine.on_pixels(*coarse)
    points = np.random.default_rng(0).uniform(0, 100, (9, 2))
    centres = 3 * points + 1  # a pixel of 3 x 3 has its centre at the second one
    np.testing.assert_allclose(4 * moved(points) + 1.5, fine(centres))


def test_visits_of_very_many_pixels_have_the_areas_and_motion_of_fewer(monkeypatch):
    """Compared on pixels of 2 x 2, with a row and a column left over."""
    wrist = make_wrist(4, 1, replace(PLAIN, size=301))
    masks, motion = unpack_masks(wrist.bones), Similarity(1.0, 0.03, np.array([8.0, -5.0]))
    later = np.stack([motion.inverse.warp(mask, (301, 301)) > 0.5 for mask in masks])
    results = visit(wrist, wrist.image[0], masks), visit(wrist, motion.inverse.warp(wrist.image[0], (301, 301)), later)
    fine = compare(*results, SPACES[:3])
    monkeypatch.setattr(visit_pixels, "MOST_PIXELS", 200**2)
    coarse = compare(*results, SPACES[:3])
    middle = np.array([[150.0, 150.0]])
    np.testing.assert_allclose(coarse.registration(middle), motion(middle), atol=1.0)
    assert coarse.registration.angle == pytest.approx(0.03, abs=0.004)
    assert coarse.registration.points[0] < fine.registration.points[0]
    np.testing.assert_allclose(coarse.areas, fine.areas, rtol=0.02)
    assert coarse.spaces == fine.spaces
    for change in coarse.changes.values():
        assert change is None or change.change == pytest.approx(0, abs=0.1)


def test_a_sum_of_what_is_resampled_needs_only_its_surroundings():
    mask = np.zeros((90, 70), np.float32)
    mask[20:41, 30:52] = np.random.default_rng(3).uniform(0, 1, (21, 22))
    for shift in ((4.3, -7.6), (-35.2, 2.0), (300.0, 0.0)):
        motion = Similarity(1.2, 0.7, np.array(shift))
        assert motion.warp_sum(mask, (80, 100)) == pytest.approx(motion.warp(mask, (80, 100)).sum(), abs=1e-3)
