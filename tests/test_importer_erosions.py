"""Erosions that somebody outlined: round trips from phantoms, whose eroded pixels are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from annotation_files import staircase
from PIL import Image

from jointwrist.anatomy import BONE_NAMES, JOINTS
from jointwrist.cli import main
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.check import check_dataset
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.data.shapes.label_names import match_names
from jointwrist.errors import DataError
from jointwrist.phantom import PhantomConfig, make_wrist

NAMED = [f"{joint.name} erosion" for joint in JOINTS]


@pytest.fixture(scope="module")
def wrists() -> list[WristSample]:
    return [make_wrist(11, index, PhantomConfig(size=128, prevalence=0.6)) for index in range(8)]


def write_coco(folder: Path, wrists: list[WristSample], erosions: list[str]) -> Path:
    """Write images, the bones as they were before they were eroded, and each joint surface's erosion under its name."""
    folder.mkdir()
    names = [*BONE_NAMES, *dict.fromkeys(erosions)]
    images, annotations = [], []
    for wrist in wrists:
        name = f"{wrist.identifier}.png"
        Image.fromarray(np.round(wrist.image[0] * 255).astype(np.uint8)).save(folder / name)
        images.append({"id": len(images), "file_name": name, "height": 128, "width": 128})
        drawn = [*zip(BONE_NAMES, unpack_masks(wrist.healthy), strict=True)]
        drawn += zip(erosions, unpack_masks(wrist.eroded, 6), strict=True)
        annotations += [
            {"image_id": images[-1]["id"], "category_id": names.index(label), "segmentation": staircase(mask)}
            for label, mask in drawn
            if mask.any()
        ]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return path


def imported(root: Path) -> dict[str, WristSample]:
    assert not [fault for fault in check_dataset(root) if fault.severity == "error"]
    return {case.identifier: load_sample(case, right_hand=False) for case in RamW600.open(root).cases}


def test_named_erosions_come_back_pixel_by_pixel(wrists, tmp_path, capsys):
    source = write_coco(tmp_path / "source", wrists, NAMED)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    eroded = sum(bool(wrist.eroded.any()) for wrist in wrists)
    assert f"radiographs with outlined erosions: {eroded}" in capsys.readouterr().out
    found = imported(tmp_path / "out")
    for wrist in wrists:
        np.testing.assert_array_equal(found[wrist.identifier].eroded, wrist.eroded)
    assert not RamW600.open(tmp_path / "out").is_phantom


def test_erosions_without_a_bone_go_to_the_joint_surface_that_they_cover(wrists, tmp_path):
    source = write_coco(tmp_path / "source", wrists, ["Erosion"] * 6)
    assert main(["data", "import", "coco", str(source), str(tmp_path / "out")]) == 0
    found = imported(tmp_path / "out")
    right, all_ = 0, 0
    for wrist in wrists:
        truth, guess = unpack_masks(wrist.eroded, 6), unpack_masks(found[wrist.identifier].eroded, 6)
        assert (truth.any(0) == guess.any(0)).all(), "no erosion is lost"
        right, all_ = right + (truth & guess).sum(), all_ + truth.sum()
    assert right > 0.9 * all_


def test_training_sees_them_and_knows_where_nobody_looked(wrists, tmp_path):
    for folder, names in (("told", NAMED), ("untold", None)):
        source = write_coco(tmp_path / folder, wrists, names or NAMED)
        if names is None:
            content = json.loads(source.read_text())
            bones = {category["id"] for category in content["categories"] if category["name"] in BONE_NAMES}
            content["categories"] = [category for category in content["categories"] if category["id"] in bones]
            content["annotations"] = [a for a in content["annotations"] if a["category_id"] in bones]
            source.write_text(json.dumps(content))
        assert main(["data", "import", "coco", str(source), str(tmp_path / f"{folder}-out")]) == 0
        items = [*WristDataset(list(RamW600.open(tmp_path / f"{folder}-out").cases), 64, cache=False)]
        assert {bool(item["has_eroded"]) for item in items} == {names is not None}


def test_labelme_radiographs_without_an_erosion_have_none_where_others_have_one(wrists, tmp_path, capsys):
    square = {"label": "Lunate", "points": [[10, 10], [40, 40]], "shape_type": "rectangle"}
    bite = {"label": "erosion_of_Lunate", "points": [[10, 10], [16, 16]], "shape_type": "rectangle"}
    elsewhere = {"label": "erosion", "points": [[100, 100], [110, 110]], "shape_type": "rectangle"}
    (tmp_path / "in").mkdir()
    for wrist, shapes in zip(wrists[:2], ([square, bite, elsewhere], [square]), strict=True):
        Image.fromarray(np.round(wrist.image[0] * 255).astype(np.uint8)).save(
            tmp_path / "in" / f"{wrist.identifier}.png"
        )
        content = {"shapes": shapes, "imagePath": f"{wrist.identifier}.png", "imageHeight": 128, "imageWidth": 128}
        (tmp_path / "in" / f"{wrist.identifier}.json").write_text(json.dumps(content))
    assert main(["data", "import", "labelme", str(tmp_path / "in"), str(tmp_path / "out")]) == 0
    assert "outlined erosions: 1; 1 erosion at no joint surface" in capsys.readouterr().out
    found = [np.load(tmp_path / "out" / "ErosionMasks" / f"{wrist.identifier}.npz")["eroded"] for wrist in wrists[:2]]
    expected = np.zeros((128, 128), np.uint8)
    expected[10:16, 10:16] = 1 << next(joint.index for joint in JOINTS if joint.name == "Lunate")
    np.testing.assert_array_equal(found[0], expected)
    assert not found[1].any()


def test_names_of_erosions(tmp_path):
    radius = BONE_NAMES.index("DistalRadius")
    for name in ("DistalRadius erosion", "erosion of Radius", "EROSION-rad", "erosions DR"):
        assert match_names([name], {}, tmp_path) == {name: (radius, True)}
    assert match_names(["usure"], {"usure": "erosion"}, tmp_path) == {"usure": (None, True)}
    with pytest.raises(DataError, match=r"'Capitate erosion'.*may be eroded are Metacarpal1st, "):
        match_names(["Capitate erosion"], {}, tmp_path)
