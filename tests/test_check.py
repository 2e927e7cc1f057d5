"""The checker: each fault put into a sound folder is named, with the file, and nothing else is."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import hand_made_dataset as hand_made
import numpy as np
import pytest

from jointwrist.cli import main
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.check import COMMANDS, check_dataset
from jointwrist.data.dataset.mask_alignment import misplaced
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.errors import DataError

MASK = "BoneSegmentation/masks/train/0172_0003_L.npy"
IMAGE = "BoneSegmentation/images/0172_0003_L.bmp"
COPY = "JointLocationDetection/images/0172_0003_L.bmp"
SCORE_IMAGE = "JointLocationDetection/images/0301_0001_R.bmp"
CROPS = "SvdHBEScoreClassification/train/0301_0001_R"
SCORES = "SvdHBEScoreClassification/JointBE_SvdH_GT.json"
BOXES = "JointLocationDetection/Joints.coco.json"
RADIOGRAPH = hand_made.pixels("0172_0003_L")
MASKS = hand_made.masks("0172_0003_L")


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = hand_made.build(tmp_path_factory.mktemp("sound") / "release")
    # of this spacing, the bars of its masks are as large as bones
    hand_made.write_metadata(root, {**dict.fromkeys(hand_made.SPACINGS, 1.4), "0302_0001": 1.4})
    return root


@pytest.fixture
def root(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "release")


def faults_of(root: Path, severity: str | None = "error") -> set[tuple[str, str]]:
    return {
        (fault.kind, fault.path.relative_to(root).as_posix())
        for fault in check_dataset(root)
        if severity in (None, fault.severity)
    }


def edit(path: Path, change) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def cut(path: Path, share: float) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])


def save(array: np.ndarray):
    return lambda root: np.save(root / MASK, array)


def with_value(value: float) -> np.ndarray:
    masks = MASKS.astype(np.float32)
    masks[3, 5, 5] = value
    return masks


def move(root: Path, old: str, new: str) -> None:
    (root / old).rename(root / new)


def same_patient_in_val(root: Path) -> None:
    hand_made.save_bmp(root / "BoneSegmentation/images/0172_0009_R.bmp", RADIOGRAPH.T.copy(), False)
    hand_made.save_mask(root, "val", "0172_0009_R", MASKS)


def add_score(name: str, score: object):
    return lambda root: edit(root / SCORES, lambda rows: rows[0]["joints"].update({name: score}))


#: What to break, and the errors that the checker must find then: kind and file.
ERRORS = {
    "wrong channel count": (save(MASKS[:13]), MASK),
    "non-binary mask": (save(with_value(0.5)), MASK),
    "truncated image": (lambda root: cut(root / IMAGE, 0.5), IMAGE),
    "score out of range": (add_score("Lunate", 6), SCORES),
    "unknown joint": (add_score("Capitate", 1), SCORES),
    "identifier without side": (lambda root: move(root, SCORE_IMAGE, SCORE_IMAGE.replace("_R.", ".")), None),
    "patient in two splits": (same_patient_in_val, "BoneSegmentation/masks"),
    "identifier in two splits": (lambda root: shutil.copy(root / MASK, root / MASK.replace("train", "val")), None),
    "size mismatch": (save(MASKS[:, :, 1:]), MASK),
    "duplicate identifier": (lambda root: shutil.copy(root / IMAGE, root / IMAGE.replace("bmp", "png")), None),
    "pickled array": (lambda root: np.save(root / MASK, np.array([{}], object), allow_pickle=True), MASK),
    "unreadable array": (lambda root: cut(root / MASK, 0.5), MASK),
    "unreadable image": (lambda root: (root / IMAGE).write_bytes(b"nothing"), IMAGE),
    "unreadable table": (lambda root: cut(root / BOXES, 0.5), BOXES),
    "score without image": (lambda root: (root / SCORE_IMAGE).unlink(), "SvdHBEScoreClassification"),
    "wrong box": (lambda root: edit(root / BOXES, lambda c: c["annotations"][0].update(bbox=[1, 2, 3])), BOXES),
}


def test_a_sound_folder_has_no_faults(sound):
    # the hand-made masks are bars across a ramp of grey
    assert {kind for kind, _ in faults_of(sound, None)} <= {"misplaced mask"}


def test_a_phantom_has_no_errors_and_its_masks_lie_on_its_bones(phantom_root):
    faults = check_dataset(phantom_root)
    assert [fault for fault in faults if fault.severity == "error" or fault.kind == "misplaced mask"] == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda bits: np.roll(bits, (10, 16), (0, 1)), r"(9|10|11) pixels up and 1[567] to the left"),
        (lambda bits: np.roll(bits, -12, 0), "1[123] pixels down and [01] to the"),
        (lambda bits: bits[:, ::-1], "if they are mirrored$"),
        (lambda bits: bits[::-1], "if they are turned upside down$"),
        (lambda bits: bits[::-1, ::-1], "if they are turned by half a turn$"),
        (np.rot90, "if they are turned by a quarter to the right$"),
        (np.transpose, "if they are transposed$"),
    ],
    ids=["down and right", "up", "mirrored", "upside down", "half a turn", "a quarter", "transposed"],
)
def test_masks_beside_their_bones_are_noticed(change, told, dataset):
    """Also on radiographs that are inverted; a radiograph without contrast, or a few bones, say nothing."""
    for case in [case for case in dataset.cases if case.mask is not None][:6]:
        sample = load_sample(case)
        image, bits = sample.image[0], sample.bones
        assert misplaced(image, bits) is None and misplaced(1 - image, bits) is None
        moved = change(bits)
        assert re.search(told, misplaced(image, moved)) and re.search(told, misplaced(1 - image, moved))
        assert misplaced(np.zeros_like(image), moved) is None
        assert misplaced(image, moved & 0b111) is None


def test_the_checker_names_the_file_of_misplaced_masks(phantom_root, tmp_path):
    root = shutil.copytree(phantom_root, tmp_path / "release")
    mask = sorted((root / "BoneSegmentation/masks/train").iterdir())[0]
    np.save(mask, np.roll(np.load(mask), 16, axis=-1))
    assert ("misplaced mask", mask.relative_to(root).as_posix()) in faults_of(root, "warning")


@pytest.mark.parametrize("kind", ERRORS)
def test_errors_are_named_with_their_file(root, kind):
    harm, path = ERRORS[kind]
    harm(root)
    found = faults_of(root)
    assert kind in {name for name, _ in found}
    if path is not None:
        assert (kind, path) in found


def test_a_mask_of_a_wrist_with_no_image_at_all(root):
    (root / IMAGE.replace("_L.", "_R.")).unlink()
    assert faults_of(root) == {("mask without image", MASK.replace("_L.", "_R."))}


def test_faults_do_not_hide_one_another(root):
    harms = ["wrong channel count", "truncated image", "score out of range", "unknown joint",
             "patient in two splits", "unreadable table"]  # fmt: skip
    for kind in harms:
        ERRORS[kind][0](root)
    assert {kind for kind, _ in faults_of(root)} >= set(harms)


def linked_outside(root: Path) -> None:
    shutil.move(root / IMAGE, root.parent / "radiograph.bmp")
    (root / IMAGE).symlink_to(root.parent / "radiograph.bmp")


def same_picture(root: Path) -> None:
    shutil.copy(root / "BoneSegmentation/images/0201_0001_R.bmp", root / SCORE_IMAGE)


def empty_bone(root: Path) -> None:
    masks = MASKS.copy()
    masks[[2, 7]] = False
    np.save(root / MASK, masks)


def white_frame(root: Path) -> None:
    inside = (slice(None), slice(6, -6))
    image = np.full_like(RADIOGRAPH, 255)
    image[inside] = RADIOGRAPH[inside] // 2
    hand_made.save_bmp(root / IMAGE, image, False)


WARNINGS = {
    "outlying grey values": (white_frame, IMAGE),
    "mask without image": (lambda root: (root / IMAGE).rename(root / "kept.bmp"), MASK),
    "image without mask": (lambda root: (root / MASK).unlink(), IMAGE),
    "missing crop": (lambda root: (root / CROPS / "Lunate.bmp").unlink(), CROPS),
    "crop without score": (
        lambda root: edit(root / SCORES, lambda rows: rows.pop()),
        "SvdHBEScoreClassification/test/0302_0001_L",
    ),
    "unknown split": (lambda root: (root / "BoneSegmentation/masks/valid").mkdir(), "BoneSegmentation/masks/valid"),
    "broken link": (
        lambda root: (root / IMAGE).with_name("link").symlink_to("nothing"),
        "BoneSegmentation/images/link",
    ),
    "link out of the folder": (linked_outside, IMAGE),
    "same picture twice": (same_picture, SCORE_IMAGE),
    "empty mask": (empty_bone, MASK),
    "different copy": (lambda root: hand_made.save_bmp(root / COPY, 255 - RADIOGRAPH, False), COPY),
    "joint without score": (lambda root: edit(root / SCORES, lambda rows: rows[0]["joints"].pop("Lunate")), SCORES),
    "missing box": (lambda root: edit(root / BOXES, lambda content: content["annotations"].pop()), BOXES),
    "box outside image": (
        lambda root: edit(root / BOXES, lambda content: content["annotations"][0].update(bbox=[50, 0, 20, 9])),
        BOXES,
    ),
    "boxes without image": (
        lambda root: edit(root / BOXES, lambda content: content["images"].append({"id": 99, "file_name": "b.bmp"})),
        BOXES,
    ),
    "missing metadata": (lambda root: hand_made.write_metadata(root, hand_made.SPACINGS), "Metadata.xlsx"),
    "no pixel spacing": (lambda root: hand_made.write_metadata(root, hand_made.SPACINGS), "Metadata.xlsx"),
    "missing table": (lambda root: (root / "Metadata.xlsx").unlink(), "Metadata.xlsx"),
}


@pytest.mark.parametrize("kind", WARNINGS)
def test_warnings_are_named_with_their_file(root, kind):
    harm, path = WARNINGS[kind]
    harm(root)
    assert faults_of(root) == set()
    assert (kind, path) in faults_of(root, "warning")


@pytest.mark.parametrize("kind", ["wrong channel count", "non-binary mask", "size mismatch", "truncated image"])
def test_the_reader_refuses_what_the_checker_calls_an_error(root, kind):
    harm, path = ERRORS[kind]
    harm(root)
    case = next(case for case in RamW600.open(root).cases if case.identifier == "0172_0003_L")
    with pytest.raises(DataError, match=Path(path).name):
        load_sample(case)


#: Faults of one split: what to break, and its kind.
OF_TRAIN = {
    "wrong channel count": save(MASKS[:13]),
    "truncated image": lambda root: cut(root / SCORE_IMAGE, 0.5),
    "unknown joint": lambda root: (root / CROPS / "Lunate.bmp").rename(root / CROPS / "Capitate.bmp"),
    "mask without image": lambda root: [(root / name).unlink() for name in (IMAGE, COPY)],
    "duplicate identifier": lambda root: shutil.copy(root / MASK, (root / MASK).with_suffix(".NPY")),
    "patient in two splits": same_patient_in_val,
}
WEIGHTS = {"joint": "jointwrist_tiny", "segmentation": "unet", "erosion": "resnet"}


def refused(root: Path, splits: tuple[str, ...]) -> list[str]:
    """What commands that read these splits say of a folder, whatever they do with it."""
    told = []
    for task, model in WEIGHTS.items():
        config = RunConfig(model, task, image_size=16, detail_size=16, cache=False)
        try:
            data = load_run_data(config, RamW600.open(root, splits=splits), splits)
            for split in splits:
                dataset = getattr(data, split)
                for index in range(len(dataset)):
                    dataset[index]
        except DataError as error:
            told.append(str(error))
    return told


@pytest.mark.parametrize("kind", OF_TRAIN)
def test_what_is_an_error_for_a_command_is_what_it_refuses(root, kind):
    OF_TRAIN[kind](root)
    for command, splits in COMMANDS.items():
        errors = [fault.kind for fault in check_dataset(root, command) if fault.severity == "error"]
        assert bool(refused(root, splits)) == bool(errors) == ("train" in splits)
    assert kind in {fault.kind for fault in check_dataset(root, "evaluate")}


@pytest.mark.parametrize(("kept", "fitting"), [({"test"}, {"evaluate"}), ({"train", "val"}, {"train"})])
def test_a_folder_needs_the_splits_that_a_command_reads(root, kept, fitting):
    for split in {"train", "val", "test"} - kept:
        for folder in ("BoneSegmentation/masks", "SvdHBEScoreClassification"):
            for path in (root / folder / split).iterdir():
                for images in ("BoneSegmentation/images", "JointLocationDetection/images"):
                    (root / images / f"{path.stem}.bmp").unlink(missing_ok=True)
            shutil.rmtree(root / folder / split)
    for command, splits in COMMANDS.items():
        errors = {fault.kind for fault in check_dataset(root, command) if fault.severity == "error"}
        assert (errors == set()) == (refused(root, splits) == []) == (command in fitting)
        assert errors <= {"empty split", "score without image"}


def test_the_command_line_checks_for_a_command(root, capsys):
    shutil.rmtree(root / "BoneSegmentation/masks/train")
    shutil.rmtree(root / "SvdHBEScoreClassification/train")
    assert main(["data", "check", str(root), "--for", "evaluate"]) == 0
    assert main(["data", "check", str(root), "--for", "train"]) == 1
    assert "error" in capsys.readouterr().out


def test_a_folder_that_is_no_release(tmp_path):
    assert [fault.kind for fault in check_dataset(tmp_path)] == ["no dataset"]
    assert [fault.kind for fault in check_dataset(tmp_path / "nowhere")] == ["no dataset"]


@pytest.mark.parametrize("table", [SCORES, "Metadata.xlsx"])
def test_of_a_table_that_cannot_be_read_no_row_is_missing(root, table):
    before = faults_of(root, None)
    cut(root / table, 0.5)
    assert faults_of(root, None) - before == {("unreadable table", table)}
