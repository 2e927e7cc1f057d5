"""Two visits laid over each other: known displacements, areas and gaps are found again."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from dicom_files import make, save
from scipy.ndimage import zoom

from jointwrist.anatomy import bone_index
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.inference.comparison import compare
from jointwrist.inference.followup.registration import REFERENCE_BONES, Similarity, register
from jointwrist.inference.joint_space import joint_space
from jointwrist.inference.placement import Placement
from jointwrist.inference.result import WristResult
from jointwrist.ops.outlines import SignedDistance, outline_points
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.viewer.describe import describe_comparison

pytestmark = pytest.mark.usefixtures("segmented_once")

LUNATE, RADIUS, SCAPHOID = (bone_index(name) for name in ("Lunate", "DistalRadius", "Scaphoid"))


@pytest.fixture(scope="module")
def masks():
    return unpack_masks(make_wrist(seed=3, index=0, config=PhantomConfig(size=300)).bones)


def result(masks, side="R", spacing=None, name="visit_R.png", probabilities=(0.1,) * 6, scores=(0,) * 6):
    radiograph = Radiograph(np.full(masks.shape[1:], 0.5, np.float32), spacing_mm=spacing, side=side, source=Path(name))
    return WristResult(
        Placement(radiograph),
        masks,
        np.array(probabilities, np.float32),
        np.array(scores),
        np.zeros((6, 4), np.float32),
        model="made up",
    )


def moved(masks, motion: Similarity, shape=None):
    """Masks as a radiograph shows them that `motion` brings back."""
    matrix = np.linalg.inv(motion.matrix)
    inverse = Similarity(1 / motion.scale, -motion.angle, -matrix @ motion.shift)
    shape = shape or masks.shape[1:]
    return np.stack([inverse.warp(mask, shape) > 0.5 for mask in masks])


def disk(centre, radius, size=200):
    y, x = np.mgrid[:size, :size]
    return np.hypot(x - centre[0], y - centre[1]) <= radius


def test_outlines_of_a_disk_lie_on_its_circle():
    points = outline_points(disk((100, 90), 40))
    np.testing.assert_allclose(np.hypot(points[:, 0] - 100, points[:, 1] - 90), 40, atol=0.75)
    distance = SignedDistance(disk((100, 90), 40))(np.array([[100.0, 90.0], [150.0, 90.0], [100.0, 60.0]]))
    np.testing.assert_allclose(distance, [-40, 10, -10], atol=0.75)


def test_a_bone_cut_by_the_frame_has_no_outline_along_the_frame():
    points = outline_points(disk((100, 199), 40))
    assert points[:, 1].max() <= 199
    assert (points[:, 1] > 198.5).mean() < 0.05


def test_a_similarity_warps_images_as_it_moves_points():
    motion = Similarity(1.2, 0.3, np.array([12.0, -30.0]))
    warped = motion.warp(disk((90, 110), 20), (200, 200))
    rows, columns = np.nonzero(warped > 0.5)
    np.testing.assert_allclose(motion(np.array([[90.0, 110.0]]))[0], [columns.mean(), rows.mean()], atol=0.1)
    assert (warped > 0.5).sum() == pytest.approx(1.44 * np.pi * 400, rel=0.02)


@pytest.mark.parametrize("known_scale", [True, False])
@pytest.mark.parametrize(
    "motion",
    [
        Similarity(1.0, 0.0, np.array([7.0, -4.0])),
        Similarity(1.0, 0.21, np.array([30.0, -22.0])),
        Similarity(0.8, -0.1, np.array([18.0, 9.0])),
    ],
)
def test_known_motions_are_found(masks, motion, known_scale):
    shape = tuple(round(side / motion.scale) for side in masks.shape[1:])
    second = moved(masks, motion, shape)
    found = register(masks, second, motion.scale if known_scale else None)
    middle = np.array([[shape[1] / 2, shape[0] / 2]])
    np.testing.assert_allclose(found(middle), motion(middle), atol=0.5)
    assert found.angle == pytest.approx(motion.angle, abs=0.004)
    assert found.scale == pytest.approx(motion.scale, rel=0.005)
    assert found.residual < 0.5


def test_one_bone_that_moved_does_not_drag_the_others(masks):
    second = masks.copy()
    thumb_side = REFERENCE_BONES[1]
    second[thumb_side] = np.roll(second[thumb_side], 12, axis=1)
    found = register(masks, second, 1.0)
    middle = np.array([[150.0, 150.0]])
    np.testing.assert_allclose(found(middle), middle, atol=1.5)


def test_points_off_the_first_radiograph_count_neither_for_nor_against_a_place(masks):
    whole = register(masks, masks, 1.0)
    assert whole.points[0] == whole.points[1] > 500
    for motion in (Similarity(1.0, 0.05, np.array([0.0, -60.0])), Similarity(1.0, 0.0, np.array([70.0, 20.0]))):
        # the first radiograph shows a part of what the second does
        second = moved(masks, Similarity(1.0, 0.0, np.array([-90.0, -90.0])), (480, 480))
        found = register(moved(masks, motion), second, 1.0)
        middle = np.array([[240.0, 240.0]])
        back = Similarity(1.0, -motion.angle, np.zeros(2))
        expected = back(middle - 90 - motion.shift)
        np.testing.assert_allclose(found(middle), expected, atol=1.0)
        assert found.residual < 0.5 and found.points[0] < found.points[1]


def test_what_shares_too_little_is_refused(masks):
    first, second = np.zeros_like(masks), np.zeros_like(masks)
    first[:, :, :150], second[:, :, 150:] = masks[:, :, :150], masks[:, :, 150:]
    with pytest.raises(DataError, match=r"fewer than two|too little"):
        register(first[:, 100:], second[:, :200], 1.0)


def test_a_poor_fit_is_reported_and_that_of_a_second_visit_is_not(masks):
    second = moved(masks, Similarity(1.1, 0.1, np.array([5.0, -8.0])))
    wider = np.stack([zoom(mask, (1.0, 1.5), order=0) for mask in masks])
    poor = ["fit each other poorly" in str(compare(result(masks), result(m)).warnings) for m in (second, wider)]
    assert poor == [False, True]


def test_the_masks_of_the_other_hand_are_refused(masks):
    for other in (masks[..., ::-1], moved(masks[..., ::-1], Similarity(1.1, 0.3, np.array([5.0, 9.0])))):
        with pytest.raises(DataError, match="different hands"):
            register(masks, other)
        with pytest.raises(DataError, match="different hands"):
            compare(result(masks), result(other))


def test_radiographs_of_fields_are_compared_within_them(masks):
    """A whole image on which the wrist was found gives what the part of it gives that the command line cuts out."""

    def on_radiograph(inner, left, top, size=420):
        whole = np.zeros((14, size, size), bool)
        whole[:, top : top + 300, left : left + 300] = inner
        placement = replace(result(whole, spacing=0.2).placement, crop=(left, top, left + 300, top + 300))
        boxes = np.tile(np.array([left, top, left + 9, top + 9], np.float32), (6, 1))
        return replace(result(whole, spacing=0.2), placement=placement, boxes=boxes)

    later = moved(masks, Similarity(1.0, 0.04, np.array([40.0, 8.0])))
    cut, found = (
        compare(result(masks, spacing=0.2), result(later, spacing=0.2)),
        compare(on_radiograph(masks, 30, 100), on_radiograph(later, 90, 7)),
    )
    assert found.to_dict() == cut.to_dict() and found.corners == ((30, 100), (90, 7))
    np.testing.assert_array_equal(found.baseline.boxes, np.tile([0, 0, 9, 9], (6, 1)))
    x, y = np.array([120.0, 140.0])
    a, b, c, d, e, f = describe_comparison(found)["matrix"]
    there = cut.registration(np.array([[x, y]]))[0] + [30, 100]
    u, v = x + 90 + 0.5, y + 7 + 0.5  # an SVG's pixels begin at their corner
    np.testing.assert_allclose([a * u + c * v + e - 0.5, b * u + d * v + f - 0.5], there, atol=1e-6)


def test_too_few_bones_are_refused(masks):
    alone = np.zeros_like(masks)
    alone[RADIUS] = masks[RADIUS]
    with pytest.raises(DataError, match="fewer than two"):
        register(masks, alone)


@pytest.mark.parametrize("gap", [-6, 0, 5, 14])
def test_joint_space_of_two_disks_is_their_gap(gap):
    width = joint_space(disk((60, 100), 30), disk((60 + 30 + 35 + gap, 100), 35), spacing=0.2)
    assert width.minimum == pytest.approx(0.2 * gap, abs=0.2)
    assert width.mean >= width.minimum


def test_joint_space_of_two_parallel_edges_is_the_same_all_along():
    first, second = np.zeros((2, 100, 120), bool)
    first[20:40, 10:110] = True
    second[48:80, 10:110] = True
    width = joint_space(first, second)
    assert width.minimum == pytest.approx(8, abs=0.1)
    assert width.mean == pytest.approx(8, abs=0.3)


def test_joint_space_of_a_missing_bone_is_none():
    assert joint_space(disk((60, 100), 30), np.zeros((200, 200), bool)) is None


def test_the_same_visit_twice_shows_no_change(masks):
    same = compare(result(masks, spacing=0.2), result(masks, spacing=0.2))
    assert same.unit == "mm"
    np.testing.assert_allclose(same.areas[:, 0], same.areas[:, 1], rtol=2e-3)
    np.testing.assert_allclose(same.areas[LUNATE, 0], masks[LUNATE].sum() * 0.04, rtol=2e-3)
    for row in same.joint_spaces():
        assert row["minimum_change"] == 0


def test_loss_of_bone_and_a_narrower_space_in_mm_across_pixel_sizes(masks):
    worse = masks.copy()
    worse[LUNATE] = np.roll(worse[LUNATE], 6, axis=0)  # towards the radius by 6 px = 1.2 mm
    rows, columns = np.nonzero(worse[SCAPHOID])
    worse[SCAPHOID] &= ~((np.mgrid[:300, :300][0] > np.median(rows)) & (np.mgrid[:300, :300][1] < np.median(columns)))
    motion = Similarity(1.25, 0.1, np.array([10.0, -6.0]))
    followup = moved(worse, motion, (240, 240))
    change = compare(result(masks, spacing=0.2), result(followup, spacing=0.25))
    areas = {row["name"]: row for row in change.bones()}
    true_loss = 100 * (worse[SCAPHOID].sum() / masks[SCAPHOID].sum() - 1)
    assert areas["Scaphoid"]["change_percent"] == pytest.approx(true_loss, abs=2)
    assert areas["Lunate"]["change_percent"] == pytest.approx(0, abs=2)
    spaces = {tuple(row["between"]): row for row in change.joint_spaces()}
    radiolunate = spaces["Lunate", "DistalRadius"]
    assert radiolunate["minimum_change"] == pytest.approx(-1.2, abs=0.25)
    assert spaces["Hamate", "Metacarpal5th"]["minimum_change"] == pytest.approx(0, abs=0.25)


def test_without_spacing_lengths_are_pixels_of_the_baseline_with_a_note(masks):
    followup = moved(masks, Similarity(1.25, 0.0, np.zeros(2)), (240, 240))
    change = compare(result(masks), result(followup, spacing=0.2))
    assert change.unit == "px"
    assert any("no pixel spacing" in note for note in change.to_dict()["notes"])
    ratios = change.areas[:, 1] / change.areas[:, 0]
    np.testing.assert_allclose(np.nanmedian(ratios), 1, atol=0.02)


def test_area_counts_only_what_both_radiographs_show(masks):
    followup = masks[:, :270]  # the radius is cut higher up
    change = compare(result(masks, spacing=0.2), result(followup, spacing=0.2))
    ratios = change.areas[:, 1] / change.areas[:, 0]
    np.testing.assert_allclose(ratios[np.isfinite(ratios)], 1, atol=0.02)


def test_erosion_changes_by_joint(masks):
    before = result(masks, probabilities=(0.1, 0.2, 0.1, 0.7, 0.1, np.nan), scores=(0, 0, 0, 1, 0, -1))
    after = result(masks, probabilities=(0.1, 0.2, 0.8, 0.9, 0.1, 0.3), scores=(0, 0, 1, 3, 0, 0))
    rows = {row["name"]: row for row in compare(before, after).joints()}
    assert rows["Scaphoid"]["level_change"] == 1
    assert (rows["Lunate"]["level_change"], rows["Lunate"]["followup_score"]) == (2, "3-5")
    assert rows["DistalUlna"]["baseline_score"] is None
    assert "level_change" not in rows["DistalUlna"]


def test_two_hands_are_refused(masks):
    with pytest.raises(DataError, match="left hand"):
        compare(result(masks, side="L"), result(masks))


def test_files_are_json_and_a_picture_with_both_outlines(masks, tmp_path):
    change = compare(result(masks), result(moved(masks, Similarity(1.0, 0.0, np.array([5.0, 0.0])))))
    record, picture = change.save(tmp_path / "out")
    assert json.loads(record.read_text()) == change.to_dict()
    assert picture.read_bytes().startswith(b"\x89PNG")
    pixels = np.asarray(change.plot(300)).reshape(-1, 3).tolist()
    assert [96, 208, 200] in pixels
    assert [255, 140, 80] in pixels


def test_command_compares_two_radiographs(tmp_path, capsys):
    from PIL import Image

    from jointwrist.cli import main

    radiographs = []
    for visit in (1, 2):
        wrist = make_wrist(seed=3, index=0, config=PhantomConfig(size=200))
        radiographs.append(str(tmp_path / f"0001_000{visit}_{wrist.side}.png"))
        Image.fromarray((wrist.image[0] * 255).astype(np.uint8)).save(radiographs[-1])
    out = tmp_path / "out"
    assert main(["compare", *radiographs, "-o", str(out), "--between", "Scaphoid:Lunate"]) == 0
    printed = capsys.readouterr().out
    assert "Scaphoid - Lunate" in printed
    assert "not a medical device" in printed
    assert json.loads((out / "comparison.json").read_text())["joint_spaces"][0]["minimum_change"] in (0, None)
    pixels = json.loads((out / "comparison.json").read_text())
    assert main(["compare", *radiographs, "-o", str(out), "--spacing", "0.4"]) == 0
    assert "narrowest mm" in capsys.readouterr().out
    lengths = json.loads((out / "comparison.json").read_text())
    assert (pixels["unit"], lengths["unit"]) == ("px", "mm")
    for before, after in zip(pixels["bone_areas"], lengths["bone_areas"], strict=True):
        assert after["baseline"] == pytest.approx(0.16 * before["baseline"], rel=1e-4)
    # the same radiograph said to be twice as coarse at the follow-up: everything is twice as long
    assert main(["compare", *radiographs, "-o", str(out), "--spacing", "0.4", "0.8", "--json"]) == 0
    coarse = json.loads(capsys.readouterr().out)
    assert coarse["registration"]["scale"] == 2
    for before, after in zip(lengths["joint_spaces"], coarse["joint_spaces"], strict=True):
        assert before["baseline_mean"] == after["baseline_mean"]
        assert after["followup_mean"] == pytest.approx(2 * before["baseline_mean"], abs=0.01)
    for option, three in (("--spacing", ["0.1"] * 3), ("--window", ["0"] * 3)):
        assert main(["compare", *radiographs, option, *three]) == 2
        assert option in capsys.readouterr().err
    for wrong in ("0", "nan", "0,1"):
        with pytest.raises(SystemExit):
            main(["compare", *radiographs, "--spacing", wrong])
        assert "--spacing" in capsys.readouterr().err
    for wrong in ("Scaphoid", "Scaphoid:Knee", "Lunate:Lunate"):
        assert main(["compare", *radiographs, "-o", str(out), "--between", wrong]) == 2
        assert wrong in capsys.readouterr().err


def test_command_takes_the_window_of_either_radiograph(tmp_path, capsys):
    from jointwrist.cli import main

    wrist = make_wrist(seed=3, index=0, config=PhantomConfig(size=200))
    grey = (wrist.image[0] * 4095).astype(np.uint16)
    good, dark = (2048, 4096), (4000, 100)
    radiographs = [
        str(save(make(grey, Laterality=wrist.side, WindowCenter=centres, WindowWidth=widths), tmp_path / name))
        for name, (centres, widths) in {"a.dcm": good, "b.dcm": map(list, zip(dark, good, strict=True))}.items()
    ]
    command = ["compare", *radiographs, "-o", str(tmp_path / "out"), "--rotation", "0"]
    assert main(command) == 2
    assert "b.dcm: no wrist was found" in capsys.readouterr().err
    assert main([*command, "--window", "0", "1", "--json"]) == 0
    assert all(row["change_percent"] in (0, None) for row in json.loads(capsys.readouterr().out)["bone_areas"])
    assert main([*command, "--window", "1"]) == 2
    assert "a.dcm: there is no window 1" in capsys.readouterr().err
    assert main([*command, "--window", "0", "1", "1"]) == 2
    assert "--window takes one or two values" in capsys.readouterr().err
