"""The reader against a folder that was written by hand, and against what a phantom knows of itself."""

from __future__ import annotations

import json

import hand_made_dataset as hand_made
import numpy as np
import pytest

from jointwrist.anatomy import JOINTS
from jointwrist.data.dataset import ram_w600
from jointwrist.data.dataset.case import load_crop, load_sample
from jointwrist.data.dataset.joint_split import joint_split
from jointwrist.data.dataset.layout import parse_identifier
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.sample import mirror, unpack_masks
from jointwrist.errors import DataError


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return RamW600.open(hand_made.build(tmp_path_factory.mktemp("release")))


def case(dataset, identifier):
    return next(c for c in dataset.cases if c.identifier == identifier)


def test_cases_and_splits(dataset):
    assert [c.identifier for c in dataset.cases] == sorted(hand_made.WRISTS)
    assert not dataset.is_phantom and dataset.name == dataset.root.name
    for split in ("train", "val", "test"):
        masked = [i for i, wrist in hand_made.WRISTS.items() if wrist[2] and wrist[2][1] == split]
        assert [c.identifier for c in dataset.segmentation(split)] == sorted(masked)
        scored = [i for i, wrist in hand_made.WRISTS.items() if wrist[3] == split]
        assert [c.identifier for c in dataset.erosion(split)] == sorted(scored)
    external = case(dataset, "EXT_0009_0001_L")
    assert (external.patient, external.side, external.erosion_split) == ("EXT_0009", "L", None)
    assert set(external.scores) == {-1} and not external.crops and external.boxes is None
    with pytest.raises(ValueError, match="unknown split 'tests'"):
        dataset.segmentation("tests")


def test_the_release_is_known_by_the_sizes_of_its_splits(dataset, monkeypatch):
    sizes = {
        split: (len(dataset.segmentation(split)), len(dataset.erosion(split))) for split in ("train", "val", "test")
    }
    monkeypatch.setattr(ram_w600, "RELEASED", sizes)
    assert dataset.name == "RAM-W600"


@pytest.mark.parametrize("identifier", hand_made.WRISTS)
def test_radiograph_orientation_is_what_was_written(dataset, identifier):
    sample = load_sample(case(dataset, identifier), right_hand=False)
    np.testing.assert_array_equal(np.round(sample.image[0] * 255), hand_made.pixels(identifier))
    assert sample.image.dtype == np.float32 and not sample.mirrored
    if hand_made.WRISTS[identifier][2]:
        assert sample.bones.dtype == np.uint16
        np.testing.assert_array_equal(unpack_masks(sample.bones), hand_made.masks(identifier))
    else:
        assert sample.bones is None
    if hand_made.WRISTS[identifier][3]:
        assert sample.scores.tolist() == [0, 0, 2, 0, 0, 5]
        corners = np.array([[x, y, x + w, y + h] for x, y, w, h in map(hand_made.box, range(6))], np.float32)
        np.testing.assert_array_equal(sample.boxes, corners)


@pytest.mark.parametrize("identifier", ["0172_0003_L", "0300_0002_L", "0201_0001_R"])
def test_left_hands_are_mirrored_and_mirror_back(dataset, identifier):
    radiograph, right = (load_sample(case(dataset, identifier), right_hand) for right_hand in (False, True))
    assert right.mirrored == (identifier[-1] == "L") and right.side == identifier[-1]
    back = mirror(right) if right.mirrored else right
    for name in ("image", "bones", "boxes"):
        np.testing.assert_array_equal(getattr(back, name), getattr(radiograph, name))
    if right.mirrored:
        np.testing.assert_array_equal(right.image, radiograph.image[..., ::-1])
        np.testing.assert_array_equal(right.bones, radiograph.bones[:, ::-1])


def test_crops_belong_to_their_joints(dataset):
    chosen = case(dataset, "0172_0003_L")
    radiograph = hand_made.pixels(chosen.identifier)
    names = ["Metacarpal1st", "Trapzium", "Scaphoid", "Lunate", "DistalRadius", "DistalUlna"]
    for joint in JOINTS:
        place = hand_made.CROPS.index(names[joint.index])
        crop = radiograph[place : 2 * place + 14, 5:25]
        np.testing.assert_array_equal(np.round(load_crop(chosen, joint.index) * 255), crop)
        np.testing.assert_array_equal(np.round(load_crop(chosen, joint.index, mirrored=True) * 255), crop[:, ::-1])
    with pytest.raises(DataError, match="no crop of joint 0"):
        load_crop(case(dataset, "EXT_0009_0001_L"), 0)


def test_spacing_is_found_by_study(dataset):
    found = {c.identifier: c.spacing_mm for c in dataset.cases}
    assert found["0172_0003_L"] == found["0172_0003_R"] == 0.15
    assert (found["0201_0001_R"], found["0300_0002_L"]) == (0.175, 0.2)
    assert found["0301_0001_R"] is found["0302_0001_L"] is found["EXT_0009_0001_L"] is None


def test_missing_tables_leave_their_fields_empty(tmp_path):
    root = hand_made.build(tmp_path)
    for path in (root / "Metadata.xlsx", hand_made.boxes_file(root), hand_made.scores_file(root)):
        path.unlink()
    for found in RamW600.open(root).cases:
        assert found.spacing_mm is None and found.boxes is None and set(found.scores) == {-1}


