"""Masks to annotation tools and back: no pixel, side, split, spacing or score is lost."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from odd_dataset import SIZE, write_odd_dataset

from jointwrist.cli import main
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.label_files import read_masks
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.export_dataset import FORMATS, Export
from jointwrist.data.mask_formats import coco, labelme, nifti, seg_nrrd
from jointwrist.data.mask_formats.layers import layers_of
from jointwrist.data.sample import pack_masks
from jointwrist.data.shapes.fill import fill_polygon
from jointwrist.data.shapes.trace import exact_polygons
from jointwrist.outputs.annotation import drawn_result

for package in ("nibabel", "nrrd", "pycocotools"):
    pytest.importorskip(package)


def round_trip(kind, root, tmp_path, *options):
    out = tmp_path / "tool"
    assert main(["data", "export", kind, str(root), str(out)]) == 0
    source = out / "instances.json" if kind == "coco" else out
    table = ["--table", str(out / "table.csv")]
    assert main(["data", "import", kind, str(source), str(tmp_path / "back"), *table, *options]) == 0
    return out, tmp_path / "back"


@pytest.mark.parametrize("kind", FORMATS)
def test_odd_masks_come_back_bit_for_bit(kind, masked, tmp_path, capsys):
    wanted = write_odd_dataset(tmp_path / "root", masked[:4])
    _, back = round_trip(kind, tmp_path / "root", tmp_path)
    first, second = RamW600.open(tmp_path / "root"), RamW600.open(back)
    assert [case.identifier for case in second.cases] == [case.identifier for case in first.cases] == sorted(wanted)
    assert {case.side for case in first.cases} == {"L", "R"}
    for before, after in zip(first.cases, second.cases, strict=True):
        assert after.segmentation_split == before.segmentation_split
        assert after.image.read_bytes() == before.image.read_bytes()
        assert np.array_equal(read_masks(after.mask, SIZE), pack_masks(wanted[after.identifier]))
    assert "radiographs that lack a bone" in capsys.readouterr().out


@pytest.mark.parametrize("kind", FORMATS)
def test_erosions_scores_and_spacings_come_back(kind, dataset, phantom_root, tmp_path):
    _, back = round_trip(kind, phantom_root, tmp_path)
    before = {case.identifier: case for case in dataset.cases if case.mask is not None}
    after = {case.identifier: case for case in RamW600.open(back).cases}
    assert after.keys() == before.keys()
    assert any(load_sample(case, right_hand=False).eroded.any() for case in after.values())
    for name, case in after.items():
        old, new = (load_sample(some, right_hand=False) for some in (before[name], case))
        assert np.array_equal(new.bones, old.bones)
        assert np.array_equal(new.eroded, old.eroded)
        assert case.scores == before[name].scores
        assert case.spacing_mm == pytest.approx(before[name].spacing_mm)
        assert case.patient == before[name].patient


def test_names_colours_and_spacings_stand_in_the_files(masked, tmp_path):
    nibabel, nrrd = pytest.importorskip("nibabel"), pytest.importorskip("nrrd")
    _, masks = masked[0]
    layers = layers_of(pack_masks(masks), np.eye(128, dtype=np.uint8))
    assert [layer.name for layer in layers][-1] == "Metacarpal1st erosion"
    seg_nrrd.write(tmp_path / "a.seg.nrrd", layers, (128, 128), 0.15)
    header = nrrd.read_header(str(tmp_path / "a.seg.nrrd"))
    assert header["Segment0_Name"] == "Capitate"
    colour = [float(part) * 255 for part in header["Segment0_Color"].split()]
    assert colour == pytest.approx(layers[0].colour, abs=0.01)
    assert header["space directions"][1:, :2].tolist() == [[0.15, 0], [0, 0.15], [0, 0]]
    nifti.write_folder(tmp_path / "a", layers, 0.15)
    image = nibabel.load(tmp_path / "a" / "Capitate.nii.gz")
    assert image.header.get_zooms()[:2] == pytest.approx((0.15, 0.15))
    assert np.array_equal(np.asarray(image.dataobj)[..., 0], masks[0].T)
    coco.write(tmp_path / "a.json", [coco.CocoImage.of("a.png", (128, 128), layers)])
    content = json.loads((tmp_path / "a.json").read_text())
    assert {drawn["iscrowd"] for drawn in content["annotations"]} == {1}
    categories = content["categories"]
    assert categories[0] == {"id": 1, "name": "Capitate", "supercategory": "wrist", "color": list(layers[0].colour)}


def test_nothing_corrected_is_written_over(phantom_root, tmp_path, capsys):
    out = tmp_path / "tool"
    assert main(["data", "export", "labelme", str(phantom_root), str(out), "--split", "test"]) == 0
    before = {path: path.read_bytes() for path in out.iterdir()}
    assert main(["data", "export", "labelme", str(phantom_root), str(out)]) == 2
    assert "is not empty, and what it holds is never replaced" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_failed_export_leaves_nothing(phantom_root, tmp_path):
    shutil.copytree(phantom_root, tmp_path / "root")
    masks = sorted((tmp_path / "root" / "BoneSegmentation" / "masks").rglob("*.npy"))
    masks[-1].write_bytes(b"no array")
    assert main(["data", "export", "labelme", str(tmp_path / "root"), str(tmp_path / "tool")]) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


@pytest.fixture(scope="module")
def results(masked):
    from jointwrist.inference.predictor import Predictor

    predictor = Predictor.from_pretrained("jointwrist_tiny", device="cpu", localise=False, rotation=0)
    return predictor([case.image for case, _ in masked[:2]])


@pytest.mark.parametrize("kind", FORMATS)
def test_predictions_come_home_as_they_were(kind, results, tmp_path):
    export = Export(tmp_path / "tool", kind)
    for result in results:
        export.add(drawn_result(result, result.radiograph.source.stem))
    export.finish()
    source = tmp_path / "tool" / "instances.json" if kind == "coco" else tmp_path / "tool"
    table = ["--table", str(tmp_path / "tool" / "table.csv")]
    assert main(["data", "import", kind, str(source), str(tmp_path / "back"), *table]) == 0
    for result, case in zip(results, RamW600.open(tmp_path / "back").cases, strict=True):
        assert np.array_equal(read_masks(case.mask, None), pack_masks(result.masks))
        assert case.image.read_bytes() == result.radiograph.source.read_bytes()


def test_predict_for_a_tool(masked, tmp_path, capsys):
    case, _ = masked[0]
    options = ["--for", "labelme", "-o", str(tmp_path), "--field", "whole", "--rotation", "0"]
    assert main(["predict", str(case.image), *options]) == 0
    assert "to be corrected with labelme" in capsys.readouterr().out
    assert main(["data", "import", "labelme", str(tmp_path / "labelme"), str(tmp_path / "back")]) == 0
    predicted = np.load(tmp_path / f"{case.identifier}_masks.npz")["bits"]
    assert np.array_equal(read_masks(RamW600.open(tmp_path / "back").cases[0].mask, None), predicted)
    assert main(["predict", str(case.image), *options]) == 2
    assert "is not empty, and what it holds is never replaced" in capsys.readouterr().err


def test_polygons_keep_every_pixel_with_few_corners(masked):
    random = np.random.default_rng(0)
    masks = [mask for _, masks in masked[:2] for mask in masks if mask.any()]
    corners = [sum(map(len, exact_polygons(mask))) for mask in masks]
    edges = [np.count_nonzero(np.diff(np.pad(mask, 1).astype(int), axis=axis)) for mask in masks for axis in (0, 1)]
    assert sum(corners) < 0.35 * sum(edges)
    drawn = 0
    for _ in range(60):
        mask = random.random((9, 13)) < random.uniform(0.1, 0.9)
        polygons = exact_polygons(mask)
        if polygons is not None:
            drawn += 1
            filled = [fill_polygon(polygon, mask.shape) for polygon in polygons]
            assert np.array_equal(np.any(filled, axis=0) if filled else np.zeros_like(mask), mask)
    assert drawn > 15
    ring = np.ones((5, 5), bool)
    ring[2, 2] = False
    assert exact_polygons(ring) is None


def test_labelme_files_use_polygons_where_they_can(masked, tmp_path):
    _, masks = masked[0]
    masks = masks.copy()
    rows, columns = np.nonzero(masks[0])
    masks[0][rows[len(rows) // 2], int(np.median(columns))] = False
    labelme.write(tmp_path / "a.json", "a.png", layers_of(pack_masks(masks)), (128, 128))
    shapes = json.loads((tmp_path / "a.json").read_text())["shapes"]
    assert {shape["label"]: shape["shape_type"] for shape in shapes}["Lunate"] == "polygon"
    named = labelme.read(tmp_path / "a.json", (128, 128))
    for bone, mask in zip(("Capitate", "Lunate"), masks[[0, 4]], strict=True):
        assert np.array_equal(np.any([drawn for name, drawn in named if name == bone], axis=0), mask)
