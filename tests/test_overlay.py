"""The picture of a prediction shows what the prediction says, and its files give it back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jointwrist.anatomy import BONES, NOT_SCORED
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.sample import pack_masks
from jointwrist.errors import DataError
from jointwrist.inference.placement import Placement
from jointwrist.inference.result import WristResult, read_masks
from jointwrist.outputs.overlay import draw_overlay, paint_masks
from jointwrist.outputs.sheet import draw_sheet, draw_tile, save_sheet
from jointwrist.weights.find import find_weights, weights_label


def make_result(height: int = 120, width: int = 150, **changes) -> WristResult:
    """Two overlapping bones, one of them cut by the frame; one joint eroded, one sound, four not found."""
    masks = np.zeros((14, height, width), bool)
    masks[6, 30:70, 40:90] = True
    masks[4, 50:100, 70:width] = True
    radiograph = Radiograph(
        np.linspace(0, 1, height * width, dtype=np.float32).reshape(height, width),
        spacing_mm=0.2,
        side="L",
        source=Path("folder/0001_0002_L.bmp"),
    )
    values = {
        "placement": Placement(radiograph),
        "masks": masks,
        "probabilities": np.array([np.nan, np.nan, 0.9, 0.2, np.nan, np.nan], np.float32),
        "scores": np.array([-1, -1, 3, 0, -1, -1]),
        "boxes": np.array([[np.nan] * 4, [np.nan] * 4, [35, 25, 95, 75], [60, 40, 160, 110], *[[np.nan] * 4] * 2]),
        "model": "jointwrist_tiny",
    }
    return WristResult(**{**values, **changes})


def test_inside_of_a_bone_takes_its_colour_and_the_outside_stays_grey():
    result = make_result()
    painted = paint_masks(np.full((120, 150), 0.5, np.float32), result.masks, (150, 120), fill=1.0, line_width=0)
    np.testing.assert_allclose(painted[45, 55] * 255, BONES[6].colour, atol=1)
    np.testing.assert_allclose(painted[90, 110] * 255, BONES[4].colour, atol=1)
    np.testing.assert_allclose(painted[10, 10], 0.5, atol=1e-6)


def test_contour_lies_on_the_edge_of_the_mask():
    result = make_result()
    painted = paint_masks(np.zeros((120, 150), np.float32), result.masks, (600, 480), fill=0.0, line_width=3)
    # row 40 of the radiograph crosses the scaphoid alone, at columns 40 and 90
    lit = np.flatnonzero(painted[160, :400].sum(-1) > 0.3)
    left, right = lit[lit < 260], lit[lit > 260]
    assert abs(left.mean() - 160) < 2
    assert abs(right.mean() - 360) < 2
    # a bone cut by the frame has no line along the frame
    assert painted[320, 590:].max() < 0.05


def test_masks_without_pixels_leave_the_radiograph_as_it_is():
    image = np.random.default_rng(0).random((40, 60), dtype=np.float32)
    painted = paint_masks(image, np.zeros((14, 40, 60), bool), (60, 40))
    np.testing.assert_allclose(painted, np.repeat(image[..., None], 3, 2), atol=1e-6)


@pytest.mark.parametrize(("height", "width"), [(120, 150), (150, 120), (30, 300), (64, 64)])
def test_overlay_holds_the_whole_radiograph_and_a_legend(height, width):
    result = (
        make_result()
        if (height, width) == (120, 150)
        else make_result(
            placement=Placement(Radiograph(np.zeros((height, width), np.float32))),
            masks=np.zeros((14, height, width), bool),
        )
    )
    picture = draw_overlay(result, side=480)
    assert picture.mode == "RGB"
    assert picture.width > 480 * width / max(height, width)
    assert picture.height >= 480 * height / max(height, width)


def test_overlay_of_an_empty_prediction():
    nothing = np.full(6, np.nan, np.float32)
    result = make_result(
        masks=np.zeros((14, 120, 150), bool),
        probabilities=nothing,
        scores=np.full(6, NOT_SCORED),
        boxes=np.full((6, 4), np.nan, np.float32),
        placement=Placement(Radiograph(np.zeros((120, 150), np.float32))),
    )
    draw_overlay(result)
    assert result.bones == ()
    assert not any(joint["found"] for joint in result.to_dict()["joints"])


def test_files_give_the_prediction_back(tmp_path):
    result = make_result()
    overlay, record, picture, archive = result.save(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in (overlay, record, picture, archive)}
    with Image.open(overlay) as image:
        assert image.size == draw_overlay(result).size
    for path in (picture, archive):
        np.testing.assert_array_equal(read_masks(path), pack_masks(result.masks))
    written = json.loads(record.read_text())
    assert written == json.loads(json.dumps(result.to_dict()))
    bones = {bone["name"]: bone for bone in written["bones"]}
    assert [name for name, bone in bones.items() if bone["found"]] == ["Lunate", "Scaphoid"]
    assert bones["Scaphoid"] == {
        "name": "Scaphoid", "found": True, "area_px": 2000, "area_mm2": 80.0, "box": [40, 30, 90, 70]
    }  # fmt: skip
    joints = {joint["name"]: joint for joint in written["joints"]}
    assert joints["Scaphoid"]["eroded"] is True
    assert joints["Scaphoid"]["score_label"] == "3-5"
    assert joints["Lunate"]["eroded"] is False
    assert joints["Trapezium"] == {"name": "Trapezium", "found": False}
    assert "not a medical device" in written["notice"]


def test_a_result_names_the_file_of_weights_that_its_model_does_not_identify():
    own = make_result(model="jointwrist_tiny", weights="own/best.safetensors")
    shipped = make_result(model="jointwrist_tiny", weights="jointwrist_tiny")
    assert (own.weight_file, shipped.weight_file) == ("own/best.safetensors", "")
    assert own.to_dict()["weights"]["file"] == "own/best.safetensors"
    assert not np.array_equal(draw_overlay(own), draw_overlay(shipped))
    np.testing.assert_array_equal(draw_overlay(shipped), draw_overlay(replace(shipped, weights="")))


def test_weights_are_called_what_the_option_takes_or_by_folder_and_file():
    assert weights_label(find_weights("jointwrist_tiny")) == "jointwrist_tiny"
    assert weights_label(Path("/home/anna/runs/own/best.safetensors")) == "own/best.safetensors"
    assert weights_label(Path("tiny.safetensors")) == "tiny.safetensors"
    cached = Path("/cache/hub/models--lab--wrist/snapshots/0a1b/model.safetensors")
    assert weights_label(cached) == "lab/wrist"


def test_sheet_holds_every_radiograph_uncut_in_its_tile():
    tile = draw_tile(make_result(), 120)
    pixels = np.asarray(tile).astype(int)
    assert tile.size == (120, 120)
    assert (pixels.max(2) - pixels.min(2)).max() > 60
    reds = [Image.new("RGB", (10, 10), (200, index, 0)) for index in range(5)]
    sheet = draw_sheet(reds, columns=2)
    assert sheet.size == (20, 30)
    assert [sheet.getpixel((10 * (i % 2) + 5, 10 * (i // 2) + 5))[1] for i in range(5)] == list(range(5))
    with pytest.raises(ValueError, match="at least one"):
        draw_sheet([])


def test_a_sheet_is_written_in_the_format_of_its_ending(tmp_path):
    tiles = [Image.new("RGB", (40, 40), colour) for colour in ("red", "green")]
    for name, kind in (("a.png", "PNG"), ("b.JPG", "JPEG")):
        save_sheet(tiles, tmp_path / name)
        with Image.open(tmp_path / name) as sheet:
            assert (sheet.format, sheet.size) == (kind, (80, 40))
    with pytest.raises(DataError, match=r"sheet\.gif.*\.png or \.jpg"):
        save_sheet(tiles, tmp_path / "sheet.gif")
