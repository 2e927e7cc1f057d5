"""File names as tools, browsers and storage leave them: the patient is what remains, or a table is asked for."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import pytest
from annotation_files import small_coco

from jointwrist.cli import main
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.importers.identify import identify
from jointwrist.data.importers.patient_table import Row

HASH = "0123456789abcdef" * 2
UUID = "550e8400-e29b-41d4-a716-44665544{:04d}"
#: What tools make of the name of the radiograph with a number; each must be undone.
TOOLS = {
    "label studio": lambda stem, n: f"{0x1A2B3C4D + n:08x}-{stem}.png",
    "roboflow": lambda stem, n: f"{stem}_png.rf.{HASH[n:]}{HASH[:n]}.jpg",
    "roboflow, mixed case": lambda stem, n: f"{stem}_jpg.rf.aB3dE9fGh{n}.jpg",
    "browser": lambda stem, n: f"{stem} ({n + 1}).png",
    "browser, no space": lambda stem, n: f"{stem}({n + 1}).png",
    "copy": lambda stem, n: f"{stem}_copy.png",
    "copy 2": lambda stem, n: f"{stem} copy {n + 2}.png",
    "windows": lambda stem, n: f"{stem} - Copy ({n + 1}).png",
    "windows, german": lambda stem, n: f"{stem} - Kopie.png",
    "desktop": lambda stem, n: f"Copy of {stem}.png",
    "django": lambda stem, n: f"{stem}_x7K2p9{n}.png",
    "uuid": lambda stem, n: f"{UUID.format(n)}-{stem}.png",
    "uuid behind": lambda stem, n: f"{stem}_{UUID.format(n)}.png",
    "percent signs": lambda stem, n: f"{stem}%20%28{n + 1}%29.png",
    "second ending": lambda stem, n: f"{stem}.dcm.png",
    "label studio of roboflow": lambda stem, n: f"{0x9F8E7D6C + n:08x}-{stem}_png.rf.{HASH}.png",
    "label studio of a copy": lambda stem, n: f"{0x9F8E7D6C + n:08x}-{stem} (1).png",
    "none": lambda stem, n: f"{stem}.png",
}
FORMS = {
    "release": ("0172_0001_L", "0172_0002_R", "0173_0001_L"),
    "small letters": ("0172_0001_l", "0172_0002_r", "0173_0001_l"),
    "hyphen": ("0172_0001-L", "0172_0002-R", "0173_0001-L"),
    "words": ("0172_0001_LEFT", "0172_0002_right", "0173_0001_Left"),
}
NAMES = ["0172_0001_L", "0172_0002_R", "0173_0001_L"]


@pytest.mark.parametrize(("tool", "form"), [*product(TOOLS, FORMS)])
def test_the_patient_is_what_remains(tool, form):
    images = [Path(TOOLS[tool](stem, number)) for number, stem in enumerate(FORMS[form])]
    assert [entry.name for entry in identify(images)] == NAMES


@pytest.mark.parametrize("tool", TOOLS)
def test_plain_names_are_patients_of_their_own(tool):
    images = [Path(TOOLS[tool](stem, number)) for number, stem in enumerate(("Smith_L", "Jones_R"))]
    assert [entry.name for entry in identify(images)] == ["Smith_0001_L", "Jones_0001_R"]


@pytest.mark.parametrize(
    "names",
    [
        ("12345678-0172_0001_L", "20210304-0172_0002_L"),
        ("12345678-0172_L",),
        ("abcdefab-0172_0001_L", "0172_0002_L"),
        ("1a2b3c4d-0172_L", "1a2b3c4d-0173_L"),
        ("3f2a9c81_0172_L", "77aa01bc_0173_L"),
        ("3f2a9c81_0172_L", "77aa01bc_0172_L"),
        ("1699999999999-0172_0001_L", "1699999999998-0172_0002_L"),
        ("1699999999999_0172_0001_L", "1699999999998_0172_0002_L"),
        ("aug1-0172_L", "aug2-0172_L"),
        ("aug1-0172_0001_L", "0172_0002_L"),
        ("0172-1_L", "0172-2_L"),
        ("0172-0001-L", "0172-0002-L"),
        ("Smith_L", "Smith-2_L"),
        ("Smith-1_L", "Smith-2_L"),
        ("Smith-baseline_L", "Smith-followup_L"),
        ("12a_L", "12b_L"),
        ("p1v1_L", "p1v2_L"),
        ("0172_0001_L_1", "0172_0001_L_2"),
        ("wrist_001_L", "wrist_002_L"),
        ("upload_x_0172_0001_L", "upload_y_0172_0002_L"),
        ("Smith_L", "smith_R"),
        ("7_L", "007_R"),
        ("p1/a_L", "p2/b_L"),
        ("L", "R"),
        ("0172_0001_L (1)", "0172_0001_L"),
        (f"{HASH}_0172_L", f"{HASH[::-1]}_0172_R"),
        tuple(f"{HASH[n:]}{HASH[:n]}_00{n // 2 + 10}_{'LR'[n % 2]}" for n in range(6)),
        ("frame_000000_L", "frame_000001_L"),
        ("p1/0172_L", "p2/0172_R"),
        ("P12_L", "P-12_R"),
        ("patient12_L", "12_R"),
        ("S1_P1_L", "S2_P1_R"),
        ("Smith_John_L", "Smith_Jane_R"),
    ],
)
def test_where_it_is_unsure_a_table_is_asked_for(names, tmp_path, capsys):
    source = small_coco(tmp_path / "in", [f"{name}.png" for name in names])
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 2
    assert "table" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    sides = ["R" if name.endswith("R") else "L" for name in names]
    rows = [Row("", f"{name}.png", f"p{n}", side=side) for n, (name, side) in enumerate(zip(names, sides, strict=True))]
    told = identify([tmp_path / f"{name}.png" for name in names], rows)
    assert [entry.identifier.patient for entry in told] == [f"p{number}" for number in range(len(names))]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("P-001_L", "P-002_L"), ("P-001_0001_L", "P-002_0001_L")),
        (("RA-001_0001_L", "RA-002_0001_L"), ("RA-001_0001_L", "RA-002_0001_L")),
        (("p1_L", "p2_L", "p12_L"), ("p1_0001_L", "p2_0001_L", "p12_0001_L")),
        (("3f2a9c81_0001_L", "77aa01bc_0001_L"), ("3f2a9c81_0001_L", "77aa01bc_0001_L")),
        (("3f2a9c81_0001_L", "3f2a9c81_0001_R"), ("3f2a9c81_0001_L", "3f2a9c81_0001_R")),
        (("1a2b3c4d-L", "2b3c4d5e-R"), ("1a2b3c4d_0001_L", "2b3c4d5e_0001_R")),
        (("0001_01_WRI-L1_M014", "0001_02_WRI-R2_M015"), ("0001_01-1_L", "0001_02-2_R")),
        (("patient_12_L", "patient_13_L"), ("12_0001_L", "13_0001_L")),
        (("0012_L_0003", "0012_R_0003"), ("0012_0003_L", "0012_0003_R")),
        (("EXT_0001_0001_L", "0001_0001_L"), ("EXT_0001_0001_L", "0001_0001_L")),
        (
            ("Müller_0001_L", "Möller_0001_L", "Mu\u0308ller_0002_L"),
            ("Muller_0001_L", "Moller_0001_L", "Muller_0002_L"),
        ),
        (("0172 0001 L", "0172 0002 L"), ("0172_0001_L", "0172_0002_L")),
    ],
)
def test_names_that_people_give(names, expected):
    assert tuple(entry.name for entry in identify([Path(f"{name}.png") for name in names])) == expected


def test_a_patient_under_two_prefixes_of_label_studio_is_in_one_split(tmp_path):
    names = [f"images/{0x1A2B3C4D + n:08x}-{n // 2:04d}_000{n % 2}_L.png" for n in range(20)]
    source = small_coco(tmp_path / "in", names)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    cases = RamW600.open(tmp_path / "out").cases
    assert len({case.patient for case in cases}) == 10
    assert len({(case.patient, case.segmentation_split) for case in cases}) == 10


@pytest.mark.parametrize("end", ["_0001_{}", "_{}"])
def test_folders_of_splits_are_no_patients(end):
    """Roboflow's, also where all studies have the number of those that no name tells."""
    folders = ("train", "train", "valid", "test")
    names = [f"{folder}/P{1 + n // 2}{end.format('LR'[n % 2])}_png.rf.{HASH}.jpg" for n, folder in enumerate(folders)]
    told = [entry.name for entry in identify(list(map(Path, names)))]
    assert told == ["P1_0001_L", "P1_0001_R", "P2_0001_L", "P2_0001_R"]


