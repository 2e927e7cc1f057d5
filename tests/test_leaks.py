"""Patients in two splits are refused; testing on patients of the training, also of earlier weights, gives a warning."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import hand_made_dataset as hand_made
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save

from jointwrist.cli import main
from jointwrist.config import build
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.joint_split import joint_split
from jointwrist.data.dataset.patient_records import patient_record, radiograph_prints, recorded_patients
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.trainer import BEST
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.run_data.leaks import check_radiographs, name_shared, name_trained, records
from jointwrist.errors import DataError
from jointwrist.weights.checkpoint import read_info

pytestmark = pytest.mark.trust

TINY = ["image_size=32", "optim.epochs=1", "optim.batch_size=4", "options.roi_crop=32", "options.encoder=conv"]


@pytest.fixture
def shared(tmp_path):
    """A folder in which patient 0172, in train, has another study in val."""
    root = hand_made.build(tmp_path / "data")
    radiograph = hand_made.pixels("0172_0003_L").T.copy()
    hand_made.save_bmp(root / "BoneSegmentation" / "images" / "0172_0009_R.bmp", radiograph, False)
    hand_made.save_mask(root, "val", "0172_0009_R", hand_made.masks("0172_0003_L").astype(np.uint8))
    return root


def run_config(task: str, **values) -> RunConfig:
    model = {"segmentation": "unetpp", "joint": "jointwrist_tiny", "erosion": "mobilenet"}[task]
    return build(RunConfig, {"model": model, "task": task, "image_size": 32, **values})


def test_the_checker_and_training_name_a_patient_in_two_splits(shared):
    found = [fault for fault in check_dataset(shared) if fault.kind == "patient in two splits"]
    assert len(found) == 1 and "0172" in found[0].message and found[0].severity == "error"
    with pytest.raises(DataError, match=r"0172 \(train and val\).*jointwrist data check"):
        load_run_data(run_config("segmentation"), RamW600.open(shared))


def test_the_splits_of_the_tasks_may_differ_and_the_joint_set_reconciles_them(shared):
    data = load_run_data(run_config("joint"), RamW600.open(shared))
    assert "0172" not in data.patients["train"] and "0172" in data.patients["val"]
    assert "0172" in load_run_data(run_config("erosion"), RamW600.open(shared)).patients["train"]


def test_the_official_protocol_keeps_the_released_splits_and_says_so(shared):
    data = load_run_data(run_config("segmentation", protocol="official"), RamW600.open(shared))
    assert any("0172 (train and val)" in note for note in data.notes)


def test_phantoms_made_on_the_fly_are_nobody(shared):
    data = load_run_data(run_config("segmentation", stream={"wrists": 4}), RamW600.open(shared))
    assert data.patients["train"] == ()


def test_training_ends_with_the_message_and_code_2(shared, tmp_path, capsys):
    assert main(["train", "unetpp", "--data", str(shared), "-o", str(tmp_path / "run")]) == 2
    assert "0172" in capsys.readouterr().err
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_weights_know_their_patients_and_do_not_name_them(phantom_root, tmp_path, capsys):
    run = tmp_path / "run"
    assert main(["train", "jointwrist_tiny", "--data", str(phantom_root), "-o", str(run), "--set", *TINY]) == 0
    opened = RamW600.open(phantom_root)
    patients = {split: {case.patient for case in joint_split(opened, split).cases} for split in ("train", "test")}
    for name in ("best", "last"):
        with safe_open(run / f"{name}.safetensors", framework="pt") as file:
            info = json.loads(file.metadata()["jointwrist"])
        assert recorded_patients(records(info), patients["train"] | patients["test"]) == sorted(patients["train"])
        assert not patients["train"] & set(info["patients"]["hashes"])

    capsys.readouterr()
    assert main(["evaluate", str(run), "--data", str(phantom_root), "-o", str(tmp_path / "a")]) == 0
    assert "WARNING" not in capsys.readouterr().err
    # the test set of somebody who drew other splits: a training patient's images come to lie in test
    other = tmp_path / "other"
    shutil.copytree(phantom_root, other)
    moved = sorted(patients["train"])[0]
    move_to_test(other, moved)
    assert main(["evaluate", str(run), "--data", str(other), "-o", str(tmp_path / "b")]) == 0
    told = capsys.readouterr().err
    assert "WARNING" in told and moved in told and "trained on 1 of" in told


def test_radiographs_to_train_on_are_not_those_of_val_or_test(phantom_root, tmp_path, capsys):
    dataset = RamW600.open(phantom_root)
    held_out = next(case for case in dataset.cases if case.segmentation_split == case.erosion_split == "test")
    trained = next(case for case in dataset.cases if case.segmentation_split == case.erosion_split == "train")
    films, allowed = tmp_path / "films", shutil.copyfile(trained.image, tmp_path / "allowed.bmp")
    films.mkdir()
    named = films / f"{held_out.patient}_9_L.bmp"  # a patient's radiograph that the dataset has not
    named.write_bytes(b"another")
    check_radiographs([named], dataset)  # none is of the dataset, so equal names are those of other people
    with pytest.raises(DataError, match=rf"1 of the training radiographs .*{named.name}; take them out"):
        check_radiographs([named, Path(allowed)], dataset)
    shutil.copyfile(held_out.image, films / "renamed.bmp")
    command = ["train", "jointwrist_tiny", "--data", str(phantom_root), "-o", str(tmp_path / "run")]
    assert main([*command, "--radiographs", str(films)]) == 2
    told = capsys.readouterr().err
    assert "2 of the training radiographs" in told and "renamed.bmp" in told and "Traceback" not in told
    assert not (tmp_path / "run-radiographs").exists()


def test_records_are_salted_and_match_whole_identifiers_only():
    one, two = patient_record(["0001", "0002"], "a"), patient_record(["0001", "0002"], "b")
    assert not set(one["hashes"]) & set(two["hashes"])
    assert patient_record(["0002", "0001", "0001"], "a") == one
    assert recorded_patients([one, two], ["0001", "00", "0003", "EXT_0001"]) == ["0001"]
    assert records({}) == [] and records({"patients": one, "inherited": [two]}) == [one, two]


def test_a_folder_that_numbers_other_people_alike_is_not_confused(shared, tmp_path):
    other = hand_made.build(tmp_path / "other")
    for path in other.rglob("*.bmp"):
        Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    ours, theirs = (radiograph_prints(RamW600.open(root).cases) for root in (shared, other))
    record = patient_record(["0172", "0300"], "salt", ours)
    assert recorded_patients([record], ["0172", "0999"], ours) == ["0172"]
    assert recorded_patients([record], ["0172"], theirs) == []
    assert recorded_patients([record], ["0172"], [ours[-1], *theirs]) == ["0172"], "some of the radiographs are enough"
    assert recorded_patients([patient_record(["0172"], "salt")], ["0172"], theirs) == ["0172"], "an older record"
    assert not {*ours} & {*record["films"]}


def move_to_test(root: Path, patient: str) -> None:
    """Make of a training patient one who is tested, as somebody does who draws other splits."""
    for split in ("train", "val"):
        for path in [*root.glob(f"*/masks/{split}/{patient}_*"), *root.glob(f"SvdH*/{split}/{patient}_*")]:
            shutil.move(path, path.parent.with_name("test") / path.name)


def patients_of(weights: Path, patients) -> list[str]:
    return recorded_patients(records(read_info(weights)), patients)


def test_whom_a_segmenter_was_trained_on_goes_down_the_chain(phantom_root, tmp_path, capsys):
    """A cascade on a cascade: the last weights still know the first one's patients, who are tested by then."""
    everybody = {case.patient for case in RamW600.open(phantom_root).cases}
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    command = ["train", "jointwrist_tiny", "--data", str(phantom_root)]
    assert main([*command, "-o", str(first), "--set", *TINY]) == 0
    of_first = patients_of(first / BEST, everybody)
    assert of_first and "WARNING" not in capsys.readouterr().out

    other = tmp_path / "other"
    shutil.copytree(phantom_root, other)
    move_to_test(other, of_first[0])
    command[-1] = str(other)
    segmenter = f"joint.segmenter={first / BEST}"
    assert main([*command, "-o", str(second), "--set", *TINY, segmenter]) == 0
    told = capsys.readouterr().out
    assert "WARNING" in told and of_first[0] in told and "joint.segmenter" in told
    assert of_first[0] in patients_of(second / BEST, everybody)

    assert main([*command, "-o", str(third), "--set", *TINY, f"start={second}"]) == 0
    shutil.rmtree(second)  # what a run started from is in its weights
    assert of_first[0] in patients_of(third / BEST, everybody)
    assert len(read_info(third / BEST)["inherited"]) == 2
    capsys.readouterr()
    assert main(["evaluate", str(third), "--data", str(other), "-o", str(tmp_path / "rows")]) == 0
    told = capsys.readouterr().err
    assert "WARNING" in told and of_first[0] in told


