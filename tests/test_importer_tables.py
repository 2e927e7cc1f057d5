"""Tables as spreadsheets save them: read rightly, or refused in one line."""

from __future__ import annotations

import datetime
import re
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from annotation_files import small_coco
from openpyxl import Workbook
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.importers.identify import identify
from jointwrist.data.importers.match_rows import match_rows
from jointwrist.data.importers.patient_table import Row, read_table
from jointwrist.errors import DataError

PLAIN = "file,patient,side,spacing_mm\n0001_0001_L.png,Müller,L,0.15\n0002_0001_L.png,Möller,R,0.2\n"
SEMICOLON = PLAIN.replace(",", ";").replace("0.", "0,")
READ = {
    "utf-8": PLAIN.encode(),
    "mark": PLAIN.encode("utf-8-sig"),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16, no mark": PLAIN.encode("utf-16-le"),
    "utf-16, big": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "utf-32": PLAIN.encode("utf-32"),
    "cp1252": PLAIN.encode("cp1252"),
    "latin-1": PLAIN.encode("latin-1"),
    "old mac lines": PLAIN.replace("\n", "\r").encode(),
    "windows lines": PLAIN.replace("\n", "\r\n").encode(),
    "semicolon, comma decimals": SEMICOLON.encode("cp1252"),
    "tab": PLAIN.replace(",", "\t").encode("utf-16"),
    "sep": ("sep=;\r\n" + SEMICOLON).encode(),
    "quotes": "\n".join(",".join(f'"{f}"' for f in line.split(",")) for line in PLAIN.split("\n")[:3]).encode(),
    "spaces": PLAIN.replace(",", " , ").encode(),
    "capital columns": PLAIN.replace("file,patient,side,spacing_mm", "File,PATIENT,Side,Spacing mm").encode(),
    "backslashes": PLAIN.replace("000", "images\\000", 1).encode(),
    "folders": PLAIN.replace("\n0", "\nD:/radiographs/of last year/0").encode(),
    "case": PLAIN.replace("_L.png", "_l.PNG").encode(),
    "other ending": PLAIN.replace("_L.png", "_L.dcm").encode(),
    "no ending": PLAIN.replace("_L.png", "_L").encode(),
    "blank rows": (PLAIN + ",,,\n\n ,,\n").encode(),
    "trailing separators": PLAIN.replace("\n", ",,\n").encode(),
    "decomposed letters": PLAIN.replace("ü", "u\u0308").encode(),
    "digits kept as text": PLAIN.replace("0.2", '"=""0.2"""').encode(),
    "words for sides": PLAIN.replace(",L,", ",links,").replace(",R,", ",Right,").encode(),
}
REFUSED = {
    "nothing": (b"", "is empty"),
    "long field": (PLAIN.replace("Müller", "A" * 140_000).encode(), "line 2 has a field of more than 1,000"),
    "open quote": (PLAIN.replace("Müller", '"Müller').encode(), "is not a CSV file"),
    "too many fields": (PLAIN.replace("Müller", "Müller, Anna").encode(), "line 2 has more fields"),
    "other code page": (PLAIN.replace("Müller", "山田").encode("shift-jis", "replace") + b"\x81", "UTF-8"),
    "old excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "old kind"),
    "damaged workbook": (b"PK\3\4" + bytes(50), "damaged workbook"),
    "picture": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "table.csv"),
    "column twice": (PLAIN.replace("side", "Patient").encode(), "two columns"),
    "unknown column": (PLAIN.replace("side", "age").encode(), "age"),
    "side": (PLAIN.replace(",R,", ",Lat,").encode(), "neither L nor R"),
    "row too many": ((PLAIN + "0003_0001_L.png,x,L,\n").encode(), "0003_0001_L.png; correct the table"),
    "radiograph without a row": (PLAIN[: PLAIN.index("0002")].encode(), "0002_0001_L.png; correct the table"),
    "row twice": ((PLAIN + "0001_0001_L.png,x,L,\n").encode(), "has two rows"),
    "row twice in another case": ((PLAIN + "0001_0001_l.png,x,L,\n").encode(), "0001_0001_l.png; correct the table"),
    "patients alike": (PLAIN.replace("Möller", "müller").encode(), "differ only in case"),
    "leading zeros": (PLAIN.replace("Möller", "7").replace("Müller", "007").encode(), "leading zeros"),
    "zeros of a fraction": (PLAIN.replace("Möller", "7.0").replace("Müller", "007").encode(), "or .0;"),
    "zeros within": (PLAIN.replace("Möller", "P1").replace("Müller", "P01").encode(), "leading zeros"),
    "comma zero": (PLAIN.replace("Möller", '"7,0"').replace("Müller", "7").encode(), "or .0;"),
    "title above": (b"Wrists of 2026,,\n" + PLAIN.encode(), "its first line must name the columns, and is: Wrists of"),
    "two readers": (b"file,Lunate_R1,Lunate_R2\n0001_0001_L.png,0,1\n", "'Lunate_R1' is neither"),
    "two readers' remedy": (b"file,Lunate_R1,Lunate_R2\n0001_0001_L.png,0,1\n", "rename it, or remove it"),
    "long number": (PLAIN.replace("Müller", "1.23457E+11").encode(), "'1.23457E+11' names no patient"),
    "missing value": (PLAIN.replace("Müller", "nan").encode(), "'nan' names no patient"),
    "formula without a value": (PLAIN.replace("Müller", "#N/A").encode(), "a formula without a value (#N/A)"),
    "the same in German": (PLAIN.replace("Müller", "#BEZUG!").encode(), "a formula without a value (#BEZUG!)"),
    "two splits": (b"file,patient,split\n0001_0001_L.png,A,train\n0002_0001_L.png,A,test\n", "patient A is in"),
}


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return small_coco(tmp_path_factory.mktemp("set"), ["0001_0001_L.png", "0002_0001_L.png"])


