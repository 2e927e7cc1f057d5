"""`jointwrist predict`: no radiograph stops, overwrites or passes for another one."""

from __future__ import annotations

import io
import json
import sys

import bad_files
import numpy as np
import pytest
import torch
from dicom_files import make
from dicom_files import save as save_dicom
from PIL import Image
from pydicom import uid

from jointwrist.cli import main
from jointwrist.data.images import write_image
from jointwrist.data.result_files import EARLIER
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights

BLOTCHES = np.random.default_rng(0).random((48, 40)).astype(np.float32)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of a small network."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "w.safetensors"
    options = {"encoder": "conv", "roi_crop": 32}
    info = {"model": "jointwrist_tiny", "options": options, "image_size": 32}
    save_weights(path, create_model("jointwrist_tiny", **options), info)
    return path


@pytest.fixture
def predict(tmp_path, weights, capsys):
    """Run the command on radiographs as they are; give its exit code, printed lines and results by their name."""

    def run(*radiographs, field="whole", extra=()):
        out = tmp_path / "out"
        words = ["predict", *map(str, radiographs), "-w", str(weights), "-o", str(out), "--field", field, *extra]
        code, said = main(words), capsys.readouterr()
        results = {path.stem: json.loads(path.read_text()) for path in out.glob("*.json")}
        return code, said, results

    return run


def radiograph(folder, name="radiograph.png", pixels=BLOTCHES):
    write_image(folder / name, pixels)
    return folder / name


def test_a_strip_is_refused_and_the_others_go_on(tmp_path, predict):
    for size in ((1, 20_000_000), (67_000, 1000)):
        (tmp_path / "strip.png").write_bytes(bad_files.png_of_size(*size))
        code, said, results = predict(tmp_path / "strip.png", radiograph(tmp_path))
        assert code == 2 and "strip.png" in said.err and "8,192" in said.err and set(results) == {"radiograph"}


def test_no_file_is_reported_where_none_was_written(tmp_path, predict):
    (tmp_path / "torn.png").write_bytes(b"torn")
    code, said, results = predict(tmp_path / "torn.png")
    assert (code, said.out, results) == (2, "", {}) and "torn.png" in said.err
    assert "overlays, scores and masks" in predict(tmp_path / "torn.png", radiograph(tmp_path))[1].out


def test_the_longest_strip_that_is_allowed_is_predicted(tmp_path, predict):
    long = radiograph(tmp_path, "long.png", np.linspace(0, 1, 8192, dtype=np.float32)[:, None])
    for side in "LR":
        code, _, results = predict(long, extra=["--side", side])
        assert code == 0 and results["long"]["size"] == [8192, 1]
    assert predict(long, field="auto")[0] == 2


def test_a_radiograph_of_both_hands_does_not_stop_the_others(tmp_path, predict):
    both = save_dicom(make(Laterality="B"), tmp_path / "both.dcm")
    code, said, results = predict(both, radiograph(tmp_path))
    assert code == 2 and "both.dcm: shows both hands" in said.err and set(results) == {"radiograph"}


@pytest.mark.usefixtures("segmented_once")
def test_two_hands_overwrite_no_other_radiograph(tmp_path, predict):
    config = PhantomConfig(size=280, field_of_view=(210.0, 210.0))
    wrists = [make_wrist(seed=41, index=index, config=config) for index in range(4)]
    hands = [next(wrist for wrist in wrists if wrist.side == side).image[0][:, 30:-30] for side in "LR"]
    both = radiograph(tmp_path, "both.png", np.concatenate(hands, axis=1))
    one = radiograph(tmp_path, "both_L.png", make_wrist(seed=8, index=0, config=PhantomConfig(size=200)).image[0])
    for radiographs in ((both, one), (one, both)):
        code, _, results = predict(*radiographs, field="auto", extra=["--rotation", "0"])
        sources = {stem: result["source"] for stem, result in results.items()}
        assert code == 0
        assert sources == {"both_L": "both_L.png", "both_both_L": "both.png", "both_R": "both.png"}


def test_radiographs_of_one_name_in_several_folders_are_told_apart(tmp_path, predict):
    for series in ("s1", "s2"):
        (tmp_path / "study" / series).mkdir(parents=True)
        save_dicom(make(), tmp_path / "study" / series / "IM0001")
    code, _, results = predict(tmp_path / "study")
    assert code == 0 and set(results) == {"s1_IM0001", "s2_IM0001"}


