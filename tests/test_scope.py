"""What lies outside the scope of erosion scoring: drawn where it is asked for, seen, and recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation, label

from jointwrist.anatomy import BONE_NAMES
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.sample import Scope, WristSample, unpack_masks
from jointwrist.phantom import PhantomConfig, make_wrist, write_phantom
from jointwrist.phantom.scope.ankylosis import draw_fused
from jointwrist.phantom.stream import read_wrist, write_wrist

PLAIN = PhantomConfig(size=128, prevalence=0.0)


@pytest.fixture(scope="module")
def plain() -> WristSample:
    return make_wrist(3, 1, PLAIN)


def share_brighter(sample: WristSample, plain: WristSample, where: np.ndarray) -> float:
    return float((sample.image[0] > plain.image[0] + 0.03)[where].mean())


def test_without_any_asked_for_nothing_is_recorded(plain: WristSample) -> None:
    assert plain.scope == Scope((False,) * 14, ())


def test_fused_bones_meet_and_are_not_separable(plain: WristSample) -> None:
    fused = make_wrist(3, 1, replace(PLAIN, ankylosis=1.0))
    bones = np.flatnonzero(fused.scope.not_separable)
    assert len(bones) >= 2 and not fused.scope.findings
    before, after = unpack_masks(plain.healthy), unpack_masks(fused.healthy)
    others = np.flatnonzero(~np.array(fused.scope.not_separable))
    np.testing.assert_array_equal(before[others], after[others])
    assert (after[bones].sum((1, 2)) >= before[bones].sum((1, 2))).all()
    gap = binary_dilation(before[bones].any(0), iterations=1) & ~before[bones].any(0) & after.any(0)
    assert gap.any() and (fused.image - plain.image)[0][gap].mean() > 0
    assert label(after[bones].any(0))[1] == 1


def test_a_fused_block_is_connected_and_drawn_from_neighbours() -> None:
    for seed in range(20):
        pairs = draw_fused(np.random.default_rng(seed))
        block = set(pairs[0])
        for _ in pairs:
            block |= {name for pair in pairs for name in pair if set(pair) & block}
        assert block == {name for pair in pairs for name in pair} and 2 <= len(block) <= 8


def test_metal_is_bright_and_a_cast_lies_beyond_the_skin(plain: WristSample) -> None:
    metal = make_wrist(3, 1, replace(PLAIN, implants=1.0))
    cast = make_wrist(3, 1, replace(PLAIN, casts=1.0))
    assert metal.scope.findings == ("implant",) and cast.scope.findings == ("cast",)
    for sample in (metal, cast):
        np.testing.assert_array_equal(sample.bones, plain.bones)
    assert metal.image.max() >= plain.image.max()
    assert share_brighter(metal, plain, np.ones((128, 128), bool)) > 0.005
    air = plain.image[0] < 0.1
    assert share_brighter(cast, plain, air) > 0.05


def test_growth_plates_are_dark_bands_across_radius_and_ulna(plain: WristSample) -> None:
    child = make_wrist(3, 1, replace(PLAIN, growth_plates=1.0))
    assert child.scope.findings == ("growth plate",)
    darker = child.image[0] < plain.image[0] - 0.05
    for name in ("DistalRadius", "DistalUlna"):
        assert darker[unpack_masks(plain.bones)[BONE_NAMES.index(name)]].mean() > 0.01
    np.testing.assert_array_equal(child.bones, plain.bones)


def test_the_scope_is_written_and_read_back(tmp_path) -> None:
    config = PhantomConfig(ankylosis=0.7, implants=0.5)
    write_phantom(tmp_path, 2, 64, 5, config, workers=1)
    made = {sample.identifier: sample for sample in (make_wrist(5, k, replace(config, size=64)) for k in range(2))}
    for case in RamW600.open(tmp_path).cases:
        assert load_sample(case).scope == made[case.identifier].scope
    sample = next(iter(made.values()))
    write_wrist(tmp_path / "kept.npz", sample)
    assert read_wrist(tmp_path / "kept.npz").scope == sample.scope