@pytest.mark.parametrize("form", READ)
def test_a_table_of_any_form_says_the_same(form, source, tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes(READ[form])
    images = [source.parent / "0001_0001_L.png", source.parent / "0002_0001_L.png"]
    notes = []
    entries = identify(images, read_table(path, notes.append))
    assert any("cp1252" in note for note in notes) == (form in ("cp1252", "latin-1", "semicolon, comma decimals"))
    assert [entry.name for entry in entries] == ["Muller_0001_L", "Moller_0001_R"]
    assert [entry.spacing_mm for entry in entries] == [0.15, 0.2]


@pytest.mark.parametrize(("one", "other"), [("P-1-12", "P-11-2"), ("P1", "P10"), ("12-3", "1-23"), ("P0", "P")])
def test_patients_whose_numbers_or_words_differ_are_two(one, other, source, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(PLAIN.replace("Müller", one).replace("Möller", other), encoding="utf-8")
    images = [source.parent / "0001_0001_L.png", source.parent / "0002_0001_L.png"]
    assert len({entry.identifier.patient for entry in identify(images, read_table(path))}) == 2


@pytest.mark.parametrize("missing", ["NA", ".", "nan", "<NA>", "NULL", "-", "N/A"])
def test_cells_that_say_that_they_are_empty_are_empty(missing, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f"file,patient,study,side,split,spacing_mm,Lunate,Scaphoid\n1.png,A{f',{missing}' * 5},2\n")
    (row,) = read_table(path)
    assert (row.study, row.side, row.split, row.spacing_mm) == ("", "", "", None)
    assert sorted(row.scores) == [-1] * (len(row.scores) - 1) + [2]


@pytest.mark.parametrize("code", ["-1", "9", "99", "999", "3-5", "1,5"])
def test_codes_of_missing_scores_are_not_guessed(code, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(f'file,Lunate\n1.png,"{code}"\n')
    with pytest.raises(DataError, match=r"Lunate: score .* leave it empty if it was not read"):
        read_table(path)


@pytest.mark.parametrize("case", REFUSED)
def test_a_table_that_cannot_be_used_is_one_line(case, source, tmp_path, capsys):
    content, message = REFUSED[case]
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["table.xlsx", "table.csv"])
def test_a_workbook_is_read(name, source, tmp_path):
    book = Workbook()
    book.active.append(["remarks"])
    book.create_sheet("radiographs")
    for row in (
        ["File", "Patient", "side", "study", "spacing_mm", "Lunate", None],
        ["0001_0001_L.png", 17, "L", datetime.date(2024, 5, 1), 0.15, 2.0, None],
        [None, None],
        ["0002_0001_L", "17.5", "R", None, None, None, None],
    ):
        book["radiographs"].append(row)
    book.save(tmp_path / "table.xlsx")
    (tmp_path / "table.xlsx").rename(tmp_path / name)
    rows = read_table(tmp_path / name)
    assert [(row.file, row.patient, row.study, row.spacing_mm, row.scores[3]) for row in rows] == [
        ("0001_0001_L.png", "17", "2024-05-01", 0.15, 2),
        ("0002_0001_L", "17.5", "", None, -1),
    ]


def workbook(path, value, merged=None):
    book = Workbook()
    for row in (["file", "patient"], ["a_L.png", value], ["b_L.png", None], ["c_L.png", "B"]):
        book.active.append(row)
    if merged:
        book.active.merge_cells(merged)
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("value", "merged", "message"),
    [("A", "B2:B3", "the cells B2:B3 are merged"), ('="A"&"B"', None, "never computed"), ("#REF!", None, "(#REF!)")],
)
def test_a_cell_of_a_workbook_without_a_value_of_its_own_is_refused(value, merged, message, tmp_path):
    with pytest.raises(DataError, match=re.escape(message)):
        read_table(workbook(tmp_path / "table.xlsx", value, merged))


def test_a_title_over_columns_and_a_formula_that_gives_nothing_are_no_fault(tmp_path):
    path = workbook(tmp_path / "table.xlsx", '=IF(1=1,"","A")', "A5:B5")
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            # as Excel and LibreOffice write it
            content = re.sub(rb'<c r="B2"[^>]*>(<f>.*?</f>)<v */>', rb'<c r="B2" t="str">\1<v></v>', content)
            archive.writestr(name, content.replace(b"<v></v></v>", b"<v></v>"))
    assert [(row.file, row.patient) for row in read_table(path)] == [("a_L.png", ""), ("b_L.png", ""), ("c_L.png", "B")]


def test_a_patient_named_by_the_table_for_one_radiograph_and_not_for_another_is_refused():
    """Otherwise the radiographs of one person have two patients, and perhaps two splits."""
    images = [Path("0001_0001_L.png"), Path("0001_0002_L.png"), Path("0002_0001_L.png")]
    rows = [Row("", "0001_0001_L.png", "Anna"), Row("", "0001_0002_L.png"), Row("", "0002_0001_L.png")]
    with pytest.raises(DataError, match=r"0001_0002_L.png: the table names no patient.* Anna; write"):
        identify(images, rows)
    with pytest.raises(DataError, match="names no patient"):
        identify(images, rows[:1], allow_partial=True)
    rows[1] = replace(rows[1], patient="Anna")
    assert [entry.identifier.patient for entry in identify(images, rows)] == ["Anna", "Anna", "0002"]


def test_paths_distinguish_radiographs_of_one_name(tmp_path, capsys):
    source = small_coco(tmp_path / "in", ["p1/radiograph_L.png", "p2/radiograph_L.png", "p2/other_L.png"])
    table = tmp_path / "table.csv"
    words = ["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(table)]
    table.write_text("file,patient\nradiograph_L.png,A\nother_L.png,C\n")
    assert main(words) == 2 and "fits 2 radiographs" in capsys.readouterr().err
    table.write_text("file,patient\nP2\\Radiograph_L.png,B\np1/radiograph_L.png,A\nother_L.png,C\n")
    assert main(words) == 0
    for case in RamW600.open(tmp_path / "out").cases:
        number = "ABC".index(case.patient)
        assert (np.asarray(Image.open(case.image)) == number).all()


def test_partial_tables_are_allowed_where_asked_for(source, tmp_path, capsys):
    (tmp_path / "table.csv").write_text("file,patient\n0001_0001_L.png,A\ngone.png,B\n")
    words = ["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(tmp_path / "table.csv")]
    assert main([*words, "--allow-partial"]) == 0
    out = capsys.readouterr().out
    assert (
        "radiographs without a row in the table: " in out and "rows of the table without a radiograph: gone.png" in out
    )
    assert {case.patient for case in RamW600.open(tmp_path / "out").cases} == {"A", "0002"}


@pytest.mark.parametrize(
    "texts",
    [("Müller", "Möller"), ("Groß", "Gross"), ("Müller", "Muller"), ("A 1", "A1"), ("A 1", "A-1"), ("A.1", "A-1"),
     ("山田", "田中"), ("a" * 60 + "b", "a" * 60 + "c"), ("1.1", "11"), ("EXT_a", "a")],
)  # fmt: skip
def test_patients_of_different_texts_stay_different(texts, tmp_path):
    images = [tmp_path / "a_L.png", tmp_path / "b_L.png"]
    rows = [Row("", image.name, patient) for image, patient in zip(images, texts, strict=True)]
    first, second = identify(images, rows)
    assert first.identifier.patient.lower() != second.identifier.patient.lower()
    assert len(first.name) < 80
    alone = identify(images[:1], rows[:1])
    assert alone == identify(images[:1], rows[:1])


@pytest.mark.parametrize(
    "texts",
    [
        ("Müller", "Mu\u0308ller"),
        ("A 1", "A  1"),
        ("A 1", " A\u00a01 "),
        ("A-1", "A\u20111\u200b"),
        ("12", "\uff11\uff12"),
    ],
)
def test_texts_that_look_the_same_are_one_patient(texts, tmp_path):
    images = [tmp_path / "a_L.png", tmp_path / "b_R.png"]
    rows = [Row("", image.name, patient) for image, patient in zip(images, texts, strict=True)]
    assert len({entry.identifier.patient for entry in identify(images, rows)}) == 1


def test_radiographs_of_one_hand_without_studies_are_numbered_and_a_differing_side_is_reported(tmp_path):
    images, notes = [tmp_path / "0001_0001_L.png", tmp_path / "0002_0001_L.png"], []
    rows = [Row("", "0001_0001_L.png", "A", side="R"), Row("", "images/0002_0001_L.png", "A", side="R")]
    assert [entry.name for entry in identify(images, rows, note=notes.append)] == ["A_0001_R", "A_0002_R"]
    assert sum("the name states side L, the table R" in note for note in notes) == 2
    assert sum("study 0002" in note for note in notes) == 1
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "table.csv")


def test_a_name_that_begins_with_a_space_finds_its_row(tmp_path):
    """Cells are read without the spaces around them."""
    rows = [Row(file="_L.png", where="table, row 2")]
    assert match_rows([tmp_path / " _L.png"], rows) == rows
