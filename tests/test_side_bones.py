"""The side of a wrist from names and headers of other sites, or else from its bones; what `predict` prints."""

from __future__ import annotations

import json

import numpy as np
import pytest
from dicom_files import make, save

from jointwrist.cli import main
from jointwrist.data.images import write_image
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError
from jointwrist.inference.result import read_masks
from jointwrist.inference.search.localiser import Localiser
from jointwrist.inference.search.locate import locate
from jointwrist.phantom import PhantomConfig, make_wrist

pytestmark = pytest.mark.usefixtures("segmented_once")

UNKNOWN = "side not known, taken for a right hand"


@pytest.fixture(scope="module")
def wrists():
    return [make_wrist(seed=8, index=index, config=PhantomConfig(size=256)) for index in range(4)]


@pytest.fixture(scope="module")
def left(wrists):
    return next(wrist for wrist in wrists if wrist.side == "L")


@pytest.fixture
def looks(monkeypatch):
    """The sides of all looks of the localiser, in order."""
    seen = []
    plain = Localiser._look
    monkeypatch.setattr(Localiser, "_look", lambda self, *args: (seen.append(args[2]), plain(self, *args))[1])
    return seen


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_the_side_of_a_wrist_and_of_its_mirror_image_is_found_from_the_bones(predictor, wrists):
    assert {wrist.side for wrist in wrists} == {"L", "R"}
    for wrist in wrists:
        for pixels, side in ((wrist.image[0], wrist.side), (wrist.image[0][:, ::-1], "LR".replace(wrist.side, ""))):
            (found,) = predictor.locate(Radiograph(np.ascontiguousarray(pixels)))
            assert found.radiograph.side == side and found.crop is None
            assert (
                found.radiograph.cautions
                == found.radiograph.notes
                == (f"The side {side} was inferred from the bones.",)
            )


def test_a_stated_side_costs_one_look_and_an_unlikely_one_is_remarked_upon(predictor, left, looks):
    (found,) = predictor.locate(Radiograph(left.image[0], side="L"))
    assert looks == ["L"] and not found.radiograph.cautions
    # a hand called by the wrong side either shows no wrist or gets a caution; it is never taken without a word
    try:
        (wrong,) = locate(predictor.localiser, Radiograph(left.image[0], side="R"), rotation=0)
    except DataError as error:
        assert "as a right hand" in str(error)
    else:
        assert (
            wrong.radiograph.side == "R" and "its bones look like those of a left one" in wrong.radiograph.cautions[-1]
        )


FROM_BONES = "the side L was inferred from the bones"
#: Radiographs of one left hand: the file's name, the header of a DICOM file, and what `predict` adds to its line.
RADIOGRAPHS = (
    ("wrist-L.png", None, ""),
    ("0001_01_WRI-L1_M014.png", None, ""),
    ("LHand.png", None, ""),
    ("model.png", None, FROM_BONES),
    ("L12.png", None, FROM_BONES),
    ("a.dcm", {"SeriesDescription": "LT WRIST"}, ""),
    ("b.dcm", {"StudyDescription": "Handgelenk li."}, ""),
    ("c.dcm", {}, FROM_BONES),
    ("child.dcm", {"Laterality": "L", "PatientAge": "006Y"}, "age under 18"),
    ("chest.dcm", {"Laterality": "L", "BodyPartExamined": "CHEST"}, "a body part other than"),
    ("lateral.dcm", {"Laterality": "L", "ViewPosition": "LL"}, "names the view LL"),
    ("said.dcm", {"Laterality": "L", "SeriesDescription": "RT WRIST"}, "says right: look at the overlay"),
)


def test_predict_gets_a_left_hand_right_and_prints_what_puts_it_in_doubt(tmp_path, capsys, left):
    for name, attributes, _ in RADIOGRAPHS:
        if attributes is None:
            write_image(tmp_path / name, left.image[0])
        else:
            header = {"Laterality": None, "ImagerPixelSpacing": [round(left.spacing_mm, 4)] * 2} | attributes
            save(make((left.image[0] * 4095).round().astype(np.uint16), **header), tmp_path / name)
    out = tmp_path / "out"
    assert main(["predict", *(str(tmp_path / name) for name, *_ in RADIOGRAPHS), "-o", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    for (name, _, added), line in zip(RADIOGRAPHS, lines, strict=False):
        # what the weights have not seen stands before the scores
        assert "eroded (untested on real erosions): " in line
        assert line.startswith(name) and (";" in line) == bool(added) and added in line
        stem = name.rsplit(".", 1)[0]
        assert json.loads((out / f"{stem}.json").read_text())["side"] == "L"
        masks = unpack_masks(read_masks(out / f"{stem}_masks.png"))
        assert np.mean([dice(*pair) for pair in zip(masks, unpack_masks(left.bones), strict=True)]) > 0.9


def test_an_unknown_side_is_stated_in_the_printed_line(tmp_path, capsys, left, monkeypatch):
    write_image(tmp_path / "wrist.png", left.image[0])
    command = ["predict", str(tmp_path / "wrist.png"), "-o", str(tmp_path / "out")]
    assert main([*command, "--field", "whole"]) == 0
    assert UNKNOWN in capsys.readouterr().out
    monkeypatch.setattr(Localiser, "side_from_bones", lambda *_: None)
    assert main(command) == 0
    assert UNKNOWN in capsys.readouterr().out
    assert any(UNKNOWN in note.lower() for note in json.loads((tmp_path / "out" / "wrist.json").read_text())["notes"])
    assert main([*command, "--side", "L"]) == 0
    assert UNKNOWN not in capsys.readouterr().out
