"""The writer of the released layout against the reader, and what stands on the disk when it is cut short."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from jointwrist.anatomy import NOT_SCORED, NUM_BONES
from jointwrist.data.dataset import layout
from jointwrist.data.dataset.case import load_crop, load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.dataset.writer import DatasetWriter, Pixels
from jointwrist.data.sample import unpack_masks
from jointwrist.errors import DataError

NAME = "0172_0001_R"
SCORES = (0, 3, NOT_SCORED, 5, 1, NOT_SCORED)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("written"), np.random.default_rng(0)
    pixels = Pixels(rng.integers(0, 256, (40, 30), np.uint8))
    masks = rng.random((NUM_BONES, 40, 30)) < 0.3
    boxes = np.array([[2, 3, 12, 14], [5, 5, 20, 21], [np.nan] * 4, [0, 0, 30, 40], [8, 9, 19, 30], [1, 1, 6, 7]])
    writer = DatasetWriter(root)
    writer.add_masks(NAME, "train", pixels, masks)
    scored = [writer.add_scored(NAME, "val", pixels, pixels, SCORES, boxes)]
    writer.add_arrays(layout.EROSIONS, NAME, eroded=np.ones((40, 30), np.uint8))
    writer.write_scores(scored)
    writer.write_boxes(scored)
    writer.write_metadata(("Mapped Image Stem", "PixelSpacing"), [("0172_0001", 0.15)])
    return root, pixels.values, masks, boxes


def test_what_is_written_is_read_again(written):
    root, pixels, masks, boxes = written
    (case,) = RamW600.open(root).cases
    sample = load_sample(case)
    assert (case.segmentation_split, case.erosion_split, case.scores, case.spacing_mm) == ("train", "val", SCORES, 0.15)
    np.testing.assert_array_equal(sample.image[0], pixels / np.float32(255))
    np.testing.assert_array_equal(unpack_masks(sample.bones), masks)
    np.testing.assert_array_equal(sample.boxes, boxes.astype(np.float32))
    assert (sample.eroded == 1).all()
    assert sorted(case.crops) == [joint for joint, score in enumerate(SCORES) if score != NOT_SCORED]
    np.testing.assert_array_equal(load_crop(case, 1), pixels[5:21, 5:20] / np.float32(255))


def test_boxes_with_areas_are_read_by_coco_itself(written, tmp_path):
    coco = pytest.importorskip("pycocotools.coco")
    root, pixels, _, boxes = written
    writer = DatasetWriter(tmp_path)
    image = root / layout.MASK_IMAGES / f"{NAME}.bmp"
    scored = writer.add_scored(NAME, "test", image, Pixels(pixels), SCORES, boxes)
    writer.write_boxes([scored], areas=True)
    read = coco.COCO(str(tmp_path / layout.BOXES))
    assert sorted(entry["area"] for entry in read.loadAnns(read.getAnnIds())) == [30, 110, 231, 240, 1200]


def test_colour_is_three_equal_channels_and_other_files_are_refused(tmp_path):
    values = np.arange(12, dtype=np.uint8).reshape(3, 4)
    writer = DatasetWriter(tmp_path)
    writer.add_masks(NAME, "test", Pixels(values, colour=True), np.zeros((NUM_BONES, 3, 4)))
    with Image.open(tmp_path / layout.MASK_IMAGES / f"{NAME}.bmp") as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), np.stack([values] * 3, -1))
    with pytest.raises(DataError, match="save it as BMP, PNG, JPEG or TIFF"):
        writer.add_masks(NAME, "test", tmp_path / "wrist.npy", np.zeros((NUM_BONES, 3, 4)))


def test_a_table_that_cannot_be_written_leaves_the_old_one(written, tmp_path, monkeypatch):
    writer = DatasetWriter(tmp_path)
    writer.write_scores([])
    monkeypatch.setattr("pathlib.Path.write_text", lambda *_, **__: (_ for _ in ()).throw(RuntimeError("killed")))
    with pytest.raises(RuntimeError, match="killed"):
        writer.write_scores([])
    assert json.loads((tmp_path / layout.SCORES).read_bytes()) == []
    assert [path.name for path in (tmp_path / layout.CROPS).iterdir()] == [layout.SCORES.name]