def test_file_names_of_annotation_tools_are_matched(tmp_path):
    root = hand_made.build(tmp_path)
    content = json.loads(hand_made.boxes_file(root).read_text())
    for image in content["images"]:
        image["file_name"] = image["file_name"].replace(".bmp", "_bmp.rf.0a1b2c.jpg")
    hand_made.boxes_file(root).write_text(json.dumps(content))
    assert all((c.boxes is not None) == (c.erosion_split is not None) for c in RamW600.open(root).cases)


def test_boxes_drawn_on_a_resized_image_come_to_the_radiographs_size(tmp_path):
    root = hand_made.build(tmp_path)
    content = json.loads(hand_made.boxes_file(root).read_text())
    for image in content["images"]:
        image.update(width=2 * image["width"], height=3 * image["height"])
    hand_made.boxes_file(root).write_text(json.dumps(content))
    sample = load_sample(case(RamW600.open(root), "0201_0001_R"))
    x, y, width, height = hand_made.box(2)
    np.testing.assert_allclose(sample.boxes[2], [x / 2, y / 3, (x + width) / 2, (y + height) / 3], rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "patient", "study", "side"),
    [("0172_0003_L", "0172", "0003", "L"), ("EXT_0172_0001_R", "EXT_0172", "0001", "R")],
)
def test_identifiers(text, patient, study, side):
    parts = parse_identifier(text)
    assert (*parts, parts.stem) == (patient, study, side, text[:-2])


@pytest.mark.parametrize(
    "text", ["", "0172", "0172_0003", "0172_L", "0172_0003_l", "EXT_0172_L", "../a_b_L", "a_b_L\n"]
)
def test_identifiers_without_side_or_sense(text):
    with pytest.raises(DataError, match="the last character is the side"):
        parse_identifier(text)


def test_a_folder_without_radiographs_is_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        RamW600.open(tmp_path / "nothing")
    with pytest.raises(DataError, match="holds no radiographs"):
        RamW600.open(tmp_path)


@pytest.mark.parametrize("right_hand", [True, False])
def test_phantom_truth_turns_with_the_radiograph(phantom_root, right_hand):
    dataset = RamW600.open(phantom_root)
    assert dataset.is_phantom
    left = next(c for c in dataset.cases if c.side == "L" and c.mask)
    sample = load_sample(left, right_hand)
    with np.load(left.truth, allow_pickle=False) as truth:
        for name in ("eroded", "healthy"):
            expected = truth[name][:, ::-1] if right_hand else truth[name]
            np.testing.assert_array_equal(getattr(sample, name), expected)
    assert not (sample.bones & ~sample.healthy).any(), "erosion only takes bone away"


#: (identifier, segmentation split, erosion split) and the joint split that it belongs to
LEAKS = [
    ("0001_0001_L", "train", "train", "train"),
    ("0002_0001_L", "train", "test", "test"),
    ("0003_0001_L", "test", "train", "test"),
    ("0004_0001_L", "val", "test", "test"),
    ("0005_0001_L", "train", "val", "val"),
    ("0006_0001_L", "train", None, None),
    ("0006_0001_R", None, "test", "test"),
    ("0007_0001_L", "val", None, None),
    ("0007_0002_R", None, "test", "test"),
    ("0008_0001_L", None, "train", "train"),
    ("0009_0001_L", "train", None, None),
    ("0009_0001_R", "val", None, "val"),
    ("EXT_0002_0001_R", "train", None, "train"),
]


@pytest.fixture(scope="module")
def leaking(tmp_path_factory):
    root = tmp_path_factory.mktemp("leaking")
    radiograph, rows = np.zeros((8, 8), np.uint8), []
    for identifier, segmentation, erosion, _ in LEAKS:
        if segmentation:
            hand_made.save_bmp(root / "BoneSegmentation" / "images" / f"{identifier}.bmp", radiograph, False)
            hand_made.save_mask(root, segmentation, identifier, np.zeros((14, 8, 8), np.uint8))
        if erosion:
            hand_made.save_bmp(root / "JointLocationDetection" / "images" / f"{identifier}.bmp", radiograph, False)
            folder = hand_made.scores_file(root).parent / erosion / identifier
            hand_made.save_bmp(folder / "Lunate.bmp", radiograph, False)
            rows.append({"identifier": identifier, "joints": {"Lunate": 1}})
    hand_made.scores_file(root).write_text(json.dumps(rows))
    return RamW600.open(root)


def test_joint_splits_do_not_leak(leaking):
    splits = {name: joint_split(leaking, name) for name in ("train", "val", "test")}
    for name, split in splits.items():
        assert [c.identifier for c in split.cases] == sorted(i for i, _, _, joint in LEAKS if joint == name)
        left_out = {i for found in split.left_out.values() for i in found}
        assert left_out == {i for i, *tasks, joint in LEAKS if name in tasks and joint != name}
    patients = {name: {c.patient for c in split.cases} for name, split in splits.items()}
    assert not patients["train"] & (patients["val"] | patients["test"])
    assert not patients["val"] & patients["test"]


def test_joint_split_says_what_is_left_out(leaking):
    summary = joint_split(leaking, "train").summary()
    assert "joint train: 3 radiographs, masks 2, scores 2, both 1" in summary
    assert "2 test radiographs of the other task" in summary and "1 with a patient in val" in summary
    assert "left out" not in joint_split(leaking, "test").summary()
    with pytest.raises(ValueError, match="unknown split"):
        joint_split(leaking, "all")
