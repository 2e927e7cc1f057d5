"""Labels of a picture: numbers beside the bones, lines that end on the right bone and do not cross, names within."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from jointwrist.anatomy import BONES, JOINTS
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import unpack_masks
from jointwrist.inference.placement import Placement
from jointwrist.inference.result import WristResult
from jointwrist.inference.scope.report import OUTSIDE, Limit, ScopeReport
from jointwrist.outputs.labels import NAME_POINTS, bone_names, extent, joint_labels
from jointwrist.phantom import PhantomConfig, make_wrist

ROOM = 16.0


def result_of(masks: np.ndarray, scored=True) -> WristResult:
    count, (height, width) = len(JOINTS), masks.shape[1:]
    boxes = np.tile(np.array([0, 0, width, height], np.float32), (count, 1))
    return WristResult(
        placement=Placement(Radiograph(np.zeros((height, width), np.float32))),
        masks=masks,
        probabilities=np.where(scored, 0.5, np.nan) * np.ones(count, np.float32),
        scores=np.where(scored, 1, -1) * np.ones(count, int),
        boxes=boxes,
        model="jointwrist_tiny",
    )


@pytest.fixture(scope="module")
def wrists():
    """Three phantom wrists, and one of them turned by a quarter."""
    config = PhantomConfig(size=320)
    masks = [unpack_masks(make_wrist(7, index, config).bones, len(BONES)) for index in range(3)]
    return [result_of(part) for part in (*masks, np.rot90(masks[0], axes=(1, 2)).copy())]


def turn(a, b, c):
    return np.sign((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def cross(a, b, c, d):
    return turn(a, b, c) != turn(a, b, d) and turn(c, d, a) != turn(c, d, b)


def test_numbers_stand_beside_the_bones_and_apart(wrists):
    for result in wrists:
        labels = joint_labels(result, ROOM)
        assert [label.joint for label in labels] == list(range(len(JOINTS)))
        y, x = np.nonzero(result.masks.any(0))
        for label in labels:
            assert np.hypot(x - label.number[0], y - label.number[1]).min() > 0.5 * ROOM
        for first, second in combinations(labels, 2):
            assert np.abs(first.number - second.number).max() >= ROOM


def test_lines_end_on_the_contour_of_the_joints_bone_and_do_not_cross(wrists):
    for result in wrists:
        labels = joint_labels(result, ROOM)
        for label in labels:
            bone = result.masks[JOINTS[label.joint].bone]
            way = np.linspace(label.number, label.tip, 200)
            way = way[np.hypot(*(way - label.tip).T) > 1.5]
            x, y = way.astype(int).T
            assert not bone[y, x].any()
            tip = label.tip.astype(int)
            assert bone[tip[1] - 1 : tip[1] + 2, tip[0] - 1 : tip[0] + 2].any()
        for first, second in combinations(labels, 2):
            assert not cross(first.number, first.tip, second.number, second.tip)


def test_no_line_lies_on_a_number_or_a_name(wrists):
    for result in wrists:
        labels = joint_labels(result, ROOM)
        names = bone_names(result, (3.0, 3.0), labels)
        assert len(names) >= 8
        for label in labels:
            way = np.linspace(label.number, label.tip, 300)
            for other in labels:
                if other is not label:
                    assert np.hypot(*(way - other.number).T).min() > 0.35 * ROOM
            for name in names:
                lines = name.text.split("\n")
                half = np.array([max(map(len, lines)) * NAME_POINTS / 2, len(lines) * NAME_POINTS]) / 2 / 3.0
                assert not (np.abs(way - name.middle) < half).all(1).any()


def test_lines_keep_off_other_bones(wrists):
    """The lunate alone is within the wrist: its line takes the gap between ulna and triquetrum, and may graze them."""
    for result in wrists:
        for label in joint_labels(result, ROOM):
            joint = JOINTS[label.joint]
            others = np.delete(result.masks, joint.bone, 0).any(0)
            x, y = np.linspace(label.number, label.tip, 300)[:-3].astype(int).T
            crossed = others[y, x].mean() * np.hypot(*(label.tip - label.number))
            assert crossed < (0.07 if joint.name == "Lunate" else 0.02) * extent(result.masks), joint.name


@pytest.mark.parametrize("bones", [range(1), range(len(JOINTS))])
def test_a_joint_whose_score_is_withheld_keeps_its_number(wrists, bones):
    limits = (Limit(OUTSIDE, "cast"),)
    limited = [limits if any(JOINTS[joint].bone == bone for joint in bones) else () for bone in range(len(BONES))]
    some = np.isin([joint.index for joint in JOINTS], list(bones))
    withheld = replace(
        wrists[0],
        scope=ScopeReport(("cast",), tuple(limited), {}),
        scores=np.where(some, -1, wrists[0].scores),
        probabilities=np.where(some, np.nan, wrists[0].probabilities),
    )
    assert withheld.withheld.tolist() == some.tolist()
    before, after = joint_labels(wrists[0], ROOM), joint_labels(withheld, ROOM)
    assert [label.joint for label in after] == list(range(len(JOINTS)))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one.number, other.number)


def test_names_lie_within_their_bones_and_over_no_other(wrists):
    for result in wrists:
        names = bone_names(result, (3.0, 3.0))
        assert len(names) >= 8
        for name in names:
            x, y = name.middle.astype(int)
            assert result.masks[:, y, x].nonzero()[0].tolist() == [name.bone]
            assert name.text.replace("\n", " ") == BONES[name.bone].display
        # in a small picture there is no room for them
        assert bone_names(result, (0.3, 0.3)) == []


def test_a_result_without_bones_or_scores_has_no_labels():
    empty = result_of(np.zeros((len(BONES), 40, 60), bool), scored=False)
    assert joint_labels(empty, ROOM) == []
    assert bone_names(empty, (3.0, 3.0)) == []
    assert extent(empty.masks) == 1


def test_a_bone_of_one_pixel_that_fills_no_grid_is_labelled():
    masks = np.zeros((len(BONES), 700, 30), bool)
    for joint in JOINTS:
        masks[joint.bone, 101 + 2 * joint.index, 11] = True
    labels = joint_labels(result_of(masks), ROOM)
    assert len(labels) == len(JOINTS)
    assert all(np.isfinite([*label.number, *label.tip]).all() for label in labels)


def test_bones_that_fill_the_radiograph_leave_room_for_all_numbers():
    labels = joint_labels(result_of(np.ones((len(BONES), 48, 48), bool)), ROOM)
    assert len({tuple(label.number) for label in labels}) == len(JOINTS)