def test_one_image_under_two_patients_is_reported(tmp_path, capsys):
    source = small_coco(tmp_path / "in", ["0172_0001_L.png", "0173_0001_L.png", "0172_0002_L.png"])
    for name in ("0173_0001_L", "0172_0002_L"):
        shutil.copy(tmp_path / "in" / "0172_0001_L.png", tmp_path / "in" / f"{name}.png")
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    notes = [line for line in capsys.readouterr().out.splitlines() if "shows the same picture as" in line]
    assert len(notes) == 1 and "0173_0001_L.png: shows" in notes[0]


def test_a_study_named_by_its_file_is_one_study_in_any_folder():
    images = [Path("site1/0172_0001_L.png"), Path("site2/0172_0002_L.png")]
    assert [entry.name for entry in identify(images)] == ["0172_0001_L", "0172_0002_L"]


def test_a_table_with_the_names_before_the_tool_fits(tmp_path):
    tools = [tool for tool in TOOLS if tool not in ("django", "uuid behind")]  # these stand behind a side
    images = [Path(TOOLS[tool](f"radiograph{number}", number)) for number, tool in enumerate(tools)]
    numbers = range(len(tools))
    rows = [Row("", f"RADIOGRAPH{number}.PNG", f"p{number}", side="L") for number in numbers]
    assert [entry.identifier.patient for entry in identify(images, rows)] == [f"p{number}" for number in numbers]


def test_labelme_folders_are_read_with_the_folders_in_them(tmp_path):
    for patient in ("p1", "p2"):
        small_coco(tmp_path / "in" / patient, ["radiograph_L.png"])  # for the image
        (tmp_path / "in" / patient / "instances.json").unlink()
        shape = {"label": "Lunate", "points": [[1, 1], [9, 1], [9, 9]]}
        content = {"imagePath": "radiograph_L.png", "shapes": [shape]}
        (tmp_path / "in" / patient / "radiograph_L.json").write_text(json.dumps(content))
    (tmp_path / "table.csv").write_text("file,patient\np1\\radiograph_L.png,A\np2\\radiograph_L.png,B\n")
    words = ["data", "import", "labelme", str(tmp_path / "in"), str(tmp_path / "out")]
    assert main(words) == 2
    assert main([*words, "--table", str(tmp_path / "table.csv")]) == 0
    assert {case.patient for case in RamW600.open(tmp_path / "out").cases} == {"A", "B"}
