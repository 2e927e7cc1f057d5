"""Patient data in a DICOM header: planted in every such element and searched for in all outputs."""

from __future__ import annotations

import json

import pydicom
import pytest
from dicom_files import make, save
from dicom_results import write_radiograph
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.load import load_radiograph
from jointwrist.errors import DataError

pytestmark = [pytest.mark.trust, pytest.mark.usefixtures("segmented_once")]

pytest.importorskip("highdicom")

PLANTED = {
    keyword: f"SECRET{number}"
    for number, keyword in enumerate(
        (
            "PatientName", "PatientID", "OtherPatientNames", "PatientAddress", "PatientComments", "OtherPatientIDs",
            "ReferringPhysicianName", "OperatorsName", "PerformingPhysicianName", "InstitutionName",
            "InstitutionAddress", "AccessionNumber", "StudyID", "StudyDescription", "SeriesDescription",
            "RequestingPhysician", "StationName", "ImageComments", "MilitaryRank",
        )
    )
}  # fmt: skip


@pytest.fixture
def radiograph(tmp_path):
    folder = tmp_path / "radiographs"
    folder.mkdir()
    path, _ = write_radiograph(folder, "L", **PLANTED, PatientBirthDate="19011231")
    assert pydicom.dcmread(path).PatientID == PLANTED["PatientID"]
    return path.rename(folder / "SECRETNAME_L.dcm")


def found(out, capsys) -> set[str]:
    """Names of outputs, and the streams, that hold a planted value; what is burnt into pixels is not looked for."""
    streams = capsys.readouterr()
    contents = {"stdout": streams.out, "stderr": streams.err}
    names = {}
    for path in out.rglob("*"):
        if path.is_file():
            contents[path.name] = path.read_bytes().decode("latin-1")
            names[path.name] = path.name
            if path.suffix == ".png":  # its texts may be compressed
                contents[f"texts of {path.name}"] = str(Image.open(path).info)
    held = {name for name, text in contents.items() if "SECRET" in text.upper() or "19011231" in text}
    return held | {f"name of {name}" for name in names if "SECRET" in name}


def test_nothing_leaks_when_deidentified(radiograph, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = [
        "predict",
        str(radiograph),
        "-o",
        str(out),
        "--dicom",
        "--deidentify",
        "--sheet",
        str(out / "sheet.png"),
    ]
    assert main(arguments) == 0
    assert len(list(out.iterdir())) >= 5 and found(out, capsys) == set()
    assert main([*arguments, "--json"]) == 0
    assert found(out, capsys) == set()


def test_without_the_option_only_dicom_files_and_the_file_s_own_name_tell(radiograph, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(radiograph), "-o", str(out), "--dicom"]) == 0
    capsys.readouterr()
    for path in out.iterdir():
        text = path.read_bytes().decode("latin-1").replace("SECRETNAME", "")
        assert ("SECRET" in text) == (path.suffix == ".dcm"), path.name


def test_a_damaged_radiograph_s_error_does_not_quote_its_header(radiograph, tmp_path, capsys):
    content = radiograph.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: len(content) // 2])
    assert main(["predict", str(tmp_path / "cut.dcm"), "-o", str(tmp_path / "out")]) == 2
    assert "SECRET" not in capsys.readouterr().err