def test_one_path_that_does_not_exist_does_not_stop_the_others(tmp_path, predict):
    link, empty = tmp_path / "link.png", tmp_path / "empty"
    link.symlink_to("nowhere.png")
    empty.mkdir()
    code, said, results = predict(link, tmp_path / "typo.png", empty, radiograph(tmp_path))
    assert code == 2 and set(results) == {"radiograph"} and "1 of 4 radiographs predicted, 3 refused" in said.out
    for reason in (f"{link}: is a link to a file", "typo.png: no such file", f"{empty}: holds no radiographs"):
        assert reason in said.err
    code, said, _ = predict(tmp_path)
    assert code == 2 and f"{link}: is a link to a file" in said.err, "in a folder it is refused as well"
    code, said, _ = predict(tmp_path / "typo.png", empty)
    assert code == 2 and "typo.png: no such file" in said.err and "holds no radiographs" in said.err
    code, said, results = predict(tmp_path / "Smith.png", radiograph(tmp_path), extra=["--deidentify"])
    assert code == 2 and "FILE 1 of the command: no such file" in said.err and "Smith" not in said.err


def test_results_in_the_folder_of_the_radiographs_are_no_radiographs(tmp_path, predict):
    radiograph(tmp_path)
    for _ in range(2):
        code, _, results = predict(tmp_path)
        assert code == 0 and set(results) == {"radiograph"}


def test_one_name_that_is_too_long_does_not_stop_the_others(tmp_path, predict):
    long, longer = radiograph(tmp_path, f"{'ü' * 110}.png"), radiograph(tmp_path, f"{'ü' * 120}.png")
    code, said, results = predict(longer, long, radiograph(tmp_path), extra=["--also", "nrrd,nifti"])
    assert code == 2 and set(results) == {long.stem, "radiograph"} and "give it a shorter one" in said.err


def test_objects_without_an_image_are_left_out_of_a_folder(tmp_path, predict):
    radiograph(tmp_path)
    for name in ("GrayscaleSoftcopyPresentationState", "KeyObjectSelectionDocument", "EncapsulatedPDF"):
        save_dicom(make(SOPClassUID=getattr(uid, f"{name}Storage"), Modality="PR"), tmp_path / name)
    code, said, results = predict(tmp_path)
    assert code == 0 and set(results) == {"radiograph"} and "left out 3 (" in said.err
    save_dicom(make(SOPClassUID=uid.CTImageStorage, Modality="CT"), tmp_path / "CT")
    code, said, _ = predict(tmp_path)
    assert code == 2 and "CT Image Storage is not a radiograph" in said.err
    code, said, _ = predict(tmp_path / "EncapsulatedPDF")
    assert code == 2 and "Encapsulated PDF Storage is not a radiograph" in said.err


def test_earlier_results_are_no_radiographs_wherever_they_lie(tmp_path, predict):
    save_dicom(make(StudyInstanceUID="1.2.3", SeriesInstanceUID="1.2.4"), tmp_path / "film.dcm")
    out = tmp_path / "earlier"
    first = predict(tmp_path, extra=["--dicom", "seg,sr,pr,sc", "--sheet", str(tmp_path / "sheet.png"), "-o", str(out)])
    written = {path.name for path in out.iterdir()}
    assert first[0] == 0, first[1].err
    assert written > {"film_seg.dcm", "film_overlay.png", "film_masks.png"}
    code, said, results = predict(tmp_path, extra=["--sheet", str(tmp_path / "sheet.png")])
    assert code == 0 and set(results) == {"film"} and f"left out {len(written)} (" in said.err
    code, said, _ = predict(tmp_path / "film.dcm", *out.glob("*.png"), tmp_path / "sub" / ".." / "film.dcm")
    assert code == 2 and "sub" in said.err  # a folder that is not there
    code, said, results = predict(tmp_path / "film.dcm", *sorted(out.glob("*.png")))
    assert code == 0 and set(results) == {"film"} and "film_overlay.png" in said.err
    code, said, _ = predict(out / "film_overlay.png")
    assert code == 2 and "name them, not their results" in said.err
    for path in out.iterdir():  # as a later run leaves them that refuses the radiograph
        path.rename(path.with_name(path.name + EARLIER))
    code, said, results = predict(tmp_path, extra=["--sheet", str(tmp_path / "sheet.png")])
    assert code == 0 and set(results) == {"film"} and "film_sc.dcm.earlier" in said.err


@pytest.mark.parametrize("name", ["radiograph_masks.png", "radiograph_masks.seg.nrrd", "radiograph_masks.nii.gz"])
def test_masks_drawn_by_hand_are_kept(tmp_path, predict, name):
    file = radiograph(tmp_path)
    (tmp_path / name).write_bytes(b"drawn by hand")
    code, said, _ = predict(file, extra=["-o", str(tmp_path), "--also", "nrrd,nifti"])
    assert code == 2 and f"{name} is no result" in said.err and (tmp_path / name).read_bytes() == b"drawn by hand"
    assert predict(file, extra=["-o", str(tmp_path), "--overwrite"])[0] == 0