def test_whom_an_encoder_s_weights_were_trained_on_is_inherited_and_imagenet_is_nobody(tmp_path, shared):
    record = patient_record(["0172"], "salt")
    known = tmp_path / "swin.safetensors"
    known.write_bytes(save({"w": torch.zeros(1)}, {"jointwrist": json.dumps({"model": "resnet", "patients": record})}))
    foreign, pickled = tmp_path / "imagenet.safetensors", tmp_path / "vmamba.pth"
    foreign.write_bytes(save({"w": torch.zeros(1)}))
    torch.save({"w": torch.zeros(1)}, pickled)
    config = run_config("joint", joint={"pretrained": [str(path) for path in (known, foreign, pickled)]})
    data = load_run_data(config, RamW600.open(shared))
    assert data.inherited == [record]
    assert any("WARNING: start, joint.pretrained" in note and "0172" in note for note in data.notes)
    known.write_bytes(b"cut short")
    with pytest.raises(DataError, match=r"swin\.safetensors"):
        load_run_data(config, RamW600.open(shared))


def test_long_lists_are_cut():
    text = name_shared({f"{n:04d}": ("train", "test") for n in range(9)})
    assert text.endswith("0004 (train and test) and 4 more")
    assert "5 of the 6" in name_trained([str(n) for n in range(5)], 6)
