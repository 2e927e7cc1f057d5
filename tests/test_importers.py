"""Masks drawn elsewhere: against other rasterisers, round trips through COCO and labelme, and what is refused."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from jointwrist.anatomy import BONE_NAMES, BONES
from jointwrist.cli import main
from jointwrist.data.check import check_release
from jointwrist.data.importers import read_coco, read_labelme
from jointwrist.data.importers.film import beneath
from jointwrist.data.importers.names import ABBREVIATIONS, match_names
from jointwrist.data.importers.raster import decode_run_lengths, fill_polygon
from jointwrist.data.importers.table import entry_of
from jointwrist.data.importers.write import draw_splits
from jointwrist.data.ram_w600 import Release, load_sample
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError

#: pycocotools 2.0.11 under NumPy 2.4
ARRAY_WARNING = pytest.mark.filterwarnings("ignore:__array__ implementation")


def test_polygons_are_filled_as_matplotlib_tests_pixel_centres():
    rng = np.random.default_rng(1)
    height, width = 40, 57
    centres = np.stack(np.meshgrid(np.arange(width) + 0.5, np.arange(height) + 0.5), -1).reshape(-1, 2)
    for _ in range(50):
        angle = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 30)))
        radius = rng.uniform(2, 30, len(angle))  # a star, which may reach beyond the frame
        corners = np.array([30.0, 20.0]) + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        expected = Outline(corners).contains_points(centres).reshape(height, width)
        assert (fill_polygon(corners, (height, width)) == expected).all()


@ARRAY_WARNING
def test_polygons_are_those_of_pycocotools_but_for_pixels_on_the_outline():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(0)
    for _ in range(20):
        angle, radius = np.sort(rng.uniform(0, 2 * np.pi, 40)), rng.uniform(40, 60, 40)
        corners = np.array([100.0, 90.0]) + np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1)
        theirs = coco.decode(coco.merge(coco.frPyObjects([corners.ravel().tolist()], 200, 220))).astype(bool)
        ours = fill_polygon(corners, (200, 220))
        assert 2 * (ours & theirs).sum() > 0.995 * (ours.sum() + theirs.sum())


def test_a_polygon_covers_its_area_and_whole_numbers_are_pixel_edges():
    square = np.array([[2, 1], [5, 1], [5, 3], [2, 3]])
    mask = fill_polygon(square, (6, 8))
    assert mask.sum() == 6
    assert mask[1:3, 2:5].all()


@ARRAY_WARNING
def test_run_lengths_are_those_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    rng = np.random.default_rng(2)
    for share in (0.0, 0.02, 0.5, 1.0):
        mask = rng.random((37, 53)) < share
        assert (decode_run_lengths(coco.encode(np.asfortranarray(mask))["counts"].decode(), mask.shape) == mask).all()
    big = np.zeros((700, 600), bool)
    big[300:400, 100:500] = True
    assert (decode_run_lengths(coco.encode(np.asfortranarray(big))["counts"].decode(), big.shape) == big).all()


def plain_run_lengths(mask: np.ndarray) -> list[int]:
    """COCO's definition, step by step."""
    counts, inside, run = [], False, 0
    for pixel in mask.T.ravel().tolist():
        if pixel != inside:
            counts.append(run)
            inside, run = pixel, 0
        run += 1
    return [*counts, run]


@pytest.mark.parametrize("damage", ["P", "0" * 20, "~~~", [1, 2], [-1, 31], [30.0], ["a"], [[1]], "é"])
def test_damaged_run_lengths_are_refused(damage):
    with pytest.raises(ValueError, match=r"run length|does not occur"):
        decode_run_lengths(damage, (5, 6))


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


@pytest.fixture(scope="module")
def truth(phantom_root):
    """Phantom films with their masks, as they lie on the film."""
    cases = [case for case in Release.open(phantom_root).cases if case.mask is not None][:9]
    return [(case, unpack_masks(load_sample(case, right_hand=False).bones)) for case in cases]


def write_coco(folder, truth, outline, categories=BONE_NAMES):
    """Write films and a COCO file; `outline` turns a mask into a segmentation."""
    images, annotations = [], []
    (folder / "images").mkdir(parents=True)
    for case, masks in truth:
        Image.open(case.image).save(folder / "images" / f"{case.identifier}.png")
        height, width = masks.shape[1:]
        images.append(
            {"id": len(images), "file_name": f"images/{case.identifier}.png", "height": height, "width": width}
        )
        for bone, mask in enumerate(masks):
            if mask.any():
                annotations.append(
                    {"id": len(annotations), "image_id": images[-1]["id"], "category_id": bone + 1,
                     "segmentation": outline(mask)}
                )  # fmt: skip
    names = [{"id": 0, "name": "wrist"}, *({"id": bone + 1, "name": name} for bone, name in enumerate(categories))]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": names}))
    return path


