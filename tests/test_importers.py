"""Masks drawn elsewhere: names of bones, round trips through COCO and labelme, and tables beside them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotation_files import OUTLINES, write_coco, write_labelme
from PIL import Image

from jointwrist.anatomy import BONE_NAMES, BONES
from jointwrist.cli import main
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.importers import read_labelme
from jointwrist.data.importers.draw_splits import draw_splits
from jointwrist.data.importers.identify import identify
from jointwrist.data.sample import unpack_masks
from jointwrist.data.shapes.label_names import match_names
from jointwrist.errors import DataError

#: Usual abbreviations, in the order of the bones.
ABBREVIATIONS: tuple[tuple[str, ...], ...] = (
    ("Cap",), ("Rad", "DR"), ("Uln", "DU"), ("Ham",), ("Lun",), ("Tri", "Triq", "Pis"), ("Sca",), ("Tzm",), ("Tzd",),
    ("MC1",), ("MC2",), ("MC3",), ("MC4",), ("MC5",),
)  # fmt: skip
ARRAY_WARNING = pytest.mark.filterwarnings("ignore:__array__ implementation")


def test_every_usual_name_of_a_bone_is_known(tmp_path):
    for bone, short in zip(BONES, ABBREVIATIONS, strict=True):
        names = {bone.name, bone.name.upper(), bone.display, *short, *(name.lower() for name in short)}
        assert set(match_names(names, {}, tmp_path).values()) == {(bone.index, False)}
    with pytest.raises(DataError, match=r"'sesamoid', 'sesamoid 2'.*--map"):
        match_names(["Lunate", "sesamoid 2", "sesamoid"], {}, tmp_path)
    assert match_names(["sesamoid", "os lunatum"], {"sesamoid": None, "os lunatum": "lun"}, tmp_path) == {
        "sesamoid": None,
        "os lunatum": (4, False),
    }


@pytest.mark.parametrize("form", OUTLINES)
def test_coco_round_trip_gives_every_pixel(form, masked, tmp_path, capsys):
    source = write_coco(tmp_path / "source", masked, OUTLINES[form], [names[0].upper() for names in ABBREVIATIONS])
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    assert "9 radiographs" in capsys.readouterr().out
    assert_same_masks(tmp_path / "out", masked)


@ARRAY_WARNING
def test_coco_text_run_lengths_round_trip(masked, tmp_path):
    coco = pytest.importorskip("pycocotools.mask")

    def outline(mask):
        runs = coco.encode(np.asfortranarray(mask))
        return {"counts": runs["counts"].decode(), "size": runs["size"]}

    source = write_coco(tmp_path / "source", masked[:3], outline)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", masked[:3])


def test_outlines_of_another_tool_overlap_the_masks_they_were_drawn_round(masked, tmp_path):
    find_contours = pytest.importorskip("contourpy").contour_generator

    def outline(mask):
        lines = find_contours(z=np.pad(mask, 1).astype(float)).lines(0.5)
        return [(line - 0.5).ravel().tolist() for line in lines]  # contourpy counts pixel centres, padded by one

    source = write_coco(tmp_path / "source", masked[:3], outline)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    for case, masks in masked[:3]:
        imported = np.load(next((tmp_path / "out").glob(f"BoneSegmentation/masks/*/{case.identifier}.npy")))
        dice = 2 * (imported & masks).sum((1, 2)) / (imported.sum((1, 2)) + masks.sum((1, 2)))
        assert np.nanmin(dice) > 0.98


def assert_same_masks(root, masked):
    assert not [fault for fault in check_dataset(root) if fault.severity == "error"]
    dataset = RamW600.open(root)
    assert [case.identifier for case in dataset.cases] == sorted(case.identifier for case, _ in masked)
    for case, masks in masked:
        imported = next(found for found in dataset.cases if found.identifier == case.identifier)
        sample = load_sample(imported, right_hand=False)
        assert (unpack_masks(sample.bones) == masks).all()
        assert (sample.image == load_sample(case, right_hand=False).image).all()
        assert imported.patient == case.patient


def test_labelme_round_trip_gives_every_pixel(masked, tmp_path):
    source = write_labelme(tmp_path / "source", masked)
    assert main(["data", "import", "labelme", str(source), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", masked)


def test_a_circle_has_the_area_of_a_circle(tmp_path):
    Image.new("L", (100, 80)).save(tmp_path / "a_L.png")
    shape = {"label": "lunate", "shape_type": "circle", "points": [[50, 40], [50, 60]]}
    (tmp_path / "a_L.json").write_text(json.dumps({"imagePath": "a_L.png", "shapes": [shape]}))
    (radiograph,) = read_labelme(tmp_path)
    area = unpack_masks(radiograph.bones((80, 100)))[4].sum()
    assert abs(area / (np.pi * 20**2) - 1) < 0.01


def test_a_map_renames_and_leaves_out(masked, tmp_path, capsys):
    names = ["os capitatum", *BONE_NAMES[1:-1], "screw"]
    source = write_coco(tmp_path / "source", masked[:1], OUTLINES["runs"], names)
    mapping = tmp_path / "map.yaml"
    words = ["data", "import", "coco", str(source), str(tmp_path / "out"), "--map", str(mapping)]
    assert main(words) == 2
    mapping.write_text("os capitatum: Capitatum\nscrew: null\n")
    assert main(words) == 2
    assert "Capitatum" in capsys.readouterr().err
    mapping.write_text("os capitatum: cap\nscrew: null\n")
    assert main(words) == 0
    assert "Metacarpal5th 1" in capsys.readouterr().out
    (path,) = (tmp_path / "out").glob("BoneSegmentation/masks/*/*.npy")
    imported = np.load(path).astype(bool)
    assert (imported[:13] == masked[0][1][:13]).all()
    assert not imported[13].any()


def test_a_table_gives_patients_sides_splits_spacings_and_scores(masked, tmp_path, capsys):
    source = write_coco(tmp_path / "source", masked, OUTLINES["runs"])
    lines = ["file,patient,side,split,spacing_mm,DistalRadius,Lunate", "gone.png,nobody,L,,,,"]
    for number, (case, _) in enumerate(masked):
        split = ("train", "train", "val", "test")[number % 4]
        lines.append(f"{case.identifier}.png,person {number},{case.side},{split},0.17,{number % 6},")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    words = ["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(tmp_path / "table.csv")]
    assert main(words) == 2
    assert "rows of the table without a radiograph: gone.png" in capsys.readouterr().err
    assert main([*words, "--allow-partial"]) == 0
    assert "rows of the table without a radiograph: gone.png" in capsys.readouterr().out
    assert not [fault for fault in check_dataset(tmp_path / "out") if fault.severity == "error"]
    cases = RamW600.open(tmp_path / "out").cases
    assert [case.patient for case in cases] == [f"person-{number}" for number in range(9)]
    assert [case.side for case in cases] == [case.side for case, _ in masked]
    assert [case.segmentation_split for case in cases] == ["train", "train", "val", "test"] * 2 + ["train"]
    assert {case.spacing_mm for case in cases} == {0.17}
    assert [case.scores for case in cases] == [(-1, -1, -1, -1, n % 6, -1) for n in range(9)]
    for case, (_, masks) in zip(cases, masked, strict=True):
        (x0, y0, x1, y1), radius = case.boxes[4].astype(int), masks[1]
        assert Image.open(case.crops[4]).size == (x1 - x0, y1 - y0)
        assert radius[y0:y1, x0:x1].sum() > 0.4 * radius.sum()  # the joint end of the radius lies in its box


def test_splits_are_by_patient_and_about_the_shares():

    names = [f"p{number}_{study}_{side}.png" for number in range(100) for study in "12" for side in "LR"]
    entries = identify([Path(name) for name in names])
    splits = draw_splits(entries, seed=3)
    assert [list(splits.values()).count(split) for split in ("train", "val", "test")] == [70, 10, 20]
    assert splits == draw_splits(entries[::-1], seed=3) != draw_splits(entries, seed=4)
    three = draw_splits(entries[:12], seed=0)
    assert sorted(three.values()) == ["test", "train", "val"]
    with pytest.raises(DataError, match="add up to 1"):
        draw_splits(entries, (0.5, 0.1, 0.1))
