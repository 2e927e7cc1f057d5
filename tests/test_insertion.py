"""Erosions inserted into radiographs; phantoms, whose bones and scale are known, stand for real radiographs."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, distance_transform_edt, gaussian_filter

import jointwrist.insertion.study_families as study
import jointwrist.insertion.training_families as training
from jointwrist.anatomy import JOINTS, NUM_JOINTS
from jointwrist.config import ConfigError
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.insertion.insert import STUDY_FAMILIES, TRAINING_FAMILIES, insert_control, insert_erosion
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.insertion.site import joint_contour
from jointwrist.ops.wrist_scale import pixel_mm_of
from jointwrist.phantom import PhantomConfig, make_wrist

FAMILIES = TRAINING_FAMILIES + STUDY_FAMILIES


@pytest.fixture(scope="module")
def wrists():
    return [make_wrist(11, index, PhantomConfig(size=384, prevalence=0.0)) for index in range(2)]


@pytest.fixture(scope="module")
def film(wrists):
    return MaskedRadiograph.of(wrists[0].image[0], unpack_masks(wrists[0].bones), wrists[0].spacing_mm)


@pytest.fixture(scope="module")
def insertions(film):
    made = {
        (family, joint): insert_erosion(film, joint, family, 2.0, seed=joint)
        for family in FAMILIES
        for joint in range(NUM_JOINTS)
    }
    return {key: insertion for key, insertion in made.items() if insertion is not None}


def test_the_scale_is_that_of_the_wrist(wrists):
    for wrist in wrists:
        assert pixel_mm_of(unpack_masks(wrist.bones)) == pytest.approx(wrist.spacing_mm, rel=0.2)
    with pytest.raises(DataError, match="state the pixel spacing"):
        pixel_mm_of(np.zeros((14, 8, 8), bool))


def test_nearly_every_joint_takes_every_family(insertions):
    assert len(insertions) >= 0.8 * len(FAMILIES) * NUM_JOINTS
    assert {family for family, _ in insertions} == set(FAMILIES)


def test_only_the_bone_and_its_rim_change(film, insertions):
    for (_, joint), insertion in insertions.items():
        own = film.masks[JOINTS[joint].bone]
        changed = np.abs(insertion.pixels - film.pixels) > 0.02
        assert changed.any() and not (changed & (distance_transform_edt(~own) * film.pixel_mm > 1.5)).any()
        assert (insertion.eroded <= own).all() and (insertion.bone <= own).all()
        # what is open is eroded too
        assert ((own & ~insertion.bone) <= insertion.eroded).all()


def test_an_erosion_is_as_large_as_it_says_and_lies_at_the_visible_contour(film, insertions):
    for (_, joint), insertion in insertions.items():
        area = insertion.eroded.sum() * film.pixel_mm**2
        assert 0.25 * np.pi * 2**2 < area < 1.6 * np.pi * 2**2 or film.masks[JOINTS[joint].bone].sum() < area
        outside = ~film.masks[JOINTS[joint].bone]
        assert (insertion.eroded & (distance_transform_edt(~outside) * film.pixel_mm < 1.0)).any()
        contour, inward = joint_contour(film, joint)
        np.testing.assert_allclose(np.linalg.norm(inward, axis=1), 1, atol=1e-3)
        distance = np.hypot(*(contour + 0.5 - np.array(insertion.centre)[::-1]).T)
        assert distance.min() < 1.0


def test_the_grey_falls_to_that_of_soft_tissue_and_keeps_its_noise(film, insertions):
    beside = np.percentile(film.pixels[film.soft_region], 1)
    for insertion in insertions.values():
        assert insertion.contrast > 0.01
        assert insertion.pixels[insertion.eroded].min() > beside - 0.1


def test_larger_erosions_take_more(film):
    for family in FAMILIES:
        sizes = [insert_erosion(film, 4, family, radius, 3) for radius in (1.0, 2.0, 3.0)]
        areas = [size.eroded.sum() for size in sizes]
        assert areas == sorted(areas) and areas[0] < 0.5 * areas[2]


def test_the_same_seed_gives_the_same_erosion(film):
    first, again, other = (insert_erosion(film, 4, "ragged", 2.0, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.pixels, again.pixels)
    assert (first.pixels != other.pixels).any()


def test_an_erosion_does_not_depend_on_those_before_it(film, insertions, wrists):
    fresh = MaskedRadiograph.of(wrists[0].image[0], unpack_masks(wrists[0].bones), wrists[0].spacing_mm)
    for (family, joint), before in insertions.items():
        for radiograph in (film, fresh):
            insertion = insert_erosion(radiograph, joint, family, 2.0, seed=joint)
            np.testing.assert_array_equal(insertion.pixels, before.pixels)
            np.testing.assert_array_equal(insertion.bone, before.bone)


def test_a_control_makes_the_same_change_where_no_bone_is(film, insertions):
    found = [(insertion, insert_control(film, insertion)) for insertion in insertions.values()]
    found = [(insertion, control) for insertion, control in found if control is not None]
    assert len(found) > 0.6 * len(insertions)
    for insertion, control in found:
        assert not control.eroded.any()
        change, wanted = film.pixels - control.pixels, film.pixels - insertion.pixels
        assert np.abs(change).sum() == pytest.approx(np.abs(wanted).sum(), rel=0.25)
        near_bone = binary_dilation(film.bone, iterations=2)
        assert np.abs(change[near_bone]).sum() < 0.1 * np.abs(change).sum()


def test_the_sharpness_of_a_film_is_measured(wrists):
    masks = unpack_masks(wrists[0].bones)
    edges = [
        MaskedRadiograph.of(gaussian_filter(wrists[0].image[0], blur), masks, wrists[0].spacing_mm).edge_px
        for blur in (0, 1.0, 1.6)
    ]
    assert edges[0] <= edges[1] < edges[2]


def test_noise_is_drawn_as_the_film_has_it():
    rng = np.random.default_rng(0)
    masks = np.zeros((14, 200, 200), bool)
    masks[0, 80:120, 80:120] = True
    lags = []
    for blur in (0.0, 0.6, 1.0):
        noise = gaussian_filter(rng.standard_normal((200, 200)), blur)
        film = MaskedRadiograph(np.float32(0.4 + 0.5 * masks[0] + 0.02 * noise / noise.std()), masks, 0.2)
        drawn = film.draw_grain((100, 100), rng)
        assert 0.01 < drawn.std() < 0.022
        lags.append((drawn[:, 1:] * drawn[:, :-1]).mean() / drawn.var())
    assert abs(lags[0]) < 0.08 < lags[1] < lags[2]


def test_hidden_or_missing_bones_take_no_erosion(film):
    masks = film.masks.copy()
    masks[JOINTS[3].bone] = False
    assert insert_erosion(MaskedRadiograph(film.pixels, masks, film.pixel_mm), 3, "ragged", 2.0, 0) is None
    masks[JOINTS[3].bone] = film.masks[JOINTS[3].bone]
    masks[0] = True
    assert insert_erosion(MaskedRadiograph(film.pixels, masks, film.pixel_mm), 3, "ragged", 2.0, 0) is None


def test_an_unknown_family_is_named_with_the_known_ones(film):
    with pytest.raises(ConfigError, match=r"'cubist'.*ragged.*undermined"):
        insert_erosion(film, 4, "cubist", 2.0, 0)


def test_families_of_studies_share_no_code_with_those_of_training():
    def names(module) -> set[str]:
        tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
        found = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
        return found - {"annotations"}

    assert not set(TRAINING_FAMILIES) & set(STUDY_FAMILIES)
    assert names(training) & names(study) == {"Site"}