DAMAGED = {
    "no image": ("SECRETNAME.png", b"none"),
    "cut image": ("SECRETNAME.png", b"\x89PNG\r\n\x1a\n" + bytes(40)),
    "cut array": ("SECRETNAME.npy", b"\x93NUMPY\x01\0"),
    "no DICOM file": ("SECRETNAME.dcm", b"none"),
    "cut DICOM file": ("SECRETNAME", bytes(128) + b"DICM" + b"\x02\0\0\0UL"),
    "nothing": ("SECRETNAME", None),
    "empty folder": ("SECRETNAME", "folder"),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_an_unreadable_radiograph_is_not_named_when_deidentified(kind, tmp_path, capsys):
    name, content = DAMAGED[kind]
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    out = tmp_path / "out"
    assert main(["predict", str(tmp_path / name), "-o", str(out), "--deidentify"]) == 2
    streams = capsys.readouterr()
    assert "SECRET" not in streams.out + streams.err
    assert ("film-001: " in streams.err) == (kind not in ("nothing", "empty folder"))
    assert main(["compare", str(tmp_path / name), str(tmp_path / name), "-o", str(out), "--deidentify"]) == 2
    streams = capsys.readouterr()
    assert "SECRET" not in streams.out + streams.err and "baseline: " in streams.err


def test_a_radiograph_that_the_system_will_not_read_is_not_named(tmp_path, capsys, monkeypatch):
    for ending in ("png", "npy", "dcm"):
        path = tmp_path / f"SECRETNAME.{ending}"
        path.touch()

        def refuse(*_, path=path, **__):
            raise PermissionError(13, "Permission denied", str(path))

        for place in ("builtins.open", "io.open", "pathlib.Path.open", "numpy.load", "numpy.lib.format.open_memmap"):
            monkeypatch.setattr(place, refuse)
        try:
            with pytest.raises(DataError, match=r"^film-001: .*Permission denied") as refusal:
                load_radiograph(path, name="film-001")
        finally:
            monkeypatch.undo()
        assert "SECRET" not in str(refusal.value)


def test_faulty_patient_data_are_quoted_nowhere(radiograph, tmp_path, capsys, recwarn):
    """pydicom warns of values that their representation forbids, and quotes them."""
    dataset = pydicom.dcmread(radiograph)
    for name in ("PatientBirthDate", "StudyDate", "StudyTime", "PatientSex"):
        dataset[name] = pydicom.DataElement(name, "LO", "SECRET/7")
        dataset[name].VR = {"Date": "DA", "Time": "TM"}.get(name[-4:], "CS")
    dataset.save_as(radiograph)
    recwarn.clear()
    assert main(["predict", str(radiograph), "-o", str(tmp_path / "out"), "--dicom"]) == 0
    streams = capsys.readouterr()
    assert "SECRET" not in (streams.out + streams.err).replace("SECRETNAME", "").replace(str(tmp_path), "")
    assert not [w for w in recwarn if "SECRET" in str(w.message)]


def test_a_deidentified_comparison_contains_no_file_names(radiograph, tmp_path, capsys):
    out = tmp_path / "out"
    follow = radiograph.with_name("SECRETSECOND_L.dcm")
    follow.write_bytes(radiograph.read_bytes())
    for extra in ([], ["--json"]):
        assert main(["compare", str(radiograph), str(follow), "--out", str(out), "--deidentify", *extra]) == 0
        assert found(out, capsys) == set()
    assert json.loads((out / "comparison.json").read_text())["followup"] == "followup"


def test_a_comparison_contains_nothing_of_the_header(radiograph, tmp_path, capsys):
    follow = radiograph.with_name("SECOND_L.dcm")
    follow.write_bytes(radiograph.read_bytes())
    assert main(["compare", str(radiograph), str(follow), "--json", "--out", str(tmp_path / "out")]) == 0
    streams = capsys.readouterr()
    written = [path.read_bytes().decode("latin-1") for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert written
    for text in (streams.out, streams.err, *written):
        text = text.replace("SECRETNAME", "")
        assert "SECRET" not in text and "19011231" not in text


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning")  # said when the test writes it
@pytest.mark.parametrize("name", ["Modality", "PhotometricInterpretation"])
def test_a_value_that_is_no_code_is_not_repeated(tmp_path, name):
    with pytest.raises(DataError) as refusal:
        load_radiograph(save(make(**{name: "Doe^Jane"}), tmp_path / "radiograph.dcm"))
    assert "(no code)" in str(refusal.value) and "Doe" not in str(refusal.value)
