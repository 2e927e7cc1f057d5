"""CVAT's XML and YOLO's text files: masks come back exactly, and what is no mask is named.

The oracles are the formats' descriptions (docs.cvat.ai, "CVAT XML format"; docs.ultralytics.com, "Instance Segmentation
Datasets"), written here step by step.
"""

from __future__ import annotations

from itertools import groupby
from xml.sax.saxutils import quoteattr

import numpy as np
import pytest
import yaml
from annotation_files import staircase, write_labelme
from PIL import Image

from jointwrist.anatomy import BONE_NAMES
from jointwrist.cli import main
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.importers.cvat import read_cvat
from jointwrist.data.importers.yolo import read_yolo
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError


def polygon(mask, label):
    for flat in staircase(mask):
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in zip(flat[::2], flat[1::2], strict=True))
        yield f'<polygon label={quoteattr(label)} source="manual" occluded="0" points="{points}" z_order="0"/>'


def mask_of(mask, label):
    """Run lengths of the bounding box, row by row, beginning with background."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    (top, bottom), (left, right) = rows[[0, -1]], columns[[0, -1]]
    pixels = mask[top : bottom + 1, left : right + 1].ravel().tolist()
    runs = [len(list(run)) for _, run in groupby(pixels)]
    rle = ", ".join(map(str, [0, *runs] if pixels[0] else runs))
    box = f'left="{left}" top="{top}" width="{right - left + 1}" height="{bottom - top + 1}"'
    yield f'<mask label={quoteattr(label)} source="semi-auto" occluded="0" rle="{rle}" {box} z_order="0"/>'


def write_cvat(folder, masked, shapes, images="images"):
    (folder / images).mkdir(parents=True)
    entries = []
    for number, (case, masks) in enumerate(masked):
        Image.open(case.image).save(folder / images / f"{case.identifier}.png")
        drawn = [
            line for name, mask in zip(BONE_NAMES, masks, strict=True) if mask.any() for line in shapes(mask, name)
        ]
        height, width = masks.shape[1:]
        size = f'width="{width}" height="{height}"'
        entries.append(f'<image id="{number}" name="{case.identifier}.png" {size}>{"".join(drawn)}</image>')
    path = folder / "annotations.xml"
    labels = "<meta><task><labels><label><name>Lunate</name></label></labels></task></meta>"
    start = '<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>'
    path.write_text(f"{start}{labels}{''.join(entries)}</annotations>")
    return path


def write_yolo(folder, masked, names=BONE_NAMES, layout=("labels/train", "images/train"), decimals=6):
    labels, images = (folder / part for part in layout)
    for place in {labels, images}:
        place.mkdir(parents=True)
    for case, masks in masked:
        Image.open(case.image).save(images / f"{case.identifier}.png")
        lines = []
        sides = np.array(masks.shape[:0:-1])
        for bone, mask in enumerate(masks):
            for flat in staircase(mask):
                shares = np.array(flat).reshape(-1, 2) / sides
                lines.append(f"{bone} " + " ".join(f"{share:.{decimals}f}" for share in shares.ravel()))
        (labels / f"{case.identifier}.txt").write_text("\n".join(lines) + "\n")
    (folder / "data.yaml").write_text(yaml.safe_dump({"path": ".", "train": layout[1], "names": names}))
    return folder


def assert_same_masks(root, masked):
    found = {case.identifier: case for case in RamW600.open(root).cases}
    assert set(found) == {case.identifier for case, _ in masked}
    for case, masks in masked:
        sample = load_sample(found[case.identifier], right_hand=False)
        np.testing.assert_array_equal(unpack_masks(sample.bones), masks)


@pytest.fixture
def few(masked):
    """Radiographs and masks: every bone is drawn as one polygon for each run of pixels."""
    return masked[:3]


@pytest.mark.parametrize("images", ["images", "."])
@pytest.mark.parametrize("shapes", [polygon, mask_of])
def test_masks_come_back_from_cvat(tmp_path, few, shapes, images):
    path = write_cvat(tmp_path / "task", few, shapes, images)
    assert main(["data", "import", "cvat", str(path.parent), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)


@pytest.mark.parametrize("layout", [("labels/train", "images/train"), ("train/labels", "train/images"), ("a", "a")])
@pytest.mark.parametrize("decimals", [6, 17])
def test_masks_come_back_from_yolo(tmp_path, few, layout, decimals):
    folder = write_yolo(tmp_path / "export", few, dict(enumerate(BONE_NAMES)), layout, decimals)
    assert main(["data", "import", "yolo", str(folder), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)


@pytest.mark.parametrize("form", ["cvat", "yolo", "labelme"])
def test_the_hidden_files_of_macos_beside_every_file_are_left_alone(tmp_path, few, form):
    folder = tmp_path / "export"
    if form == "cvat":
        write_cvat(folder, few, polygon).rename(folder / "train.xml")
    else:
        {"yolo": write_yolo, "labelme": write_labelme}[form](folder, few)
    if form == "yolo":
        (folder / "data.yaml").rename(folder / "wrists.yaml")
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        for hidden in (path.with_name(f"._{path.name}"), folder / "__MACOSX" / f"._{path.name}"):
            hidden.parent.mkdir(exist_ok=True)
            hidden.write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        \xff")
    assert main(["data", "import", form, str(folder), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)


@pytest.mark.parametrize("file", ["classes.txt", "labels/classes.txt"])
def test_yolos_names_may_be_a_list_of_lines(tmp_path, few, file):
    folder = write_yolo(tmp_path / "export", few)
    (folder / "data.yaml").unlink()
    (folder / file).write_text("\n".join(BONE_NAMES) + "\n")
    assert [len(radiograph.regions) for radiograph in read_yolo(folder)] != [0, 0, 0]
    assert main(["data", "import", "yolo", str(folder), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)


def one_shape(folder, shape, size=64):
    folder.mkdir(exist_ok=True)
    Image.fromarray(np.arange(size * size, dtype=np.uint8).reshape(size, size)).save(folder / "a_L.png")
    image = f'<image id="0" name="a_L.png" width="{size}" height="{size}">{shape}</image>'
    path = folder / "annotations.xml"
    path.write_text(f"<annotations>{image}</annotations>")
    return path


def test_cvats_box_and_ellipse_turn_clockwise(tmp_path):
    box = 'label="Lunate" xtl="10" ytl="20" xbr="40" ybr="30"'
    y, x = np.mgrid[:64, :64] + 0.5
    upright = (x > 10) & (x < 40) & (y > 20) & (y < 30)
    cases = [(f"<box {box}/>", upright)]
    # a quarter turn about the centre (25, 25) exchanges the sides
    cases.append((f'<box {box} rotation="90"/>', (x > 20) & (x < 30) & (y > 10) & (y < 40)))
    turn = np.deg2rad(30)
    along, across = (x - 30) * np.cos(turn) + (y - 32) * np.sin(turn), (y - 32) * np.cos(turn) - (x - 30) * np.sin(turn)
    ellipse = '<ellipse label="Lunate" cx="30" cy="32" rx="20" ry="8" rotation="30"/>'
    cases.append((ellipse, (along / 20) ** 2 + (across / 8) ** 2 < 1))
    for shape, expected in cases:
        (radiograph,) = read_cvat(one_shape(tmp_path, shape))
        found = radiograph.bones((64, 64)) > 0
        assert (found != expected).sum() <= 2 and expected.any()


def test_each_subset_of_a_project_of_cvat_has_a_folder_of_images(tmp_path):
    entries = []
    for number, subset in enumerate(("train", "val", "..")):
        place = tmp_path / "images" / subset
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((64, 64), number, np.uint8)).save(place / "a_L.png")
        entries.append(
            f'<image id="{number}" name="a_L.png" subset="{subset}" task_id="{number}" width="64" height="64">'
            '<polygon label="Lunate" points="1,1;9,1;9,9;1,9"/></image>'
        )
    (tmp_path / "annotations.xml").write_text(f"<annotations>{''.join(entries[:2])}</annotations>")
    found = [radiograph.image.relative_to(tmp_path).as_posix() for radiograph in read_cvat(tmp_path)]
    assert found == ["images/train/a_L.png", "images/val/a_L.png"]
    (radiograph, _) = read_cvat(tmp_path, tmp_path / "images")
    assert radiograph.image == tmp_path / "images" / "train" / "a_L.png"
    (tmp_path / "annotations.xml").write_text(f"<annotations>{entries[2]}</annotations>")
    with pytest.raises(DataError, match=r"its image a_L\.png is not in .*images; name the folder"):
        read_cvat(tmp_path, tmp_path / "images")  # one above it is not looked at


def test_what_cvat_draws_without_an_area_is_left_out(tmp_path, capsys):
    marks = '<polyline label="Lunate" points="1,1;9,9"/><points label="Lunate" points="1,1"/><tag label="left"/>'
    shape = '<polygon label="Lunate" points="1,1;9,1;9,9;1,9"/>'
    path = one_shape(tmp_path / "in", marks + shape)
    assert main(["data", "import", "cvat", str(path), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert said.count("has no area; left out") == 2 and "1 radiograph of 1 patient" in said


CVAT_REFUSED = {
    '<cuboid label="Lunate"/>': "a cuboid is not a mask",
    '<polygon label="Wrist bone" points="1,1;9,1;9,9"/>': "no bone is known for 'Wrist bone'",
    '<polygon label="Lunate" points="1,1;9,x;9,9"/>': "shape 1, Lunate: its points must be pairs of numbers",
    '<polygon label="Lunate" points=""/>': "shape 1, Lunate: its points must be pairs of numbers",
    '<polygon label="Lunate" points="0.1,0.1;0.9,0.1;0.9,0.9"/>': "its coordinates lie between 0 and 1",
    '<box label="Lunate" xtl="1" ytl="1" xbr="9"/>': "shape 1, Lunate, xtl, ytl, xbr, ybr: its points must be",
    '<mask label="Lunate" rle="1, 2" left="0" top="0" width="2" height="2"/>': "do not add up to 2 x 2 pixels",
    '<mask label="Lunate" rle="" left="0" top="0" width="2" height="2"/>': "do not add up to 2 x 2 pixels",
    '<mask label="Lunate" rle="9999999999999" left="0" top="0" width="8192" height="8192"/>': "do not add up",
    '<mask label="Lunate" rle="0, 1000000000000" left="0" top="0" width="1000000" height="1000000"/>': "a side may",
    "": "no shape is drawn on any image",
}


@pytest.mark.parametrize("shape", CVAT_REFUSED)
def test_shapes_of_cvat_that_are_no_masks_are_named(tmp_path, shape):
    with pytest.raises(DataError, match="annotations") as refused:
        for radiograph in read_cvat(one_shape(tmp_path, shape)):
            radiograph.bones((64, 64))
    assert CVAT_REFUSED[shape] in str(refused.value)


XML_REFUSED = {
    "<annotations><track id='0'/></annotations>": "holds tracks of a video; export the task as `CVAT for images 1.1`",
    "<annotations><image></annotations>": "not valid XML",
    "": "is empty",
    "<!DOCTYPE a [<!ENTITY b 'bbbb'><!ENTITY c '&b;&b;'>]><annotations>&c;</annotations>": "a document type is not",
    "<annotation><object><bndbox/></object></annotation>": "holds boxes of Pascal VOC",
    "<svg/>": "is a drawing in SVG",
    '<!DOCTYPE plist PUBLIC "-//A" "a.dtd"><plist/>': "is a property list, as Horos and OsiriX write it",
    "<other/>": "is XML of another program; export it as COCO",
    '{"images": []}': "not valid XML",
}


@pytest.mark.parametrize("text", XML_REFUSED)
def test_xml_that_is_not_of_cvats_images_is_named(tmp_path, text):
    path = tmp_path / "annotations.xml"
    path.write_text(text)
    with pytest.raises(DataError, match="annotations") as refused:
        read_cvat(tmp_path)
    assert XML_REFUSED[text] in str(refused.value)


def test_a_folder_may_hold_one_file_of_another_name(tmp_path):
    path = one_shape(tmp_path, '<polygon label="Lunate" points="1,1;9,1;9,9;1,9"/>')
    path.rename(tmp_path / "train.xml")
    assert len(read_cvat(tmp_path)) == 1
    (tmp_path / "val.xml").write_text("<annotations/>")
    with pytest.raises(DataError, match="holds several XML files; give one of them"):
        read_cvat(tmp_path)
    (tmp_path / "sub").mkdir()
    with pytest.raises(DataError, match="sub: holds no annotations"):
        read_cvat(tmp_path / "sub")


YOLO_REFUSED = {
    "0 0.5 0.5 0.2 0.2": "line 1: is a box, and a box is not a mask",
    "0 0.1 0.1 0.9 0.1 0.9 0.9 0.87": "line 1: 8 numbers are no class and pairs",
    "0 0.1 0.1 0.9 0.1": "line 1: is a box",
    "0 0.1": "line 1: 2 numbers are no class and pairs",
    "77 0.1 0.1 0.9 0.1 0.9 0.9": "the class 77 has no name in",
    "0.5 0.1 0.1 0.9 0.1 0.9 0.9": "the class 0.5 has no name in",
    "0 10 10 50 10 50 50": "its coordinates must be shares of the image's sides",
    "0 nan 0.1 0.9 0.1 0.9 0.9": "its coordinates must be shares",
    "0 0.1 0.1 0.9 a 0.9 0.9": "is no list of numbers",
}


def yolo_lines(folder, text):
    (folder / "labels").mkdir(parents=True)
    (folder / "images").mkdir()
    Image.fromarray(np.arange(64 * 64, dtype=np.uint8).reshape(64, 64)).save(folder / "images" / "a_L.png")
    (folder / "labels" / "a_L.txt").write_text(text)
    (folder / "data.yaml").write_text("names: [Lunate, os trapezium]\n")
    return folder


@pytest.mark.parametrize("text", YOLO_REFUSED)
def test_lines_of_yolo_that_are_no_outlines_are_named(tmp_path, text):
    with pytest.raises(DataError, match="a_L") as refused:
        read_yolo(yolo_lines(tmp_path / "set", text))
    assert YOLO_REFUSED[text] in str(refused.value)


def test_folders_that_are_not_yolos_are_named(tmp_path):
    folder = yolo_lines(tmp_path / "set", "1 0.1 0.1 0.9 0.1 0.9 0.9")
    with pytest.raises(DataError, match=r"data\.yaml: no bone is known for 'os trapezium'"):
        read_yolo(folder)
    (folder / "data.yaml").write_text("names: [Lunate, Trapezium]\n")
    (folder / "images" / "a_L.png").rename(folder / "elsewhere.png")
    with pytest.raises(DataError, match=r"a_L\.txt: its image a_L .* is not in .*images; name its folder"):
        read_yolo(folder)
    (folder / "labels" / "a_L.txt").unlink()
    with pytest.raises(DataError, match="holds no text files of YOLO"):
        read_yolo(folder)
    (folder / "data.yaml").write_text("kpt_shape: [17, 3]\nnames: [Lunate]\n")
    with pytest.raises(DataError, match="describes key points"):
        read_yolo(folder)
    (folder / "data.yaml").unlink()
    (folder / "labels" / "a_L.txt").write_text("1 0.1 0.1 0.9 0.1 0.9 0.9")
    with pytest.raises(DataError, match="nothing says which bone a number is"):
        read_yolo(folder)
    with pytest.raises(DataError, match="no such file"):
        read_yolo(tmp_path / "none")


@pytest.mark.parametrize("folders", [("{}/labels", "{}/images"), ("labels/{}", "images/{}")])
def test_folders_of_yolos_splits_are_no_patients(tmp_path, capsys, folders):
    for number, (split, name) in enumerate((("train", "Smith_L"), ("valid", "Jones_R"), ("test", "Meier_L"))):
        labels, images = (tmp_path / "set" / folder.format(split) for folder in folders)
        for place in (labels, images):
            place.mkdir(parents=True)
        Image.fromarray(np.full((64, 64), number, np.uint8)).save(images / f"{name}.png")
        (labels / f"{name}.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9\n")
    (tmp_path / "set" / "data.yaml").write_text("names: [Lunate]\n")
    assert main(["data", "import", "yolo", str(tmp_path / "set"), str(tmp_path / "out")]) == 0
    assert "3 radiographs of 3 patients" in capsys.readouterr().out


def test_yolos_files_beside_others(tmp_path):
    line = "0 0.1 0.1 0.9 0.1 0.9 0.9\n"
    folder = yolo_lines(tmp_path / "set", line)
    (folder / "args.yaml").write_text("- not a mapping\n")
    assert len(read_yolo(folder)) == 1
    with pytest.raises(DataError, match=r"a_L\.txt: is not YOLO's YAML file; give the folder that holds data\.yaml"):
        read_yolo(folder / "labels" / "a_L.txt")
    for name in ("args.yaml", "data.yaml"):
        (folder / name).unlink()
    (folder / "classes.txt").write_bytes("Lunate\nM\xe9tacarpe\n".encode("cp1252"))
    assert len(read_yolo(folder)) == 1
    (folder / "labels" / "a_L.txt").write_text("1" + line[1:])
    with pytest.raises(DataError, match=r"classes\.txt: no bone is known for 'M\ufffdtacarpe'"):
        read_yolo(folder)


def test_yolos_radiograph_without_objects_is_left_out(tmp_path, capsys):
    folder = yolo_lines(tmp_path / "set", "")
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(folder / "images" / "b_R.png")
    (folder / "labels" / "b_R.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9 0.1 0.9\n\n")
    assert main(["data", "import", "yolo", str(folder / "data.yaml"), str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "1 radiograph of 1 patient" in said and "a_L.png: nothing is drawn on it; left out" in said
