"""Radiographs of finger joints become a dataset of two overlapping bones, all radiographs of a joint in one split."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.importers.mcp import import_mcp
from jointwrist.data.importers.ram_h1200.convert import convert
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError


@pytest.fixture
def films(tmp_path):
    folder = tmp_path / "mcp" / "films"
    folder.mkdir(parents=True)
    for joint in range(10):
        for visit in (1, 2):
            stem = f"{joint:05d}_5_{visit}_{'LR'[joint % 2]}"
            bits = np.zeros((64, 64), np.uint8)
            bits[4 : 34 + joint, 10:50] |= 1
            bits[34:60, 12:48] |= 2
            Image.fromarray(np.repeat(bits[..., None] * 60 + visit, 3, 2)).save(folder / f"{stem}.jpg")
            Image.fromarray(bits).save(folder / f"{stem}_masks.png")
    return tmp_path / "mcp"


def test_both_bones_of_every_film_are_there_and_joints_are_not_divided(films, tmp_path, capsys):
    out = tmp_path / "out"
    (films / "films" / "._00003_5_2_R.jpg").write_bytes(b"\0\5\x16\7")  # as macOS adds
    assert main(["data", "import", "mcp", str(films), str(out)]) == 0
    printed = capsys.readouterr().out
    assert "20 radiographs of 10 joints (train 14, val 2, test 4)" in printed
    assert "radiographs with overlapping bones: 18" in printed
    assert not [fault for fault in check_dataset(out) if fault.severity == "error"]
    cases = {case.identifier: case for case in RamW600.open(out).cases}
    sample = load_sample(cases["00003-5_0002_R"], right_hand=False)
    bits = np.asarray(Image.open(films / "films" / "00003_5_2_R_masks.png"))
    np.testing.assert_array_equal(unpack_masks(sample.bones, 2), np.stack([bits & 1, bits & 2]).astype(bool))
    for case in cases.values():
        other = cases[case.identifier.replace("_0001_", "_0002_")]
        assert case.segmentation_split == other.segmentation_split


def test_what_is_not_of_the_layout_is_refused_in_one_line(films, tmp_path, capsys):
    path = films / "films" / "00003_5_2_R_masks.png"
    Image.fromarray(np.full((64, 64), 4, np.uint8)).save(path)
    assert main(["data", "import", "mcp", str(films), str(tmp_path / "a")]) != 0
    assert "other bits" in capsys.readouterr().err
    path.unlink()
    assert main(["data", "import", "mcp", str(films), str(tmp_path / "b")]) != 0
    assert "masks.png" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()
    (tmp_path / "empty").mkdir()
    assert main(["data", "import", "mcp", str(tmp_path / "empty"), str(tmp_path / "c")]) != 0
    assert "holds no radiographs" in capsys.readouterr().err


@pytest.mark.parametrize("read", [import_mcp, convert])
def test_a_file_in_the_place_of_the_folder_is_refused_and_kept(read, tmp_path):
    out = tmp_path / "out"
    out.write_text("notes")
    with pytest.raises(DataError, match="out: is a file; name a new folder"):
        read(tmp_path, out)
    assert out.read_text() == "notes"