def staircase(mask: np.ndarray) -> list[list[float]]:
    """The mask as one rectangle a run of each row, so that filling it must give the mask again."""
    polygons = []
    for y, row in enumerate(np.pad(mask, ((0, 0), (1, 1))).astype(int)):
        starts, stops = np.flatnonzero(np.diff(row) == 1).tolist(), np.flatnonzero(np.diff(row) == -1).tolist()
        polygons += [[a, y, b, y, b, y + 1, a, y + 1] for a, b in zip(starts, stops, strict=True)]
    return polygons


OUTLINES = {
    "polygons": staircase,
    "runs": lambda mask: {"counts": plain_run_lengths(mask), "size": list(mask.shape)},
}


@pytest.mark.parametrize("form", OUTLINES)
def test_coco_round_trip_gives_every_pixel(form, truth, tmp_path, capsys):
    source = write_coco(tmp_path / "source", truth, OUTLINES[form], [names[0].upper() for names in ABBREVIATIONS])
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    assert "9 radiographs" in capsys.readouterr().out
    assert_same_masks(tmp_path / "out", truth)


@ARRAY_WARNING
def test_coco_text_run_lengths_round_trip(truth, tmp_path):
    coco = pytest.importorskip("pycocotools.mask")

    def outline(mask):
        runs = coco.encode(np.asfortranarray(mask))
        return {"counts": runs["counts"].decode(), "size": runs["size"]}

    source = write_coco(tmp_path / "source", truth[:3], outline)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", truth[:3])


def test_outlines_of_another_tool_overlap_the_masks_they_were_drawn_round(truth, tmp_path):
    find_contours = pytest.importorskip("contourpy").contour_generator

    def outline(mask):
        lines = find_contours(z=np.pad(mask, 1).astype(float)).lines(0.5)
        return [(line - 0.5).ravel().tolist() for line in lines]  # contourpy counts pixel centres, padded by one

    source = write_coco(tmp_path / "source", truth[:3], outline)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    for case, masks in truth[:3]:
        imported = np.load(next((tmp_path / "out").glob(f"BoneSegmentation/masks/*/{case.identifier}.npy")))
        dice = 2 * (imported & masks).sum((1, 2)) / (imported.sum((1, 2)) + masks.sum((1, 2)))
        assert np.nanmin(dice) > 0.98


def assert_same_masks(root, truth):
    assert not [fault for fault in check_release(root) if fault.severity == "error"]
    release = Release.open(root)
    assert [case.identifier for case in release.cases] == sorted(case.identifier for case, _ in truth)
    for case, masks in truth:
        imported = next(found for found in release.cases if found.identifier == case.identifier)
        sample = load_sample(imported, right_hand=False)
        assert (unpack_masks(sample.bones) == masks).all()
        assert (sample.image == load_sample(case, right_hand=False).image).all()
        assert imported.patient == case.patient


def write_labelme(folder, truth):
    """One file a film; bones by turns as rectangles a row run, as polygons of them and as pictures."""
    folder.mkdir(parents=True)
    for case, masks in truth:
        Image.open(case.image).save(folder / f"{case.identifier}.png")
        shapes = []
        for bone, mask in enumerate(masks):
            if bone % 3 == 2 and mask.any():
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                patch = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
                buffer = io.BytesIO()
                Image.fromarray(patch.astype(np.uint8)).save(buffer, "PNG")
                corners = [[columns[0].item(), rows[0].item()], [columns[-1].item(), rows[-1].item()]]
                picture = base64.b64encode(buffer.getvalue()).decode()
                shapes.append(
                    {"label": BONE_NAMES[bone], "points": corners, "mask": picture, "shape_type": "mask"}
                )  # fmt: skip
                continue
            for x0, y0, x1, _, _, y1, *_ in staircase(mask):
                points = [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]
                kind = ("polygon", "rectangle")[bone % 3]
                shapes.append(
                    {"label": BONES[bone].display, "shape_type": kind, "points": points[::2] if bone % 3 else points}
                )
        height, width = masks.shape[1:]
        content = {"imagePath": f"{case.identifier}.png", "imageHeight": height, "imageWidth": width, "shapes": shapes}
        (folder / f"{case.identifier}.json").write_text(json.dumps(content))
    return folder


def test_labelme_round_trip_gives_every_pixel(truth, tmp_path):
    source = write_labelme(tmp_path / "source", truth)
    assert main(["data", "import", "labelme", str(source), str(tmp_path / "out")]) == 0
    assert_same_masks(tmp_path / "out", truth)


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


def test_a_circle_has_the_area_of_a_circle(tmp_path):
    Image.new("L", (100, 80)).save(tmp_path / "a_L.png")
    shape = {"label": "lunate", "shape_type": "circle", "points": [[50, 40], [50, 60]]}
    (tmp_path / "a_L.json").write_text(json.dumps({"imagePath": "a_L.png", "shapes": [shape]}))
    (film,) = read_labelme(tmp_path)
    area = unpack_masks(film.bones((80, 100)))[4].sum()
    assert abs(area / (np.pi * 20**2) - 1) < 0.01


