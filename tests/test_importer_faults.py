"""Annotations that are damaged, or that point elsewhere, are refused by name and leave nothing behind."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from annotation_files import OUTLINES, write_coco
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.importers import read_coco, read_labelme
from jointwrist.data.shapes.annotation_json import beneath
from jointwrist.errors import DataError


@pytest.fixture
def apart(tmp_path):
    """A folder of annotations and, beside it, one of images."""
    for name in ("notes", "images"):
        (tmp_path / name).mkdir()
    Image.new("L", (10, 12)).save(tmp_path / "images" / "a_L.png")
    return tmp_path


@pytest.mark.parametrize("form", ["../images/a_L.png", "..\\images\\a_L.png", "x/../../images/a_L.png", "absolute"])
@pytest.mark.parametrize("kind", ["coco", "labelme"])
def test_an_image_outside_of_the_named_folder_is_not_read(kind, form, apart, capsys):
    name = str(apart / "images" / "a_L.png") if form == "absolute" else form
    square = [1.0, 1.0, 8.0, 1.0, 8.0, 7.0]
    contents = {
        "coco": {
            "images": [{"id": 1, "file_name": name}],
            "categories": [{"id": 3, "name": "Lunate"}],
            "annotations": [{"id": 5, "image_id": 1, "category_id": 3, "segmentation": [square]}],
        },
        "labelme": {"imagePath": name, "shapes": [{"label": "Lunate", "points": [[1, 1], [8, 1], [8, 7]]}]},
    }
    source = apart / "notes" / "a.json"
    source.write_text(json.dumps(contents[kind]))
    words = ["data", "import", kind, str(source), str(apart / "out")]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "a.json" in error and "--images" in error and not (apart / "out").exists()
    assert main([*words, "--images", str(apart / "images")]) == 0
    (copy,) = (apart / "out").glob("BoneSegmentation/images/*")
    assert copy.read_bytes() == (apart / "images" / "a_L.png").read_bytes()


def test_paths_within_the_folder_are_followed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for folder in (Path("."), tmp_path, Path("x/..")):
        assert beneath(folder, "a/b.png") == folder / "a" / "b.png"
        assert beneath(folder, "a/../b.png") == folder / "b.png"
        assert beneath(folder, str(tmp_path / "b.png")) == folder / "b.png"
        assert beneath(folder, "../b.png") is beneath(folder, "/b.png") is None
        assert beneath(folder, f"../{tmp_path.name}-2/b.png") is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("patient,side\na,L", "no column `file`"),
        ("file,patient,side,colour\na.png,a,L,red", "colour"),
        ("file,patient,side\na.png,a,L\na.png,a,R", "two rows"),
        ("file,patient,side\na.png,a,X", "side"),
        ("file,patient,side,split\na.png,a,L,training", "training"),
        ("file,patient,side,spacing_mm\na.png,a,L,0", "not a pixel spacing"),
        ("file,patient,side,Lunate\na.png,a,L,6", "score '6'"),
        ("file,patient,side,Lunate,Lu\na.png,a,L,1,1", "one joint surface"),
        ("file,patient,side\n,a,L", "line 2"),
    ],
)
def test_a_wrong_table_is_named(table, message, masked, tmp_path, capsys):
    source = write_coco(tmp_path / "source", masked[:1], OUTLINES["runs"])
    path = tmp_path / "table.csv"
    path.write_text(table)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(path) in error
    assert not (tmp_path / "out").exists()


def change(content, damage):
    annotation, image = content["annotations"][0], content["images"][0]
    match damage:
        case "no outline":
            annotation["segmentation"] = []
        case "line":
            annotation["segmentation"] = [[1, 1, 5, 5]]
        case "odd":
            annotation["segmentation"] = [[1, 1, 5, 5, 1, 7, 9]]
        case "words":
            annotation["segmentation"] = [["a", "b", "c", "d", "e", "f"]]
        case "other size":
            image["height"] += 1
        case "other runs":
            annotation["segmentation"] = {"counts": [4], "size": [2, 2]}
        case "no file":
            image["file_name"] = "gone_L.png"
        case "foreign image":
            annotation["image_id"] = 99
        case "foreign category":
            content["categories"][annotation["category_id"]]["name"] = "sesamoid"
        case "no categories":
            del content["categories"]
        case "nothing":
            content["annotations"] = []
    return content


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no outline", "no outline"),
        ("line", "at least 3 points"),
        ("odd", "x, y, x, y"),
        ("words", "pairs of numbers"),
        ("other size", "was drawn on"),
        ("other runs", "run lengths are of"),
        ("no file", "--images"),
        ("foreign image", "image 99, which is not in it"),
        ("foreign category", "--map"),
        ("no categories", "not a COCO file"),
        ("nothing", "no radiograph"),
    ],
)
def test_a_damaged_coco_file_is_refused_by_name_and_leaves_nothing(damage, message, masked, tmp_path, capsys):
    source = write_coco(tmp_path / "source", masked[:1], OUTLINES["runs"])
    source.write_text(json.dumps(change(json.loads(source.read_text()), damage)))
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["source"]


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ({"shape_type": "line", "points": [[0, 0], [1, 1]]}, "no area"),
        ({"shape_type": "polygon", "points": [[0, 0], [1, 1]]}, "at least 3 points"),
        ({"shape_type": "mask", "points": [[0, 0], [1, 1]], "mask": "no picture"}, "damaged mask"),
        ({"points": [[0, 0], [1, 1], [2, None]]}, "pairs of numbers"),
        ({"shape_type": "circle"}, "not a labelme file"),
    ],
)
def test_a_damaged_labelme_file_is_refused_by_name(shape, message, tmp_path, capsys):
    Image.new("L", (10, 10)).save(tmp_path / "a_L.png")
    (tmp_path / "a_L.json").write_text(json.dumps({"imagePath": "a_L.png", "shapes": [{"label": "Lunate", **shape}]}))
    assert main(["data", "import", "labelme", str(tmp_path), str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "a_L.json" in error


def test_a_size_written_as_text_counts(masked, tmp_path, capsys):
    source = write_coco(tmp_path / "source", masked[:1], OUTLINES["runs"])
    content = json.loads(source.read_text())
    image, runs = content["images"][0], content["annotations"][0]["segmentation"]
    image["width"], runs["size"] = str(image["width"]), [str(side) for side in runs["size"]]
    source.write_text(json.dumps(content))
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    image["width"] = "999"
    source.write_text(json.dumps(content))
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out 2")]) == 2
    assert "was drawn on 999 x" in capsys.readouterr().err
    assert main(["data", "import", "coco", str(source.parent), str(tmp_path / "out 2")]) == 2
    assert "is a folder; give the JSON file" in capsys.readouterr().err


@pytest.mark.parametrize("other", ["a_L.nii", "a_L/Lunate.nii.gz"])
def test_two_sources_of_masks_for_one_radiograph_are_refused(other, tmp_path, capsys):
    nibabel = pytest.importorskip("nibabel")
    Image.new("L", (10, 10)).save(tmp_path / "a_L.png")
    for name in ("a_L.nii.gz", other):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.eye(10, dtype=np.uint8), np.eye(4)), tmp_path / name)
    assert main(["data", "import", "nifti", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "hold masks of one radiograph; keep one" in capsys.readouterr().err


def test_other_faults_of_a_labelme_folder(tmp_path, capsys):
    def run(*words):
        code = main(["data", "import", "labelme", str(tmp_path), str(tmp_path / "out"), *words])
        return code, capsys.readouterr().err

    assert "holds no JSON" in run()[1]
    square = {"label": "Lunate", "points": [[1, 1], [5, 1], [5, 5]]}
    (tmp_path / "a.json").write_text(json.dumps({"imagePath": "a.png", "shapes": [square]}))
    assert "a.png is missing" in run()[1]
    Image.new("L", (10, 10)).save(tmp_path / "a.png")
    assert "_L or _R" in run()[1]
    (tmp_path / "table.csv").write_text("file,patient,side\na.png,a,L")
    assert run("--table", str(tmp_path / "table.csv"))[0] == 0
    assert "not empty" in run("--table", str(tmp_path / "table.csv"))[1]


def changed(tree, damage):
    """Yield the tree with one of its values at a time replaced."""
    for key in tree if isinstance(tree, dict) else range(len(tree)):
        rest = tree.copy()
        rest[key] = damage
        yield rest
        if isinstance(tree[key], dict | list):
            for part in changed(tree[key], damage):
                yield tree.copy() | {key: part} if isinstance(tree, dict) else [*tree[:key], part, *tree[key + 1 :]]


@pytest.mark.parametrize("damage", [None, -1, 10**40, 1e308, float("nan"), True, "x", "\u2603", [], [[]], {}, [[1, 2]]])
def test_any_damaged_value_is_read_or_refused_as_bad_data(damage, tmp_path):
    Image.new("L", (12, 10)).save(tmp_path / "a_L.png")
    outline = [1.0, 1.0, 8.0, 1.0, 8.0, 7.0]
    runs = {"counts": [100, 20], "size": [10, 12]}
    coco = {
        "images": [{"id": 1, "file_name": "a_L.png", "height": 10, "width": 12}],
        "categories": [{"id": 3, "name": "Lunate"}],
        "annotations": [
            {"id": 5, "image_id": 1, "category_id": 3, "segmentation": [outline]},
            {"id": 6, "image_id": 1, "category_id": 3, "segmentation": runs},
        ],
    }
    buffer = io.BytesIO()
    Image.new("1", (3, 2), 1).save(buffer, "PNG")
    shapes = [
        {"label": "Lunate", "shape_type": "polygon", "points": [[1, 1], [8, 1], [8, 7]]},
        {"label": "Lunate", "shape_type": "circle", "points": [[5, 5], [6, 6]]},
        {"label": "Lunate", "shape_type": "mask", "points": [[2, 3], [4, 4]],
         "mask": base64.b64encode(buffer.getvalue()).decode()},
    ]  # fmt: skip
    labelme = {"imagePath": "a_L.png", "imageHeight": 10, "imageWidth": 12, "shapes": shapes}
    path, outcomes = tmp_path / "a_L.json", []
    for read, content in ((read_coco, coco), (read_labelme, labelme)):
        for tree in [content, *changed(content, damage)]:
            path.write_text(json.dumps(tree))
            try:
                for radiograph in read(path):
                    radiograph.bones((10, 12))
                outcomes.append(True)
            except DataError as error:
                assert "a_L" in str(error)
                outcomes.append(False)
    assert set(outcomes) == {True, False}
