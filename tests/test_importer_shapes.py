"""Shapes as tools write them: drawn as the tool shows them, cut off, left out with a note, or refused by name."""

from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
from annotation_files import small_coco
from matplotlib.path import Path as Outline
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.importers import read_labelme

SIZE = (48, 64)
CENTRES = np.stack(np.meshgrid(np.arange(SIZE[1]) + 0.5, np.arange(SIZE[0]) + 0.5), -1).reshape(-1, 2)
SQUARE = [[5, 5], [20, 5], [20, 20], [5, 20]]


def inside(points) -> np.ndarray:
    """Pixels whose centre lies inside a polygon, as matplotlib tells it."""
    return Outline(np.array(points, float)).contains_points(CENTRES).reshape(SIZE)


def picture(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def disc(x, y, radius) -> np.ndarray:
    return (np.hypot(*(CENTRES - (x, y)).T) < radius).reshape(SIZE)


def moved(mask: np.ndarray, x: int, y: int) -> np.ndarray:
    """A patch laid on the image, pixel by pixel."""
    whole = np.zeros(SIZE, bool)
    for row, column in np.argwhere(mask):
        if 0 <= row + y < SIZE[0] and 0 <= column + x < SIZE[1]:
            whole[row + y, column + x] = True
    return whole


TURNED = [[10.2, 12.1], [30.3, 10.4], [33.1, 40.2], [13.4, 42.3]]
UPRIGHT = moved(np.ones((28, 20)), 10, 12)
PATCH = np.indices((9, 12)).sum(0) % 3 > 0
#: labelme shapes, what they cover, and a word of the note that goes with them.
DRAWN = {
    "polygon": ({"shape_type": "polygon", "points": TURNED}, inside(TURNED), None),
    "no type": ({"points": TURNED}, inside(TURNED), None),
    "null": ({"shape_type": None, "points": TURNED}, inside(TURNED), None),
    "closed polygon": ({"points": [*TURNED, TURNED[0]]}, inside(TURNED), None),
    "point twice": ({"points": [TURNED[0], *TURNED]}, inside(TURNED), None),
    "rectangle, 2": ({"shape_type": "rectangle", "points": [[10, 12], [30, 40]]}, UPRIGHT, None),
    "rectangle, upwards": ({"shape_type": "rectangle", "points": [[30, 40], [10, 12]]}, UPRIGHT, None),
    "rectangle, 4": (
        {"shape_type": "rectangle", "points": [[10, 12], [30, 12], [30, 40], [10, 40]]}, UPRIGHT, None
    ),
    "rectangle, 4 mixed up": (
        {"shape_type": "rectangle", "points": [[10, 12], [30, 40], [30, 12], [10, 40]]}, UPRIGHT, None
    ),
    "rotation": ({"shape_type": "rotation", "points": TURNED, "direction": 0.3}, inside(TURNED), None),
    "oriented": ({"shape_type": "oriented_rectangle", "points": TURNED}, inside(TURNED), None),
    "quadrilateral": ({"shape_type": "quadrilateral", "points": TURNED}, inside(TURNED), None),
    "circle": ({"shape_type": "circle", "points": [[30.2, 20.1], [30.2, 33.4]]}, disc(30.2, 20.1, 13.3), None),
    "mask": (
        {"shape_type": "mask", "points": [[7, 9], [18, 17]], "mask": picture(PATCH)}, moved(PATCH, 7, 9), None
    ),
    "mask over the edge": (
        {"shape_type": "mask", "points": [[-5, 43], [6, 51]], "mask": picture(PATCH)}, moved(PATCH, -5, 43), "beyond"
    ),
    "over the edge": (
        {"points": [[40, 20], [90, 20], [90, 70], [40, 70]]}, inside([[40, 20], [64, 20], [64, 48], [40, 48]]), "beyond"
    ),
    "circle over the edge": (
        {"shape_type": "circle", "points": [[2, 20], [2, 30]]}, disc(2, 20, 10), "8 pixels beyond the image"
    ),
    "half a pixel over": (
        {"points": [[40, 20], [64.5, 20], [64.5, 30], [40, 30]]}, moved(np.ones((10, 24)), 40, 20), None
    ),
}  # fmt: skip
#: Shapes that cover nothing, and why.
EMPTY = {
    "two points": ({"points": [[5, 5], [20, 20]]}, "no area"),
    "line of three": ({"points": [[5, 5], [10, 10], [20, 20]]}, "too small"),
    "one place": ({"points": [[5, 5]] * 4}, "no area"),
    "between centres": ({"points": [[5.6, 5.6], [6.4, 5.6], [6.4, 6.4]]}, "too small"),
    "outside": ({"points": [[100, 100], [120, 100], [120, 120]]}, "outside of the image: x 100 to 120"),
    "left of it": ({"points": [[-30, 10], [-10, 10], [-10, 30]]}, "outside of the image"),
    "rectangle without width": ({"shape_type": "rectangle", "points": [[5, 5], [5, 20]]}, "no area"),
    "circle without radius": ({"shape_type": "circle", "points": [[5, 5], [5, 5]]}, "no area"),
    "circle outside": ({"shape_type": "circle", "points": [[200, 5], [210, 5]]}, "outside of the image"),
    "empty mask": ({"shape_type": "mask", "points": [[0, 0], [11, 8]], "mask": picture(PATCH & False)}, "no pixel"),
    "mask outside": (
        {"shape_type": "mask", "points": [[90, 9], [99, 9]], "mask": picture(PATCH)},
        "outside of the image",
    ),
}
MARKS = {
    "point": [[30, 30]], "points": [[30, 30], [31, 31]], "line": [[3, 3], [30, 30]],
    "linestrip": [[3, 3], [30, 3], [30, 30], [3, 3]],
}  # fmt: skip
REFUSED = {
    "shares": ({"points": [[0.1, 0.1], [0.6, 0.1], [0.6, 0.7]]}, "between 0 and 1"),
    "shares, rectangle": ({"shape_type": "rectangle", "points": [[0.1, 0.1], [0.6, 0.7]]}, "between 0 and 1"),
    "shares, circle": ({"shape_type": "circle", "points": [[0.5, 0.5], [0.7, 0.5]]}, "between 0 and 1"),
    "rectangle, 3": ({"shape_type": "rectangle", "points": SQUARE[:3]}, "a rectangle of 3 points"),
    "circle, 1": ({"shape_type": "circle", "points": SQUARE[:1]}, "a circle of 1 points"),
    "rotation, 5": ({"shape_type": "rotation", "points": [*SQUARE, [1, 1]]}, "a rotation of 5 points"),
    "cuboid": ({"shape_type": "cuboid", "points": SQUARE * 2}, "'cuboid' are not known"),
    "ellipse": ({"shape_type": "ellipse", "points": SQUARE}, "'ellipse' are not known"),
    "mask without picture": ({"shape_type": "mask", "points": SQUARE[:2], "mask": None}, "without its picture"),
    "no points": ({"points": []}, "pairs of numbers"),
}


@pytest.fixture
def labelme(tmp_path):
    """Write a labelme file with shapes of a Lunate, or of a label of their own."""
    Image.new("L", SIZE[::-1]).save(tmp_path / "a_L.png")

    def write(*shapes):
        shapes = [{"label": "Lunate", **shape} for shape in shapes]
        content = {"imagePath": "a_L.png", "imageHeight": SIZE[0], "imageWidth": SIZE[1], "shapes": shapes}
        (tmp_path / "a_L.json").write_text(json.dumps(content))
        return tmp_path / "a_L.json"

    return write


def lunate(path):
    """Return the Lunate's mask and the notes."""
    (radiograph,) = read_labelme(path)
    notes = list(radiograph.notes)
    return radiograph.bones(SIZE, notes.append) == 1 << 4, notes


def refusal(path, capsys):
    assert main(["data", "import", "labelme", str(path), str(path.parent / "out")]) == 2
    assert not (path.parent / "out").exists()
    error = capsys.readouterr().err
    assert "a_L.json: shape 1, Lunate" in error and error.count("\n") == 1
    return error


@pytest.mark.parametrize("name", DRAWN)
def test_labelme_and_x_anylabeling_shapes_are_filled(name, labelme):
    shape, expected, word = DRAWN[name]
    mask, notes = lunate(labelme(shape))
    np.testing.assert_array_equal(mask, expected)
    assert [word in note for note in notes] == ([True] if word else [])


@pytest.mark.parametrize("name", EMPTY)
def test_what_covers_nothing_is_refused_alone_and_left_out_beside_another(name, labelme, capsys):
    shape, why = EMPTY[name]
    assert why in refusal(labelme(shape), capsys)
    mask, notes = lunate(labelme(shape, {"points": SQUARE}))
    np.testing.assert_array_equal(mask, inside(SQUARE))
    assert len(notes) == 1 and why in notes[0] and "shape 1" in notes[0] and notes[0].endswith("left out")
    assert why in refusal(labelme(shape, {"label": "Scaphoid", "points": SQUARE}), capsys)


@pytest.mark.parametrize("kind", MARKS)
def test_points_and_lines_are_left_out(kind, labelme, capsys):
    shape = {"shape_type": kind, "points": MARKS[kind]}
    for label in ("Lunate", "Scaphoid"):
        mask, notes = lunate(labelme({"points": SQUARE}, {"label": label, **shape}))
        np.testing.assert_array_equal(mask, inside(SQUARE))
        assert len(notes) == 1 and f"shape 2, {label}: a {kind} has no area" in notes[0]
    assert "nothing else is drawn" in refusal(labelme(shape), capsys)


@pytest.mark.parametrize("name", REFUSED)
def test_shapes_that_cannot_be_understood_are_refused_by_name(name, labelme, capsys):
    shape, why = REFUSED[name]
    assert why in refusal(labelme(shape, {"points": SQUARE}), capsys)


def test_notes_are_printed(labelme, capsys):
    path = labelme({"points": SQUARE}, {"label": "Hamate", "shape_type": "point", "points": [[30, 30]]})
    assert main(["data", "import", "labelme", str(path), str(path.parent / "out")]) == 0
    assert f"note: {path}: shape 2, Hamate: a point has no area; left out" in capsys.readouterr().out


FLAT = [10, 10, 30, 10, 30, 30, 10, 30]
COCO = {
    "plain": ([FLAT], 400, None),
    "not nested": (FLAT, 400, None),
    "empty part": ([FLAT, []], 400, "part 2: has no area"),
    "part of two points": ([FLAT, [1, 1, 5, 5]], 400, "part 2: has no area"),
    "part outside": ([FLAT, [100, 100, 120, 100, 120, 120]], 400, "part 2: is outside"),
    "over the edge": ([[50, 50, 90, 50, 90, 90, 50, 90]], 14 * 14, "26 pixels beyond"),
    "outside": ([[100, 100, 200, 100, 200, 200, 100, 200]], None, "annotation 0, Capitate: is outside of the image"),
    "shares": ([[0.1, 0.1, 0.5, 0.1, 0.5, 0.5]], None, "between 0 and 1"),
    "empty": ([], None, "has no outline"),
    "empty part alone": ([[]], None, "has no area"),
    "missing": (None, None, "has no outline"),
    "pairs": ([[10, 10], [30, 10], [30, 30]], None, "has no area"),
    "no runs": ({"counts": [64 * 64], "size": [64, 64]}, None, "no pixel"),
    "runs of another size": ({"counts": [20, 4], "size": [4, 6]}, None, "run lengths are of"),
    "box": ({"bbox": [1, 2, 3, 4]}, None, "neither polygons nor run lengths"),
}


@pytest.mark.parametrize("name", COCO)
def test_coco_segmentations(name, tmp_path, capsys):
    segmentation, area, note = COCO[name]
    source = small_coco(tmp_path / "in", ["a_L.png"], [segmentation])
    code = main(["data", "import", "coco", str(source), str(tmp_path / "out")])
    output = capsys.readouterr()
    assert code == (0 if area else 2)
    if area:
        (mask,) = (tmp_path / "out").glob("BoneSegmentation/masks/*/*.npy")
        assert np.load(mask)[0].sum() == np.load(mask).sum() == area
        assert output.out.count("note: ") == (note is not None) and (note or "") in output.out
    else:
        assert note in output.err and "annotation 0" in output.err


IDS = {
    "image twice": (lambda c: c["images"][1].update(id=0), "two of its image entries have the id 0"),
    "annotation twice": (lambda c: c["annotations"][1].update(id=0), "two of its annotation entries have the id 0"),
    "category twice": (lambda c: c["categories"].append({"id": 1, "name": "Lunate"}), "category entries have the id 1"),
    "same number": (lambda c: c["images"][1].update(id=0.0), "two of its image entries have the id 0.0"),
    "mixed images": (lambda c: c["images"][1].update(id="1"), "image ids are numbers and texts, such as 0 and '1'"),
    "mixed annotations": (lambda c: c["annotations"][1].update(id="1"), "annotation ids are numbers and texts"),
    "mixed categories": (lambda c: c["categories"].append({"id": "1", "name": "Lunate"}), "category ids are numbers"),
    "text for a number": (lambda c: c["annotations"][1].update(image_id="1"), "is of image '1', which is not in it"),
    "text for a category": (lambda c: c["annotations"][1].update(category_id="1"), "of category '1', which is not"),
    "truth": (lambda c: c["images"][1].update(id=True), "image id True is neither"),
    "truth for a number": (lambda c: c["annotations"][1].update(image_id=True), "is of image True"),
    "list": (lambda c: c["images"][1].update(id=[1]), "image id [1] is neither"),
    "fraction": (lambda c: c["categories"][0].update(id=1.5), "category id 1.5 is neither"),
    "nothing": (lambda c: c["images"][1].update(id=None), "image id None is neither"),
    "unknown image": (lambda c: c["annotations"][1].update(image_id=7), "is of image 7"),
}  # fmt: skip


@pytest.mark.parametrize("name", IDS)
def test_repeated_and_mixed_ids_are_refused_by_name(name, tmp_path, capsys):
    source = small_coco(tmp_path / "in", ["p1/a_L.png", "p2/b_L.png"])
    content = json.loads(source.read_text())
    IDS[name][0](content)
    source.write_text(json.dumps(content))
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 2
    assert IDS[name][1] in capsys.readouterr().err


def test_images_without_annotations_and_images_annotated_twice_are_reported(tmp_path, capsys):
    source = small_coco(tmp_path / "in", ["a_L.png"])
    content = json.loads(source.read_text())
    content["images"] += [{"id": 1, "file_name": "b_L.png"}]  # need not be there
    source.write_text(json.dumps(content))
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    assert "images without annotations left out: b_L.png" in capsys.readouterr().out
    assert main(["data", "import", "coco", str(source), str(source), str(tmp_path / "twice")]) == 2
    assert "a_L.png: is annotated twice" in capsys.readouterr().err
