"""Valid but unusual files of other programs: read rightly, or refused in one line."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from dicom_files import make, save
from openpyxl import Workbook
from PIL import Image
from test_tiff import tiff

from jointwrist.anatomy import load_anatomy
from jointwrist.data.dataset.tables import read_further_scores
from jointwrist.data.dicom.read import read_dicom
from jointwrist.data.images import read_image
from jointwrist.data.importers import read_coco, read_labelme
from jointwrist.data.importers.patient_table import read_table
from jointwrist.data.shapes.label_names import match_names, read_map
from jointwrist.data.spacing import parse_spacing
from jointwrist.engine.score_external_erosions import read_probabilities
from jointwrist.errors import DataError

#: Shutters by name, and what they show of 40 rows and 50 columns, counted from 1.
ROW, COLUMN = np.mgrid[1:41, 1:51]
EDGES = {
    "ShutterUpperHorizontalEdge": 4, "ShutterLowerHorizontalEdge": 38, "ShutterLeftVerticalEdge": 6,
    "ShutterRightVerticalEdge": 50,
}  # fmt: skip
CIRCLE = {"CenterOfCircularShutter": [20, 25], "RadiusOfCircularShutter": 18}
SHUTTERS = {
    "rectangle": ({"ShutterShape": "RECTANGULAR", **EDGES}, (ROW >= 4) & (ROW <= 38) & (COLUMN >= 6)),
    "circle": ({"ShutterShape": "CIRCULAR", **CIRCLE}, (ROW - 20) ** 2 + (COLUMN - 25) ** 2 <= 18**2),
    "both": (
        {"ShutterShape": ["RECTANGULAR", "CIRCULAR"], **EDGES, **CIRCLE},
        (ROW >= 4) & (ROW <= 38) & (COLUMN >= 6) & ((ROW - 20) ** 2 + (COLUMN - 25) ** 2 <= 18**2),
    ),
    "polygon": (
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [4, 6, 4, 46, 34, 6]},
        (ROW >= 4) & (COLUMN >= 6) & (3 * (COLUMN - 6) + 4 * (ROW - 4) <= 120),
    ),
}


def grey() -> np.ndarray:
    return np.random.default_rng(0).integers(100, 900, (40, 50)).astype(np.uint16)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("name", SHUTTERS)
def test_what_a_shutter_hides_is_dark_and_has_no_part_in_the_range(tmp_path, name, photometric):
    shutter, shown = SHUTTERS[name]
    values = np.where(shown, grey(), 4095).astype(np.uint16)
    found = read_dicom(
        save(make(values, PhotometricInterpretation=photometric, **shutter), tmp_path / "radiograph.dcm")
    )
    low, high = int(values[shown].min()), int(values[shown].max())
    shades = (values - float(low)) / (high - low)
    np.testing.assert_allclose(found.pixels[shown], (1 - shades if "1" in photometric else shades)[shown], atol=1e-6)
    assert not found.pixels[~shown].any()


@pytest.mark.parametrize(
    "shutter",
    [
        {"ShutterShape": "RECTANGULAR"},
        {"ShutterShape": "RECTANGULAR", **EDGES, "ShutterLowerHorizontalEdge": 0},
        {"ShutterShape": "CIRCULAR", "CenterOfCircularShutter": [20, 25]},
        {"ShutterShape": "POLYGONAL", "VerticesOfThePolygonalShutter": [1, 1, 40]},
        {"ShutterShape": "BITMAP"},
    ],
)
def test_a_shutter_that_is_not_valid_hides_nothing(tmp_path, shutter):
    plain = read_dicom(save(make(grey()), tmp_path / "radiograph.dcm"))
    found = read_dicom(save(make(grey(), **shutter), tmp_path / "radiograph.dcm"))
    np.testing.assert_array_equal(found.pixels, plain.pixels)


@pytest.mark.parametrize("text", ["0.15", "0.15 mm", "0.15mm/px", "[0.15, 0.15]", "['0.15', '0.15']", "0.15 x 0.15 MM"])
def test_a_spacing_in_mm(text):
    assert parse_spacing(text) == 0.15


@pytest.mark.parametrize("text", ["0.15 cm", "0.015 cm", "0.15 m", "0.02 in", "1 px/mm", "1 %", "0.15 µm", "nan"])
def test_a_spacing_in_another_unit_is_none(text):
    assert parse_spacing(text) is None


@pytest.mark.parametrize("text", ["2", "2.0", "2,00", "2 "])
def test_a_whole_score_as_pandas_writes_it(tmp_path, text):
    (tmp_path / "table.csv").write_text(f"file;Lunate\na_L.png;{text}\n")
    assert read_table(tmp_path / "table.csv")[0].scores[3] == 2
    (tmp_path / "erosion.csv").write_text(f"case;joint;probability;level\n0001_0001_L;Lunate;0,75;{text}\n")
    assert read_probabilities(tmp_path / "erosion.csv", {"0001_0001_L"})[0] == {("0001_0001_L", 3): (0.75, 2)}
    (tmp_path / "narrowing.csv").write_text(f'identifier,CMC3,SR\n0001_0001_L,,"{text}"\n')
    scores = read_further_scores(tmp_path, anatomy=load_anatomy("wrist_narrowing"))
    assert sorted(scores["0001_0001_L"][0])[-1] == 2


@pytest.mark.parametrize(
    ("text", "side"),
    [("L.", "L"), ("Lt.", "L"), ("li.", "L"), ("left wrist", "L"), ("R hand", "R"), ("rechte Hand", "R"), ("左", "L")],
)
def test_sides_as_people_write_them(tmp_path, text, side):
    (tmp_path / "table.csv").write_text(f"file,side\na.png,{text}\n", encoding="utf-8")
    assert read_table(tmp_path / "table.csv")[0].side == side


@pytest.mark.parametrize("text", ["1", "2", "both", "L/R", "B", "G", "dx", "Lat"])
def test_no_other_side_is_guessed(tmp_path, text):
    (tmp_path / "table.csv").write_text(f"file,side\na.png,{text}\n")
    with pytest.raises(DataError, match="is neither L nor R"):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize("text", ["2.5", "-2", "II", "3-5", "6.0", "2.0.0"])
def test_no_other_score_is_guessed(tmp_path, text):
    (tmp_path / "table.csv").write_text(f"file;Lunate\na_L.png;{text}\n")
    with pytest.raises(DataError, match="is not one of 0 to 5"):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize("text", ["NA", "n.a.", "-", ".", "#", "k.A.", "missing", "Anonymous", "__"])
def test_a_placeholder_is_no_patient(tmp_path, text):
    """All radiographs with it would become those of one person."""
    (tmp_path / "table.csv").write_text(f"file,patient\na_L.png,{text}\n")
    with pytest.raises(DataError, match="names no patient for certain"):
        read_table(tmp_path / "table.csv")


def test_numbers_that_excel_has_rounded_are_no_patients(tmp_path):
    """Of the 18 digits of an identity card Excel keeps 15, which several people share."""
    for patient in (110101199003077777, 1.10101199003078e17):
        book = Workbook()
        for row in (["file", "patient"], ["a_L.png", patient]):
            book.active.append(row)
        book.save(tmp_path / "table.xlsx")
        with pytest.raises(DataError, match=r"'1.10101E\+17' names no patient for certain"):
            read_table(tmp_path / "table.xlsx")


def test_transparent_pixels_of_16_bits_are_dark(tmp_path):
    grey = np.random.default_rng(2).integers(0, 65536, (9, 13)).astype(np.uint16)
    grey[:3] = 65535
    Image.fromarray(grey).save(tmp_path / "radiograph.png", transparency=65535)
    np.testing.assert_allclose(
        read_image(tmp_path / "radiograph.png"), np.where(grey == 65535, 0, grey) / 65535, atol=1e-7
    )


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
@pytest.mark.parametrize("ending", ["png", "tif", "npy"])
def test_values_of_fewer_bits_stored_as_16_are_as_bright_as_they_are(tmp_path, bits, ending):
    """Divided by 65535, twelve bits gave a black overlay and crops of 16 shades."""
    values = np.linspace(0, 2**bits - 1, 9 * 13).round().astype(np.uint16).reshape(9, 13)
    if ending == "npy":
        np.save(tmp_path / "radiograph.npy", values)
    else:
        Image.fromarray(values).save(tmp_path / f"radiograph.{ending}")
    np.testing.assert_allclose(read_image(tmp_path / f"radiograph.{ending}"), values / (2**bits - 1), atol=1e-7)
    if ending == "tif":
        white_is_zero = tiff(2**bits - 1 - values.astype(int), 16, 1, 0, "<")
        (tmp_path / "radiograph.tif").write_bytes(white_is_zero)
        np.testing.assert_allclose(read_image(tmp_path / "radiograph.tif"), values / (2**bits - 1), atol=1e-7)


#: Annotations of one polygon as tools write them, and what is said of them.
OTHERS = {
    "VIA project": ({"_via_settings": {}, "_via_img_metadata": {}}, "is a project of VIA; export"),
    "VIA": ({"a.png1": {"filename": "a.png", "regions": []}}, "holds annotations of VIA; export"),
    "Label Studio": ([{"id": 1, "data": {}, "annotations": []}], "is Label Studio's own JSON; export"),
    "Supervisely": ({"size": {"height": 9, "width": 9}, "objects": []}, "is a file of Supervisely; export"),
    "Label Studio JSON-MIN": (
        [{"image": "/data/upload/1/a.png", "id": 1, "annotation_id": 3, "annotator": 1, "label": [{"x": 1}]}],
        "is Label Studio's JSON-MIN; export the project as COCO",
    ),
    "QuPath": ({"type": "FeatureCollection", "features": []}, "is GeoJSON, as QuPath writes it; convert"),
    "QuPath list": (
        [{"type": "Feature", "geometry": {"type": "Polygon", "coordinates": []}, "properties": {}}],
        "is GeoJSON, as QuPath writes it; convert",
    ),
    "QuPath object": (
        {"type": "Feature", "geometry": {"type": "MultiPolygon", "coordinates": []}},
        "is GeoJSON, as QuPath writes it; convert",
    ),
    "SuperAnnotate": ({"metadata": {"name": "a.png"}, "instances": []}, "is a file of SuperAnnotate; export"),
    "Datumaro": ({"info": {}, "categories": {"label": {}}, "items": []}, "is a file of Datumaro; convert"),
    "V7": ({"version": "2.0", "item": {"name": "a.png"}, "annotations": []}, "is a file of V7 Darwin; export"),
    "Create ML": (
        [{"image": "a.png", "annotations": [{"label": "Lunate", "coordinates": {"x": 1}}]}],
        "holds boxes of Create ML, and a box is not a mask",
    ),
    "COCO results": (
        [{"image_id": 1, "category_id": 2, "segmentation": [], "score": 0.5}],
        "is a list of COCO results, which names no images",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_annotations_of_another_tool_are_refused_by_its_name(tmp_path, name):
    content, message = OTHERS[name]
    (tmp_path / "a.json").write_text(json.dumps(content))
    for read in (read_coco, read_labelme):
        with pytest.raises(DataError, match=message):
            read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("read", "content", "message"),
    [
        (read_coco, b'{"shapes": [], "imagePath": "a.png"}', "is a file of labelme; give `labelme` as its format"),
        (read_labelme, b'{"images": [], "annotations": [], "categories": []}', "is a COCO file; give `coco` as its"),
        (read_coco, b'\xef\xbb\xbf<?xml version="1.0"?><annotations/>', "is XML of CVAT; give `cvat` as its format"),
        (read_coco, b"PK\3\4" + bytes(40), "is an archive; unpack it"),
    ],
)
def test_a_file_of_another_format_is_refused_by_its_name(tmp_path, read, content, message):
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    "name",
    ["01", "1", "1.0", "no", "null", "~", "12:30", "1e3", "os: left", "- bone", "#1", "@a", "[x]", "a # b", "é", "It's",
     '"q"', " a", "a\tb", "<<", "*", "2024-01-01", "os lunatum", "y", "0x10"],
)  # fmt: skip
def test_the_example_of_an_unknown_name_is_a_map_that_knows_it(tmp_path, name):
    """YAML reads `01` as a number, `no` as false and `os: left` as two keys."""
    with pytest.raises(DataError) as refused:
        match_names([name], {}, tmp_path / "a.json")
    example = str(refused.value).partition("as in `")[2].partition("`, or")[0]
    (tmp_path / "names.yaml").write_text(example, encoding="utf-8")
    mapping = read_map(tmp_path / "names.yaml")
    assert mapping == {name: "Capitate"}
    assert match_names([name], mapping, tmp_path / "a.json")[name] == (0, False)


def workbook(path, second: str, hidden_row: bool = False):
    """Two sheets of scores, of which the second has a state."""
    book = Workbook()
    for sheet, score in ((book.active, 1), (book.create_sheet("second reader"), 4)):
        for row in (["file", "Lunate"], ["a_L.png", score], ["b_L.png", score]):
            sheet.append(row)
    book.worksheets[1].sheet_state = second
    book.active.row_dimensions[3].hidden = hidden_row
    book.save(path)
    return path


def test_two_sheets_of_scores_are_refused_and_hidden_ones_do_not_count(tmp_path):
    with pytest.raises(DataError, match="the sheets Sheet, second reader have a column `file`; keep one, or hide"):
        read_table(workbook(tmp_path / "table.xlsx", "visible"))
    for state in ("hidden", "veryHidden"):
        rows = read_table(workbook(tmp_path / "table.xlsx", state))
        assert [row.scores[3] for row in rows] == [1, 1]


def test_an_opendocument_table_is_refused_by_its_name(tmp_path):
    with zipfile.ZipFile(tmp_path / "table.ods", "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
    with pytest.raises(DataError, match="is an OpenDocument table or another archive; save it as"):
        read_table(tmp_path / "table.ods")


def test_hidden_rows_are_read_with_a_note(tmp_path):
    notes = []
    rows = read_table(workbook(tmp_path / "table.xlsx", "hidden", hidden_row=True), notes.append)
    assert [row.file for row in rows] == ["a_L.png", "b_L.png"] and "has hidden rows" in notes[0]
