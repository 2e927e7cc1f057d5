from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from jointwrist.anatomy import BONES, JOINTS, NUM_BONES, OVERLAP_PAIRS, bone_index
from jointwrist.data.sample import WristSample, mirror, unpack_masks
from jointwrist.errors import DataError
from jointwrist.phantom import PhantomConfig, make_wrist, write_phantom
from jointwrist.phantom.atlas import load_atlas
from jointwrist.phantom.bone_shape import Body, build_bodies, patient_harmonics
from jointwrist.phantom.cohort import cohort_entry
from jointwrist.phantom.pose import FINGERS, draw_pose, malaligned, pose_bodies
from jointwrist.phantom.relief import broaden, draw_relief
from jointwrist.phantom.shaft import shaft_frame
from jointwrist.phantom.soft_tissue import soft_tissue
from jointwrist.phantom.strands import draw_strands, strand_thickness

SMALL = PhantomConfig(size=128)
ERODED = replace(SMALL, prevalence=0.5)


@pytest.fixture(scope="module")
def cohort() -> list[WristSample]:
    return [make_wrist(3, index, ERODED) for index in range(24)]


def assert_same(first: WristSample, second: WristSample) -> None:
    assert (first.identifier, first.spacing_mm) == (second.identifier, second.spacing_mm)
    for name in ("image", "bones", "scores", "eroded", "healthy", "boxes"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


def test_types_and_ranges(cohort: list[WristSample]) -> None:
    for sample in cohort:
        assert sample.image.shape == (1, 128, 128) and sample.image.dtype == np.float32
        assert 0 <= sample.image.min() < sample.image.max() <= 1
        assert sample.bones.dtype == sample.healthy.dtype == np.uint16 and sample.eroded.dtype == np.uint8
        assert sample.bones.max() < 1 << NUM_BONES
        assert sample.scores.shape == (6,) and 0 <= sample.scores.min() and sample.scores.max() <= 5
        assert not sample.mirrored and sample.identifier.endswith(sample.side)
        assert (sample.boxes[:, :2] < sample.boxes[:, 2:]).all()


def test_wrist_depends_on_seed_and_index_alone(cohort: list[WristSample]) -> None:
    for index in (17, 4):
        assert_same(make_wrist(3, index, ERODED), cohort[index])
    assert not np.array_equal(make_wrist(4, 4, ERODED).image, cohort[4].image)


def test_every_bone_is_there_and_neighbours_overlap(cohort: list[WristSample]) -> None:
    masks = np.stack([unpack_masks(sample.healthy) for sample in cohort])
    assert masks.any((2, 3)).mean() > 0.99
    shared = [(masks[:, a] & masks[:, b]).any((1, 2)).mean() for a, b in OVERLAP_PAIRS]
    assert min(shared) > 0.1 and np.mean(shared) > 0.6


def test_erosion_lies_in_its_bone_and_explains_the_mask(cohort: list[WristSample]) -> None:
    for sample in cohort:
        bones, healthy = unpack_masks(sample.bones), unpack_masks(sample.healthy)
        eroded = unpack_masks(sample.eroded, 6)
        explained = np.zeros_like(bones)
        for joint in JOINTS:
            assert not (eroded[joint.index] & ~healthy[joint.bone]).any()
            explained[joint.bone] = eroded[joint.index]
        assert not (bones & ~healthy).any()
        assert not (healthy & ~bones & ~explained).any()


def test_score_zero_has_no_erosion_and_area_grows_with_the_score(cohort: list[WristSample]) -> None:
    areas: dict[int, list[float]] = {}
    for sample in cohort:
        eroded = unpack_masks(sample.eroded, 6)
        for joint in JOINTS:
            area = eroded[joint.index].sum() * sample.spacing_mm**2
            areas.setdefault(int(sample.scores[joint.index]), []).append(area)
    assert max(areas[0]) == 0
    assert min(min(values) for score, values in areas.items() if score) > 0
    assert np.mean(areas[1]) < np.mean(areas[2]) < np.mean(areas[3] + areas.get(4, []))


def test_prevalence_is_the_one_asked_for() -> None:
    scores = np.array([make_wrist(1, index, replace(ERODED, size=32, prevalence=0.3)).scores for index in range(120)])
    assert abs((scores > 0).mean() - 0.3) < 0.09
    assert not make_wrist(1, 0, replace(ERODED, size=32, prevalence=0.0)).eroded.any()


def test_osteopenia_takes_bone_and_changes_nothing_else(cohort: list[WristSample]) -> None:
    for index in range(4):
        thin = make_wrist(3, index, replace(ERODED, osteopenia=0.95))
        dense = cohort[index]
        for name in ("bones", "scores", "eroded", "healthy", "boxes"):
            np.testing.assert_array_equal(getattr(thin, name), getattr(dense, name))
        assert np.abs(thin.image - dense.image)[0][dense.bones > 0].mean() > 0.01
        assert_same(thin, make_wrist(3, index, replace(ERODED, osteopenia=0.95)))


def test_relief_changes_metacarpals_and_ulna_and_hardly_anything_else(cohort: list[WristSample]) -> None:
    dice = np.zeros((8, NUM_BONES))
    for index in range(8):
        rough, smooth = make_wrist(3, index, replace(ERODED, relief=1.0)), cohort[index]
        assert (rough.identifier, rough.side, rough.spacing_mm) == (smooth.identifier, smooth.side, smooth.spacing_mm)
        assert not (rough.bones & ~rough.healthy).any()
        assert_same(rough, make_wrist(3, index, replace(ERODED, relief=1.0)))
        a, b = unpack_masks(rough.healthy), unpack_masks(smooth.healthy)
        dice[index] = 2 * (a & b).sum((1, 2)) / (a.sum((1, 2)) + b.sum((1, 2)))
    moved = {BONES[bone].name for bone in np.flatnonzero(dice.mean(0) < 0.93)}
    assert "Metacarpal5th" in moved and all(name.startswith("Metacarpal") for name in moved)


@pytest.fixture(scope="module")
def bodies() -> list[Body]:
    rng = np.random.default_rng(0)
    return build_bodies(patient_harmonics(rng, 1.0), rng, 3, 1.0)


def test_a_process_begins_in_its_bone_and_most_reach_beyond(bodies: list[Body]) -> None:
    by_name = {body.name: body for body in bodies}
    beyond = []
    for process in draw_relief(bodies, 1.0, np.random.default_rng(1)):
        bone = by_name[process.group]
        assert process.channel == bone.channel
        inside = ConvexHull(bone.points).equations @ np.c_[process.points, np.ones(len(process.points))].T < 1e-6
        share = inside.all(0).mean()
        assert share > 0.02, bone.name
        beyond.append(share < 1)
    assert np.mean(beyond) > 0.6
    assert not draw_relief(bodies, 0.0, np.random.default_rng(1))


def test_pads_and_tendons_thicken_the_soft_tissue_in_places_and_planes_of_fat_thin_it(bodies: list[Body]) -> None:
    placed = pose_bodies(bodies, draw_pose(np.random.default_rng(4), 1.0, 1.0, 0.0, 1.0), 100.0)
    none, strands = (draw_strands(placed, strength, 1.0, np.random.default_rng(5)) for strength in (0.0, 1.0))
    assert none.shape == (0, 7) and strands.shape == (12, 7)
    pads, fat = strands[:5], strands[strands[:, 6] < 0]
    assert (pads[:, 6] > 0).all() and len(fat) == 3
    plain, padded, thinned = (
        soft_tissue(placed, np.random.default_rng(6), 128, 100 / 128, 1.0, rows) for rows in (none, pads, fat)
    )
    added, taken = padded - plain, plain - thinned
    assert added.min() > -1e-6 and added.max() > 0.02 * plain.max()
    assert 0.01 < (added > 1e-4).mean() < 0.5
    assert taken.min() > -1e-6 and taken.max() > 0.002 * plain.max()
    assert 0.001 < (taken > 1e-4).mean() < 0.1


def test_a_strand_is_a_tapered_cylinder_with_round_ends() -> None:
    size, spacing = 200, 0.25
    added = strand_thickness(np.array([[15.0, 25.0, 35.0, 25.0, 4.0, 2.0, 3.0]]), size, spacing)
    y, x = (np.mgrid[:size, :size] + 0.5) * spacing
    t = np.clip((x - 15) / 20, 0, 1)
    assert ((added > 0) == (np.hypot(x - 15 - 20 * t, y - 25) < 4 - 2 * t)).mean() > 0.999
    assert abs(added.max() - 3.0) < 0.01
    area = 20 * (4 + 2) + np.pi * (4**2 + 2**2) / 2
    assert abs((added > 0).sum() * spacing**2 - area) < 0.02 * area
    assert not strand_thickness(np.zeros((0, 7)), size, spacing).any()


def test_a_broader_metacarpal_is_stretched_across_alone(bodies: list[Body]) -> None:
    for body in bodies:
        wide = broaden(body, 1.0, np.random.default_rng(2))
        if not body.name.startswith("Metacarpal"):
            assert wide is body
            continue
        across, depth = shaft_frame(body.axis)
        for axis in (body.axis, depth):
            np.testing.assert_allclose(wide.points @ axis, body.points @ axis, atol=1e-9)
        before, after = (body.points - body.base) @ across, (wide.points - body.base) @ across
        factor = (after / before)[np.abs(before) > 0.5]
        assert 0.85 - 1e-9 <= factor.min() and factor.max() <= (1.9 if body.name == "Metacarpal5th" else 1.35) + 1e-9


def turn_between(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Turn (3, 3) that fits two sets of points best (Kabsch 1976)."""
    u, _, vt = np.linalg.svd((after - after.mean(0)).T @ (before - before.mean(0)))
    return u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt


def test_malaligned_carpal_bones_turn_each_on_its_own_and_the_ulna_about_its_shaft(bodies: list[Body]) -> None:
    rng = np.random.default_rng(7)
    names = load_atlas().names
    angles = {name: [] for name in names}
    for seed in range(12):
        straight = draw_pose(np.random.default_rng(seed), 0.0, 1.0, 0.0, 0.0)
        laid = [pose_bodies(bodies, pose, 100.0) for pose in (straight, malaligned(straight, 8.0, rng))]
        for before, after in zip(*laid, strict=True):
            if before.name == before.group:
                turn = turn_between(before.points[:642], after.points[:642])
                angles[before.name].append(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
                if before.name == "DistalUlna" and angles[before.name][-1] > 5:
                    about = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
                    assert abs(about[1]) > 0.99 * np.linalg.norm(about)
    mean = {name: np.mean(found) for name, found in angles.items()}
    for name in names:
        if name in ("DistalRadius", "Metacarpal1st"):
            assert mean[name] < 1.0, name
        elif name == "DistalUlna":
            assert mean[name] > 12, name
        else:
            assert (3 if name in FINGERS else 7) < mean[name] < 18, name


def test_malalignment_changes_no_other_draw(cohort: list[WristSample]) -> None:
    turned = make_wrist(3, 4, replace(ERODED, malalignment=8.0))
    for name in ("identifier", "side", "spacing_mm"):
        assert getattr(turned, name) == getattr(cohort[4], name)
    a, b = (unpack_masks(sample.healthy)[bone_index("DistalRadius")] for sample in (turned, cohort[4]))
    assert 2 * (a & b).sum() / (a.sum() + b.sum()) > 0.97
    assert not np.array_equal(turned.bones, cohort[4].bones)
    assert_same(turned, make_wrist(3, 4, replace(ERODED, malalignment=8.0)))


def test_off_centre_moves_the_wrist_and_not_its_bones(cohort: list[WristSample]) -> None:
    def capitates(off_centre: float) -> np.ndarray:
        config = replace(SMALL, off_centre=off_centre)
        masks = [unpack_masks(make_wrist(3, index, config).healthy)[0] for index in range(16)]
        return np.array([np.argwhere(mask).mean(0) for mask in masks])

    usual, wide = capitates(1.0).std(0), capitates(2.0).std(0)
    assert (wide > 1.4 * usual).all()


def test_left_hand_is_a_mirrored_right_hand(cohort: list[WristSample]) -> None:
    for sample in cohort:
        right = sample if sample.side == "R" else mirror(sample)
        centre = [np.argwhere(mask).mean(0)[1] for mask in unpack_masks(right.healthy)]
        assert centre[9] < centre[11] < centre[13], "from the first to the fifth metacarpal"
        assert centre[1] < centre[2], "radius before ulna"


def test_cohort_fills_every_split_of_both_tasks_by_patient() -> None:
    entries = [cohort_entry(index) for index in range(9)]
    for task in ("has_masks", "has_scores"):
        assert {entry.split for entry in entries if getattr(entry, task)} == {"train", "val", "test"}
    entries = [cohort_entry(index) for index in range(1048)]
    assert len({entry.identifier for entry in entries}) == 1048
    assert len({(entry.patient, entry.split) for entry in entries}) == len({entry.patient for entry in entries})
    both = np.mean([entry.has_masks and entry.has_scores for entry in entries])
    masks_only = np.mean([not entry.has_scores for entry in entries])
    assert abs(both - 370 / 1048) < 0.03 and abs(masks_only - 248 / 1048) < 0.03


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_release_layout_is_the_same_for_any_number_of_workers(tmp_path: Path) -> None:
    small = PhantomConfig(prevalence=0.5)
    first, second = (write_phantom(tmp_path / name, 9, 64, 5, small, workers) for name, workers in (("a", 1), ("b", 2)))
    written, again = files(first), files(second)
    assert {k: v for k, v in written.items() if k != "Metadata.xlsx"} == {
        k: v for k, v in again.items() if k != "Metadata.xlsx"
    }
    scores = json.loads(written["SvdHBEScoreClassification/JointBE_SvdH_GT.json"])
    assert all(len(row["joints"]) == 6 for row in scores)
    coco = json.loads(written["JointLocationDetection/Joints.coco.json"])
    assert len(coco["annotations"]) == 6 * len(coco["images"]) == 6 * len(scores)
    for index in range(9):
        entry = cohort_entry(index)
        mask = first / "BoneSegmentation" / "masks" / entry.split / f"{entry.identifier}.npy"
        assert mask.exists() == entry.has_masks
        assert (first / "BoneSegmentation" / "images" / f"{entry.identifier}.bmp").exists() == entry.has_masks
        crops = first / "SvdHBEScoreClassification" / entry.split / entry.identifier
        assert len(list(crops.glob("*.bmp"))) == (6 if entry.has_scores else 0)
        if entry.has_masks:
            masks = np.load(mask, allow_pickle=False)
            assert masks.shape == (14, 64, 64) and set(np.unique(masks)) <= {0, 1}
        with np.load(first / "PhantomTruth" / f"{entry.identifier}.npz", allow_pickle=False) as truth:
            assert truth["eroded"].dtype == np.uint8 and truth["healthy"].dtype == np.uint16


def test_a_smaller_phantom_does_not_take_the_scores_of_a_larger_one(tmp_path: Path) -> None:
    write_phantom(tmp_path, 5, 64, 5, workers=1)
    before = files(tmp_path)
    with pytest.raises(DataError, match="holds 5 wrists, more than 3; ask for 5"):
        write_phantom(tmp_path, 3, 64, 5, workers=1)
    assert files(tmp_path) == before


@pytest.mark.parametrize("name", ["BoneSegmentation/images/a.bmp", "Metadata.xlsx", "README.md"])
def test_a_phantom_is_not_written_over_something_else(name, tmp_path: Path) -> None:
    """Such as a dataset, whose scores it would replace, or the folder of a project."""
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("mine")
    with pytest.raises(DataError, match=f"{name.split('/')[0]}: is of no phantom, and would be written over"):
        write_phantom(tmp_path, 3, 64, 5, workers=1)
    assert files(tmp_path) == {name: b"mine"}


def test_writing_goes_on_where_it_stopped_and_refuses_another_recipe(tmp_path: Path) -> None:
    write_phantom(tmp_path, 3, 64, 5, workers=1)
    kept = files(tmp_path)
    write_phantom(tmp_path, 5, 64, 5, workers=1)
    now = files(tmp_path)
    assert all(now[name] == data for name, data in kept.items() if name.endswith((".bmp", ".npy", ".npz")))
    assert len(json.loads(now["SvdHBEScoreClassification/JointBE_SvdH_GT.json"])) == 4
    with pytest.raises(DataError, match="another phantom"):
        write_phantom(tmp_path, 5, 64, 6, workers=1)
    path = tmp_path / "PhantomTruth" / "phantom.json"
    recipe = json.loads(path.read_text())
    del recipe["osteopenia"]  # as an earlier version wrote it
    path.write_text(json.dumps(recipe))
    write_phantom(tmp_path, 5, 64, 5, workers=1)
    with pytest.raises(DataError, match="another phantom"):
        write_phantom(tmp_path, 5, 64, 5, config=PhantomConfig(osteopenia=0.5), workers=1)


@pytest.mark.parametrize(
    "wrong",
    [{"prevalence": 1.5}, {"malalignment": -1.0}, {"size": 8}, {"severity": (1, 1)}, {"field_of_view": (90, 80)}],
)
def test_config_refuses_what_no_wrist_can_have(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PhantomConfig(**wrong)


def test_a_bone_wholly_beyond_the_frame_is_sound_and_keeps_a_box() -> None:
    wide = PhantomConfig(size=64, prevalence=0.3, variation=1.25, field_of_view=(72.0, 120.0))
    sample = make_wrist(20261123, 10327, wide)
    lost = [joint.index for joint in JOINTS if not unpack_masks(sample.bones)[joint.bone].any()]
    assert lost and (sample.scores[lost] == 0).all()
    assert ((sample.boxes[:, 2:] - sample.boxes[:, :2]) > 2).all()
