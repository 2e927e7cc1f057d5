"""What a DICOM header says of a patient stays there: planted in every such element, it is looked for in all outputs."""

from __future__ import annotations

import pydicom
import pytest
from test_dicom_results import write_film

from jointwrist.cli import main

pytestmark = pytest.mark.trust

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
def film(tmp_path):
    folder = tmp_path / "films"
    folder.mkdir()
    path, _ = write_film(folder, "L", **PLANTED, PatientBirthDate="19011231")
    assert pydicom.dcmread(path).PatientID == PLANTED["PatientID"]
    return path.rename(folder / "SECRETNAME_L.dcm")


def found(out, capsys) -> set[str]:
    """Names of outputs, and the streams, that hold a planted value."""
    streams = capsys.readouterr()
    contents = {"stdout": streams.out, "stderr": streams.err}
    names = {}
    for path in out.rglob("*"):
        if path.is_file():
            contents[path.name] = path.read_bytes().decode("latin-1")
            names[path.name] = path.name
    held = {name for name, text in contents.items() if "SECRET" in text.upper() or "19011231" in text}
    return held | {f"name of {name}" for name in names if "SECRET" in name}


def test_nothing_leaks_when_deidentified(film, tmp_path, capsys):
    out = tmp_path / "out"
    arguments = ["predict", str(film), "-o", str(out), "--dicom", "--deidentify", "--sheet", str(out / "sheet.png")]
    assert main(arguments) == 0
    assert len(list(out.iterdir())) >= 5 and found(out, capsys) == set()
    assert main([*arguments, "--json"]) == 0
    assert found(out, capsys) == set()


def test_without_the_option_only_dicom_files_and_the_file_s_own_name_tell(film, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["predict", str(film), "-o", str(out), "--dicom"]) == 0
    capsys.readouterr()
    for path in out.iterdir():
        text = path.read_bytes().decode("latin-1").replace("SECRETNAME", "")
        assert ("SECRET" in text) == (path.suffix == ".dcm"), path.name


def test_a_damaged_film_s_error_does_not_quote_its_header(film, tmp_path, capsys):
    content = film.read_bytes()
    (tmp_path / "cut.dcm").write_bytes(content[: len(content) // 2])
    assert main(["predict", str(tmp_path / "cut.dcm"), "-o", str(tmp_path / "out")]) == 2
    assert "SECRET" not in capsys.readouterr().err


def test_two_visits_compared_tell_nothing_of_the_header(film, tmp_path, capsys):
    follow = film.with_name("SECOND_L.dcm")
    follow.write_bytes(film.read_bytes())
    main(["compare", str(film), str(follow), "--json", "--out", str(tmp_path / "out")])
    streams = capsys.readouterr()
    text = (streams.out + streams.err).replace("SECRETNAME", "")
    assert "SECRET" not in text and "19011231" not in text