def test_one_file_given_in_two_ways_is_one_radiograph(tmp_path, predict, monkeypatch):
    file = radiograph(tmp_path)
    monkeypatch.chdir(tmp_path)
    assert set(predict("radiograph.png", file, tmp_path)[2]) == {"radiograph"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_a_name_of_another_encoding_is_not_written_for_annotation_tools(tmp_path, predict):
    """As a disc of an old system leaves it: tools read names from UTF-8 files, and would not find the picture."""
    foreign, sound = (radiograph(tmp_path, name) for name in ("M\udcfcller_L.png", "Müller_R.png"))
    code, said, results = predict(foreign, sound, extra=["--for", "labelme"])
    assert code == 2 and "M\\udcfcller_L.png: its name is not text in UTF-8" in said.err
    assert "Traceback" not in said.err and set(results) == {"Müller_R"}
    assert (tmp_path / "out/labelme/table.csv").read_text() == "file,side\nMüller_R.png,R\n"


def test_an_output_that_is_a_file_is_said_before_the_work(tmp_path, predict):
    (tmp_path / "out").write_bytes(b"notes")
    code, said, _ = predict(radiograph(tmp_path))
    assert code == 2 and "is a file; choose a folder as --out" in said.err and (tmp_path / "out").read_bytes()
    assert main(["adapt", str(tmp_path), "--out", str(tmp_path / "out")]) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are text here")
def test_any_file_name_is_printed_without_harm(tmp_path, predict):
    name = b"M\xfcller \x1b[31m\n.png"
    path = tmp_path / name.decode("utf-8", "surrogateescape")
    radiograph(tmp_path).rename(path)
    code, said, results = predict(path, extra=["--sheet", str(tmp_path / "sheet.png")])
    assert code == 0 and len(results) == 1
    line = said.out.splitlines()[0]
    assert line.startswith("M\\udcfcller \\x1b[31m\\n.png: ")
    path.write_bytes(b"none")
    code, said, _ = predict(path)
    assert code == 2 and "\x1b" not in said.err and "x1b[31m" in said.err


def test_a_terminal_of_few_characters_is_no_reason_to_stop(tmp_path, weights, monkeypatch):
    path = radiograph(tmp_path, "Röntgen.png")
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", terminal)
    words = ["predict", str(path), "-w", str(weights), "-o", str(tmp_path / "out"), "--field", "whole"]
    assert main(words) == 0
    terminal.flush()
    assert b"R\\xf6ntgen.png: " in terminal.buffer.getvalue()
    assert (tmp_path / "out" / "Röntgen.json").is_file()


def test_the_window_is_chosen(tmp_path, predict):
    path = save_dicom(make(WindowCenter=[100, 3000], WindowWidth=[50, 400]), tmp_path / "radiograph.dcm")
    shown = []
    for window in ("0", "1"):
        assert predict(path, extra=["--window", window])[0] == 0
        shown.append(
            np.asarray(Image.open(tmp_path / "out" / "radiograph_overlay.png"))[:900, :850].astype(float).mean()
        )
    assert shown[0] > shown[1] + 50, "most values are above 100, few above 3000"
    code, said, _ = predict(path, extra=["--window", "2"])
    assert code == 2 and "radiograph.dcm: there is no window 2" in said.err
    with pytest.raises(SystemExit):
        predict(path, extra=["--window", "-1"])


def test_a_spacing_is_for_radiographs_that_state_none(tmp_path, predict):
    picture, other = radiograph(tmp_path), tmp_path / "other"
    assert predict(picture, extra=["--spacing", "0.2"])[2]["radiograph"]["pixel_spacing_mm"] == 0.2
    other.mkdir()
    silent = save_dicom(make(ImagerPixelSpacing=None), other / "silent.dcm")
    stated = save_dicom(make(), other / "stated.dcm")
    code, _, results = predict(silent, stated, extra=["--spacing", "0.2"])
    assert code == 0 and results["silent"]["pixel_spacing_mm"] == 0.2
    assert results["stated"]["pixel_spacing_mm"] == 0.15
    assert [note for note in results["stated"]["notes"] if "0.15 mm, not 0.2; the header was used" in note]
    assert not [note for note in results["silent"]["notes"] if "spacing" in note]


@pytest.mark.parametrize("wrong", ["0", "-0.2", "nan", "175", "0.2mm"])
def test_an_impossible_spacing_is_refused_with_the_range(predict, tmp_path, capsys, wrong):
    with pytest.raises(SystemExit):
        predict(radiograph(tmp_path), extra=[f"--spacing={wrong}"])
    assert "--spacing" in capsys.readouterr().err
