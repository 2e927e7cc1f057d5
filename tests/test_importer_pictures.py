"""Masks as picture files: every layout comes back bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mask_pictures import DISC, film, save
from PIL import Image
from test_importer_cvat_yolo import assert_same_masks

from jointwrist.anatomy import BONE_NAMES, BONES
from jointwrist.cli import main
from jointwrist.data.importers.pictures import read_pictures
from jointwrist.data.mask_formats.label_map import to_label_map
from jointwrist.data.sample import pack_masks
from jointwrist.errors import DataError


@pytest.fixture
def few(masked):
    return masked[:3]


def one_bit(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(path)


def sixteen_bits(path, mask):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask.astype(np.uint16) * np.uint16(65535)).save(path)


def of_paint(path, mask):
    """A red bone on a transparent ground."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.stack([mask * 255, mask * 0, mask * 0, mask * 255], -1).astype(np.uint8)).save(path)


def voc(path, mask):
    """A palette whose second colour is the bone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(mask.astype(np.uint8), "L").convert("P")
    picture.putpalette([0, 0, 0, 128, 0, 0])
    picture.putdata(mask.astype(np.uint8).ravel().tolist())
    picture.save(path)


#: Place of a mask and of a radiograph; `{}` is the radiograph's name, and `{bone}` that of the bone.
LAYOUTS = {
    "side by side": ("{}_{bone}.png", "{}.png", "name", save),
    "spellings": ("{}-{bone}-mask.png", "{}.png", "display", one_bit),
    "bone first": ("{bone}_{}.bmp", "{}.bmp", "name", save),
    "folder of the radiograph": ("{}/{bone}.png", "{}.png", "name", sixteen_bits),
    "deeper": ("{}/masks/{bone}_mask.png", "{}/{}.png", "name", of_paint),
    "folder of the bone": ("{bone}/{}.png", "images/{}.png", "display", voc),
    "masks, then bones": ("masks/{bone}/{}.tif", "images/{}.png", "name", sixteen_bits),
    "bone twice": ("masks/{bone}/{}_{bone}.tiff", "images/{}.png", "name", one_bit),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_masks_of_one_bone_each_come_back(tmp_path, few, layout, capsys):
    place, radiograph, spelling, write = LAYOUTS[layout]
    for case, masks in few:
        path = tmp_path / "own" / radiograph.format(case.identifier, case.identifier)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.open(case.image).save(path)
        for bone, mask in zip(BONES, masks, strict=True):
            if mask.any():
                name = place.format(case.identifier, bone=getattr(bone, spelling))
                write(tmp_path / "own" / name, mask)
    assert main(["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)
    said = capsys.readouterr().out
    assert said.count("own: a picture of each bone: ") == 1 and "of 3 films" in said
    assert "left out" not in said and "besides 0" not in said and "inverted" not in said


def exclusive(few):
    """Label maps, and the masks that they can hold."""
    maps = [(case, to_label_map(pack_masks(masks))) for case, masks in few]
    kept = [(case, np.stack([labels == bone + 1 for bone in range(len(BONES))])) for case, labels in maps]
    return maps, kept


def eight_bits(path, labels):
    Image.fromarray(labels.astype(np.uint8)).save(path)


def wide(path, labels):
    Image.fromarray(labels.astype(np.uint16)).save(path)


def with_palette(path, labels):
    picture = Image.fromarray(labels.astype(np.uint8)).convert("P")
    picture.putpalette([channel for bone in BONES for channel in bone.colour])
    picture.putdata(labels.ravel().tolist())
    picture.save(path)


def grey_in_three_channels(path, labels):
    Image.fromarray(np.repeat(labels.astype(np.uint8)[..., None], 3, -1)).save(path)


#: The bones from 14 to 1.
NUMBERS = {name: len(BONE_NAMES) - bone for bone, name in enumerate(BONE_NAMES)}
SNAP = "# ITK-SnAP Label Description File\n# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n" + "".join(
    f'{number:5} {4 * number:5} 0 0        1  1  1    "{name}"\n'
    for name, number in {"Clear Label": 0, **NUMBERS}.items()
)
TABLES = {
    "labels.txt": SNAP,
    "labels.ctbl": "# Color\n" + "".join(f"{number} {name} 1 2 3 255\n" for name, number in NUMBERS.items()),
    "labels.json": json.dumps({"labels": {"background": 0, **NUMBERS}}),
    "by_number.json": json.dumps({str(number): name for name, number in NUMBERS.items()}),
    "bundle.json": json.dumps({
        "network_data_format": {"outputs": {"pred": {"channel_def": {str(n): name for name, n in NUMBERS.items()}}}}
    }),
    "list.json": json.dumps([{"id": number, "name": name, "color": "#fff"} for name, number in NUMBERS.items()]),
    "labels.csv": "number;bone\n" + "".join(f"{number};{name}\n" for name, number in NUMBERS.items()),
    "bare.csv": "\ufeff" + "".join(f"{name},{number}\r\n" for name, number in NUMBERS.items()),
    "labels.yaml": "".join(f"{number}: {name}\n" for name, number in NUMBERS.items()),
    "spaces.txt": "".join(f"{number} {name}\n" for name, number in NUMBERS.items()),
}  # fmt: skip
MAPS = {
    "labels.txt": ("masks/{}.png", "images/{}.png", eight_bits),
    "labels.ctbl": ("masks/{}.tif", "images/{}.png", wide),
    "labels.json": ("{}_seg.png", "{}.png", with_palette),
    "by_number.json": ("{}-mask.png", "{}.bmp", grey_in_three_channels),
    "bundle.json": ("{}.png", "{}.jpg", wide),
    "list.json": ("labelsTr/{}.png", "imagesTr/{}_0000.png", eight_bits),
    "labels.csv": ("a/{}.png", "b/{}.png", eight_bits),
    "bare.csv": ("{}.tif", "{}.png", eight_bits),
    "labels.yaml": ("{}_label.bmp", "{}.png", eight_bits),
    "spaces.txt": ("masks/{}_labels.png", "x-rays/{}.png", eight_bits),
}


@pytest.mark.parametrize("table", TABLES)
def test_label_maps_come_back_by_the_numbers_of_a_table(tmp_path, few, table, capsys):
    place, radiograph, write = MAPS[table]
    maps, kept = exclusive(few)
    own = tmp_path / "own"
    for case, labels in maps:
        for name in (place, radiograph):
            (own / name).parent.mkdir(parents=True, exist_ok=True)
        Image.open(case.image).save(own / radiograph.format(case.identifier))
        write(own / place.format(case.identifier), np.where(labels, 15 - labels, 0))
    (tmp_path / table).write_text(TABLES[table])
    words = ["data", "import", "png", str(own), str(tmp_path / "out"), "--labels", str(tmp_path / table)]
    if "_0000" in radiograph:
        rows = [f"{case.identifier}_0000.png,{case.identifier.replace('_', ',')}" for case, _ in few]
        (tmp_path / "table.csv").write_text("\n".join(["file,patient,study,side", *rows]))
        words += ["--table", str(tmp_path / "table.csv")]
    assert main(words) == 0
    assert_same_masks(tmp_path / "out", kept)
    said = capsys.readouterr().out
    assert said.count("a label map cannot hold overlaps") == 1 and "nothing says" not in said


def test_numbers_may_be_stated_by_nnunet_or_by_nobody(tmp_path, few, capsys):
    maps, kept = exclusive(few)
    own = tmp_path / "own"
    (own / "labelsTr").mkdir(parents=True)
    for case, labels in maps:
        Image.open(case.image).save(own / f"{case.identifier}.png")
        eight_bits(own / "labelsTr" / f"{case.identifier}.png", labels)
    assert main(["data", "import", "png", str(own), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", kept)
    assert "nothing says what the numbers mean; taken as 1 Capitate, 2 DistalRadius" in capsys.readouterr().out
    (own / "dataset.json").write_text(json.dumps({"labels": {"background": 0, "Lunate": 1, "os magnum": 2}}))
    assert main(["data", "import", "png", str(own), str(tmp_path / "again")]) == 2
    assert "no bone is known for '10', '11', '12', '13', '14', '2' ('os magnum'), '3'" in capsys.readouterr().err


def brush(folder, few, tag="tag", names=BONE_NAMES):
    """Masks as Label Studio names them; every bone in two regions, which overlap."""
    folder.mkdir(parents=True)
    for task, (case, masks) in enumerate(few, 7):
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        for name, mask in zip(names, masks, strict=True):
            upper = mask.copy()
            upper[len(mask) // 2 :] = False
            for number, part in enumerate([upper, mask & ~np.roll(upper, 1)] if mask.any() else []):
                save(folder / f"task-{task}-annotation-{task + 20}-by-1-{tag}-{name}-{number}.png", part)
    return folder


def tasks(few, minimal=False):
    urls = ["/data/upload/1/0a1b2c3d-{}.png", "s3://films/{}.png", "http://host/data/local-files/?d=a%2F{}.png"]
    named = [
        (task, url.format(case.identifier)) for (task, (case, _)), url in zip(enumerate(few, 7), urls, strict=True)
    ]
    if minimal:
        return [
            {"image": url, "id": task, "tag": [], "annotator": 1, "annotation_id": task + 20} for task, url in named
        ]
    return [{"id": task, "annotations": [], "data": {"text": "a", "image": url}} for task, url in named]


@pytest.mark.parametrize("minimal", [False, True])
def test_brush_masks_of_label_studio_come_back(tmp_path, few, minimal, capsys):
    folder = brush(tmp_path / "own", few, "tag-1", [bone.display.replace(" ", "-") for bone in BONES])
    (folder / "project.json").write_text(json.dumps(tasks(few, minimal)))
    assert main(["data", "import", "png", str(folder), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", few)
    said = capsys.readouterr().out
    assert "own: Label Studio's brush masks: " in said and "masks without a pixel" in said


def test_hidden_files_beside_the_json_of_label_studio_are_left_alone(tmp_path):
    film(tmp_path / "case_L.png")
    save(tmp_path / "task-7-annotation-3-by-1-tag-Lunate-0.png", DISC)
    (tmp_path / "project.json").write_text(json.dumps([{"id": 7, "data": {"image": "/data/upload/1/case_L.png"}}]))
    (tmp_path / "__MACOSX").mkdir()
    for path in (tmp_path / "__MACOSX" / "._project.json", tmp_path / "._project.json"):
        path.write_bytes(b"\0\5\x16\7\xff")
    (tmp_path / "old.json").mkdir()
    assert [one.image.name for one in read_pictures(tmp_path)] == ["case_L.png"]


def test_numbers_of_empty_label_maps_are_not_listed(tmp_path):
    film(tmp_path / "case_L.png")
    save(tmp_path / "case_L_seg.png", DISC & False, 1)
    (found,) = read_pictures(tmp_path)
    assert not found.regions and not any("numbers mean" in note for note in found.notes)


def test_brush_masks_without_json_need_films_named_by_task(tmp_path, few, capsys):
    folder = brush(tmp_path / "own", few)
    words = ["data", "import", "png", str(folder), str(tmp_path / "out")]
    assert main(words) == 2
    assert "nothing says which radiograph task 7 is; export the project as JSON, too" in capsys.readouterr().err
    rows = []
    for task, (case, _) in enumerate(few, 7):
        (folder / f"{case.identifier}.png").rename(folder / f"task-{task}.png")
        rows.append(f"task-{task}.png,{case.identifier.replace('_', ',')}")
    (tmp_path / "table.csv").write_text("\n".join(["file,patient,study,side", *rows]))
    assert main([*words, "--table", str(tmp_path / "table.csv")]) == 0
    assert_same_masks(tmp_path / "out", few)


def test_a_task_of_two_annotators_is_refused(tmp_path, capsys):
    film(tmp_path / "own" / "a_L.png")
    for annotation in (3, 4):
        save(tmp_path / "own" / f"task-7-annotation-{annotation}-by-1-tag-Lunate-0.png", DISC)
    assert main(["data", "import", "png", str(tmp_path / "own"), str(tmp_path / "out")]) == 2
    assert "task 7 also has annotation 3" in capsys.readouterr().err
    (tmp_path / "own" / "task-7-annotation-4-by-1-tag-Lunate-0.png").unlink()
    (radiograph,) = read_pictures(tmp_path / "own")
    assert radiograph.image.name == "a_L.png", "one film and one task"
    (tmp_path / "own" / "tasks.json").write_text('[{"id": 7, "data": {"image": "/data/upload/b_L.png"}}]')
    with pytest.raises(DataError, match=r"its radiograph b_L\.png is not there; name the folder"):
        read_pictures(tmp_path / "own")
    (tmp_path / "own" / "tasks.json").write_text("[")
    with pytest.raises(DataError, match=r"tasks\.json: not valid JSON"):
        read_pictures(tmp_path / "own")
