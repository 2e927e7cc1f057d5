"""Phantoms made on the fly, kept for runs that share them, and cohorts whose splits have a stated size."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from jointwrist.cli import main
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.errors import DataError
from jointwrist.phantom import Parts, PhantomConfig, write_phantom
from jointwrist.phantom.cohort import cohort_entry
from jointwrist.phantom.stream import KEEP, PhantomCropStream, PhantomStream

SMALL = PhantomConfig(size=96, prevalence=0.5)


def test_kept_wrists_are_those_that_are_made(tmp_path, monkeypatch):
    made = [PhantomStream(4, 3, SMALL)[index] for index in range(4)]
    monkeypatch.setenv(KEEP, str(tmp_path))
    for _ in ("written", "read"):
        for expected, found in zip(made, (PhantomStream(4, 3, SMALL)[index] for index in range(4)), strict=True):
            assert expected.keys() == found.keys()
            for key, value in expected.items():
                assert torch.equal(value, found[key]) if isinstance(value, torch.Tensor) else value == found[key]
    assert len(list(tmp_path.glob("*/*.npz"))) == 4


def test_kept_wrists_are_read_and_not_made_again(tmp_path, monkeypatch):
    monkeypatch.setenv(KEEP, str(tmp_path))
    stream = PhantomStream(1, 3, SMALL)
    first = stream.wrist(0)
    monkeypatch.setattr("jointwrist.phantom.stream.make_wrist", lambda *_: pytest.fail("made again"))
    second = PhantomStream(1, 3, SMALL).wrist(0)
    assert (first.mirrored, first.side, first.spacing_mm) == (second.mirrored, second.side, second.spacing_mm)
    np.testing.assert_array_equal(first.boxes, second.boxes)
    crop = PhantomCropStream(stream, 32)[4]
    assert crop["score"] == second.scores[4]


def test_streams_of_other_seeds_and_settings_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setenv(KEEP, str(tmp_path))
    for seed, config in ((3, SMALL), (4, SMALL), (3, PhantomConfig(size=96))):
        PhantomStream(1, seed, config).wrist(0)
    assert len(os.listdir(tmp_path)) == 3


def test_parts_have_their_size_all_labels_and_no_common_patient(tmp_path):
    parts = Parts(16, 16, 32)
    write_phantom(tmp_path, 64, size=64, seed=1, workers=1, parts=parts)
    dataset = RamW600.open(tmp_path)
    patients = {}
    for split, number in (("train", 16), ("val", 16), ("test", 32)):
        cases = [c for c in dataset.cases if split in (c.segmentation_split, c.erosion_split)]
        assert len(cases) == number
        patients[split] = {case.patient for case in cases}
        if split != "train":
            assert len(dataset.segmentation(split)) == len(dataset.erosion(split)) == number
    assert not patients["train"] & patients["test"] and not patients["val"] & (patients["train"] | patients["test"])
    assert 0 < len(dataset.segmentation("train")) < 16 and 0 < len(dataset.erosion("train")) < 16
    with pytest.raises(DataError, match="another phantom"):
        write_phantom(tmp_path, 64, size=64, seed=1, workers=1)


def test_parts_change_neither_patient_nor_side():
    parts = Parts(16, 16, 16)
    for index in range(48):
        first, second = cohort_entry(index), parts.entry(index)
        assert (first.identifier, first.patient, first.side) == (second.identifier, second.patient, second.side)


@pytest.mark.parametrize("sizes", [(0, 16, 16), (16, 20, 16), (16, 16, -16)])
def test_parts_that_would_divide_a_patient_are_refused(sizes, tmp_path, capsys):
    with pytest.raises(ValueError, match="multiples of 16"):
        Parts(*sizes)
    if min(sizes) > 0:
        command = ["data", "phantom", str(tmp_path / "out"), "--size", "64", "--parts", *map(str, sizes)]
        assert main(command) == 2
        assert "multiples of 16" in capsys.readouterr().err


def test_command_line_makes_parts(tmp_path, capsys):
    assert main(["data", "phantom", str(tmp_path), "--size", "64", "--parts", "16", "16", "16", "--workers", "1"]) == 0
    assert "48 phantom wrists" in capsys.readouterr().out
    assert len(RamW600.open(tmp_path).erosion("test")) == 16
