"""Radiographs of oblong pixels: seen with square ones, results on the pixels as they are stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import torch.nn.functional as F
from dicom_files import make, save
from PIL import Image
from pydicom.uid import generate_uid
from torch import from_numpy

from jointwrist.data.radiograph import Radiograph
from jointwrist.inference import pixel_aspect
from jointwrist.inference.comparison import compare
from jointwrist.inference.pixel_aspect import resample_mask, scale_boxes, with_square_pixels
from jointwrist.inference.placement import Placement
from jointwrist.inference.rotation import rotated
from jointwrist.outputs.overlay import shown_size
from jointwrist.phantom import PhantomConfig, make_wrist

pytestmark = pytest.mark.usefixtures("segmented_once")

SPACING = 0.2


@pytest.fixture(scope="module")
def wrist():
    sample = make_wrist(seed=8, index=1, config=PhantomConfig(size=480))
    return Radiograph(sample.image[0], spacing_mm=SPACING, side=sample.side)


@pytest.fixture(scope="module")
def straight(predictor, wrist):
    return predictor.predict(predictor.locate(wrist))[0]


def squeezed(radiograph: Radiograph, down: int, across: int) -> Radiograph:
    """The radiograph as a scanner with coarser lines, or coarser columns, would have stored it."""
    pixels = F.avg_pool2d(from_numpy(radiograph.pixels.copy())[None, None], (down, across))[0, 0].numpy()
    return replace(radiograph, pixels=pixels, spacing_mm=radiograph.spacing_mm * across, aspect=down / across)


def dice(a, b):
    return 2 * (a & b).sum() / (a.sum() + b.sum())


@pytest.mark.parametrize(("down", "across"), [(2, 1), (1, 2), (3, 2)])
def test_results_lie_on_the_stored_pixels(predictor, wrist, straight, down, across):
    radiograph = squeezed(wrist, down, across)
    (found,) = predictor.locate(radiograph)
    assert (found.crop, found.rotation, found.radiograph.pixels.shape) == (None, 0, radiograph.pixels.shape)
    (result,) = predictor.predict([found])
    assert result.masks.shape[1:] == radiograph.pixels.shape and len(result.bones) == 14
    grown = np.repeat(np.repeat(result.masks, down, axis=1), across, axis=2)
    assert dice(grown, straight.masks) > 0.97
    boxes = result.boxes * np.array([across, down] * 2)
    np.testing.assert_allclose(boxes[result.scored], straight.boxes[result.scored], atol=1.0 / SPACING)
    np.testing.assert_array_equal(result.scores, straight.scores)
    told, expected = result.to_dict(), straight.to_dict()
    assert told["pixel_spacing_mm"] == pytest.approx([SPACING * down, SPACING * across])
    assert told["pixel_aspect"] == pytest.approx(down / across)
    for bone, whole in zip(told["bones"], expected["bones"], strict=True):
        assert bone["area_mm2"] == pytest.approx(whole["area_mm2"], rel=0.08)


def test_a_turned_hand_of_oblong_pixels_is_cut_out_on_its_stored_pixels(predictor):
    hand = make_wrist(seed=41, index=0, config=PhantomConfig(size=420, field_of_view=(210.0, 210.0)))
    radiograph = Radiograph(rotated(hand.image[0], -90), side=hand.side, spacing_mm=0.5)
    (whole,) = predictor.locate(radiograph)
    (found,) = predictor.locate(squeezed(radiograph, 2, 1))
    assert found.rotation == whole.rotation == 90
    np.testing.assert_allclose(np.array(found.crop) * [1, 2, 1, 2], whole.crop, atol=16)
    first, second = predictor.predict([whole, found])
    assert second.masks.shape[1:] == (210, 420)
    assert dice(np.repeat(second.masks, 2, axis=1), first.masks) > 0.93


def test_lengths_and_areas_of_a_comparison_are_those_of_square_pixels(predictor, wrist, straight):
    (result,) = predictor.predict([Placement(squeezed(wrist, 2, 1))])
    same = compare(straight, result)
    assert same.registration.scale == pytest.approx(1, abs=0.02)
    for row in same.bones():
        assert abs(row["change_percent"]) < 9
    assert straight.with_square_pixels().masks is straight.masks


def test_a_radiograph_is_squared_to_its_finer_side_within_bounds(monkeypatch):
    radiograph = Radiograph(np.zeros((30, 40), np.float32), spacing_mm=0.1, aspect=2.0)
    square = with_square_pixels(radiograph)
    assert (square.pixels.shape, square.spacing_mm, square.aspect) == ((60, 40), 0.1, 1)
    part = Placement(radiograph, crop=(4, 10, 20, 20))
    assert part.with_square_pixels().crop == (4, 20, 20, 40)
    assert part.upright().pixels.shape == (20, 16)
    assert with_square_pixels(replace(radiograph, aspect=0.5)).pixels.shape == (30, 80)
    monkeypatch.setattr(pixel_aspect, "MAX_SIDE", 30)
    small = with_square_pixels(radiograph)
    assert small.pixels.shape == (30, 20) and small.spacing_mm == pytest.approx(0.2)


def test_a_mask_comes_back_from_square_pixels_as_it_was():
    mask = np.zeros((1, 12, 20), bool)
    mask[:, 3:9, 5:14] = True
    np.testing.assert_array_equal(resample_mask(np.repeat(mask[0], 2, axis=0), (12, 20)), mask[0])
    moved = scale_boxes(np.array([[5.0, 6, 14, 18]]), (24, 20), (12, 20))
    assert moved.tolist() == [[5, 3, 14, 9]]


def test_pictures_show_true_shapes(predictor, wrist):
    radiograph = squeezed(wrist, 2, 1)
    assert shown_size(radiograph, 480) == (480, 480) and shown_size(wrist, 480) == (480, 480)
    (result,) = predictor.predict([Placement(radiograph)])
    assert np.asarray(result.plot()).shape[0] >= 960


@pytest.mark.parametrize("header", [{"PixelSpacing": [0.4, 0.2]}, {"PixelAspectRatio": [2, 1]}])
def test_a_segmentation_states_the_shape_of_its_pixels(predictor, wrist, tmp_path, header):
    pytest.importorskip("highdicom")
    grey = (squeezed(wrist, 2, 1).pixels * 4095).astype(np.uint16)
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    path = save(
        make(grey, Laterality=wrist.side, ImagerPixelSpacing=None, **uids, **header), tmp_path / "radiograph.dcm"
    )
    result = predictor(path).single()
    seg = pydicom.dcmread(result.save_seg(tmp_path / "seg.dcm"))
    np.testing.assert_array_equal(seg.pixel_array, result.masks)
    if "PixelSpacing" in header:
        measures = seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
        assert [float(side) for side in measures.PixelSpacing] == [0.4, 0.2]
    else:
        assert [int(part) for part in seg.PixelAspectRatio] == [2, 1]
    assert Image.open(result.save(tmp_path)[2]).size == grey.shape[::-1]
