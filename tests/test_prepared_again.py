"""Prepared radiographs follow the files: renamed ones are prepared again, and those taken out are not trained on."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import make, save
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.sample import as_right_hand
from jointwrist.errors import DataError
from jointwrist.inference.prepare_radiographs import prepare_radiographs, remove_others
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.weights.find import find_weights


@pytest.fixture(scope="module")
def pixels():
    wrist = as_right_hand(make_wrist(23, 0, PhantomConfig(size=320, prevalence=0.0)))
    return np.uint8(wrist.image[0] * 255)


def test_a_renamed_radiograph_has_the_side_and_the_patient_of_its_name(tmp_path, pixels, predictor):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    wrong = tmp_path / "0101_0001_L.png"  # a right hand
    Image.fromarray(pixels).save(wrong)
    before = prepare_radiographs([wrong], *rest, refused=lambda _: None)
    right = wrong.rename(tmp_path / "0102_0001_R.png")
    (after,) = prepare_radiographs([right], *rest)
    found = PreparedRadiograph.read(after)
    assert found.side == "R" and found.name == "0102_0001_R.png"
    other = right.rename(tmp_path / "0103_0001_R.png")
    (again,) = prepare_radiographs([other], *rest)
    assert again == after and before in ([], [after])
    assert PreparedRadiograph.read(again).patient != found.patient


def test_copies_are_prepared_once_and_not_again_in_the_next_run(tmp_path, pixels, predictor, monkeypatch):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    copies = [tmp_path / f"{name}_R.png" for name in "ab"]
    for path in copies:
        Image.fromarray(pixels).save(path)
    said = []
    (found,) = prepare_radiographs(copies, *rest, refused=said.append)
    assert [str(error) for error in said] == [f"{copies[1]}: is a copy of {copies[0]}, which is used in its place"]
    monkeypatch.setattr(type(predictor), "__call__", lambda *_: pytest.fail("prepared again"))
    assert prepare_radiographs(copies, *rest) == [found] and PreparedRadiograph.read(found).name == "a_R.png"


@pytest.mark.parametrize("content", ["", "[1]", '{"path"'])
def test_a_damaged_record_is_written_again(tmp_path, pixels, predictor, content):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    Image.fromarray(pixels).save(tmp_path / "a_R.png")
    found = prepare_radiographs([tmp_path / "a_R.png"], *rest)
    (record,) = tmp_path.glob("out/*/*.json")
    record.write_text(content)
    assert prepare_radiographs([tmp_path / "a_R.png"], *rest) == found


def test_a_prepared_file_that_was_deleted_is_made_again(tmp_path, pixels, predictor):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    Image.fromarray(pixels).save(tmp_path / "a_R.png")
    (found,) = prepare_radiographs([tmp_path / "a_R.png"], *rest)
    content = found.read_bytes()
    found.unlink()
    assert prepare_radiographs([tmp_path / "a_R.png"], *rest) == [found] and found.read_bytes() == content


def test_a_message_names_the_file_as_it_is_called_now(tmp_path, predictor):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(tmp_path / "a_R.png")
    for name in ("a_R.png", "b_R.png"):
        (tmp_path / "a_R.png").rename(tmp_path / name) if name != "a_R.png" else None
        for _ in range(2):
            with pytest.raises(DataError, match=name):
                prepare_radiographs([tmp_path / name], *rest)


def test_what_was_taken_out_of_the_folder_is_not_trained_on(tmp_path, pixels, predictor):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    files = [tmp_path / "a_R.png", tmp_path / "b_R.png"]
    for number, file in enumerate(files):
        Image.fromarray(pixels // (number + 1)).save(file)
    first, second = prepare_radiographs(files, *rest)
    remove_others([second])
    assert second.is_file() and not first.exists()
    assert prepare_radiographs(files, *rest) == [first, second] and first.is_file()


@pytest.mark.parametrize("command", ["adapt", "detectability"])
def test_results_are_not_written_among_the_radiographs(tmp_path, pixels, capsys, command):
    Image.fromarray(pixels).save(tmp_path / "a_R.png")
    assert main([command, str(tmp_path), "-o", str(tmp_path / "." / "x" / "..")]) == 2
    assert "choose another --out" in capsys.readouterr().err
    assert [path.name for path in tmp_path.glob("*.*")] == ["a_R.png"]


def test_a_network_that_takes_no_radiographs_is_named_before_their_bones_are_searched(tmp_path, phantom_root, capsys):
    words = ["train", "unet", "--data", str(phantom_root), "-o", str(tmp_path / "run"), "--radiographs", "nowhere"]
    assert main(words) == 2
    assert "--radiographs: unet is not a joint network" in capsys.readouterr().err


def test_radiographs_outside_the_scope_are_left_out(tmp_path, pixels, predictor):
    rest = tmp_path / "out", predictor, find_weights("jointwrist_tiny")
    for name, view in (("pa.dcm", "PA"), ("lateral.dcm", "LL")):
        save(make(pixels, bits=8, Laterality="R", ViewPosition=view), tmp_path / name)
    assert len(prepare_radiographs([tmp_path / "pa.dcm"], *rest)) == 1
    with pytest.raises(DataError, match=r"lateral\.dcm: The header names the view LL; .* within the weights' scope"):
        prepare_radiographs([tmp_path / "lateral.dcm"], *rest)
    wrist = as_right_hand(make_wrist(2002, 1, PhantomConfig(size=320, casts=1.0)))
    Image.fromarray(np.uint8(wrist.image[0] * 255)).save(tmp_path / "cast_R.png")
    with pytest.raises(DataError, match=r"cast_R\.png: It seems to show: cast\."):
        prepare_radiographs([tmp_path / "cast_R.png"], *rest)