def test_a_table_gives_patients_sides_splits_spacings_and_scores(truth, tmp_path, capsys):
    source = write_coco(tmp_path / "source", truth, OUTLINES["runs"])
    lines = ["file,patient,side,split,spacing_mm,DistalRadius,Lunate", "gone.png,nobody,L,,,,"]
    for number, (case, _) in enumerate(truth):
        split = ("train", "train", "val", "test")[number % 4]
        lines.append(f"{case.identifier}.png,person {number},{case.side},{split},0.17,{number % 6},")
    (tmp_path / "table.csv").write_text("\n".join(lines))
    words = ["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(tmp_path / "table.csv")]
    assert main(words) == 0
    assert "rows of the table without a radiograph: gone.png" in capsys.readouterr().out
    assert not [fault for fault in check_release(tmp_path / "out") if fault.severity == "error"]
    cases = Release.open(tmp_path / "out").cases
    assert [case.patient for case in cases] == [f"person-{number}" for number in range(9)]
    assert [case.side for case in cases] == [case.side for case, _ in truth]
    assert [case.segmentation_split for case in cases] == ["train", "train", "val", "test"] * 2 + ["train"]
    assert {case.spacing_mm for case in cases} == {0.17}
    assert [case.scores for case in cases] == [(-1, -1, -1, -1, n % 6, -1) for n in range(9)]
    for case, (_, masks) in zip(cases, truth, strict=True):
        (x0, y0, x1, y1), radius = case.boxes[4].astype(int), masks[1]
        assert Image.open(case.crops[4]).size == (x1 - x0, y1 - y0)
        assert radius[y0:y1, x0:x1].sum() > 0.4 * radius.sum()  # the joint end of the radius lies in its box


def test_splits_are_by_patient_and_about_the_shares():

    names = [f"p{number}_{study}_{side}.png" for number in range(100) for study in "12" for side in "LR"]
    entries = [entry_of(Path(name)) for name in names]
    splits = draw_splits(entries, seed=3)
    assert [list(splits.values()).count(split) for split in ("train", "val", "test")] == [70, 10, 20]
    assert splits == draw_splits(entries[::-1], seed=3) != draw_splits(entries, seed=4)
    three = draw_splits(entries[:12], seed=0)
    assert sorted(three.values()) == ["test", "train", "val"]
    with pytest.raises(DataError, match="add up to 1"):
        draw_splits(entries, (0.5, 0.1, 0.1))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("patient,side\na,L", "no column `file`"),
        ("file,patient,side,colour\na.png,a,L,red", "colour"),
        ("file,patient,side\na.png,a,L\na.png,a,R", "two rows"),
        ("file,patient,side\na.png,a,X", "side"),
        ("file,patient\nunsided.png,a", "_L or _R"),
        ("file,patient,side,split\na.png,a,L,training", "training"),
        ("file,patient,side,spacing_mm\na.png,a,L,0", "no pixel spacing"),
        ("file,patient,side,Lunate\na.png,a,L,6", "score '6'"),
        ("file,patient,side,Lunate,Lu\na.png,a,L,1,1", "one joint surface"),
        ("file,patient,side\n,a,L", "line 2"),
    ],
)
def test_a_wrong_table_is_named(table, message, truth, tmp_path, capsys):
    source = write_coco(tmp_path / "source", truth[:1], OUTLINES["runs"])
    path = tmp_path / "table.csv"
    path.write_text(table)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out"), "--table", str(path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert str(path) in error or "unsided" in error
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
        ("words", "at least 3 points"),
        ("other size", "was drawn on"),
        ("other runs", "run lengths are of"),
        ("no file", "--images"),
        ("foreign image", "not a COCO file"),
        ("foreign category", "--map"),
        ("no categories", "not a COCO file"),
        ("nothing", "no radiograph"),
    ],
)
def test_a_damaged_coco_file_is_refused_by_name_and_leaves_nothing(damage, message, truth, tmp_path, capsys):
    source = write_coco(tmp_path / "source", truth[:1], OUTLINES["runs"])
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
        ({"points": [[0, 0], [1, 1], [2, None]]}, "at least 3 points"),
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


def test_a_map_renames_and_leaves_out(truth, tmp_path, capsys):
    names = ["os capitatum", *BONE_NAMES[1:-1], "screw"]
    source = write_coco(tmp_path / "source", truth[:1], OUTLINES["runs"], names)
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
    assert (imported[:13] == truth[0][1][:13]).all()
    assert not imported[13].any()


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
                for film in read(path):
                    film.bones((10, 12))
                outcomes.append(True)
            except DataError as error:
                assert "a_L" in str(error)
                outcomes.append(False)
    assert set(outcomes) == {True, False}
