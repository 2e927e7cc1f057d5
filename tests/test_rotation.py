"""A turned image is seen to be turned, an upright one stays as it is, and results lie on the image as it was taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pydicom
import pytest
import torch
from dicom_files import make, save
from pydicom.uid import generate_uid
from test_predictor import Mapping, radiograph

from benchmarks import rotations as benchmark
from jointwrist.anatomy import JOINTS
from jointwrist.cli import main
from jointwrist.data.images import write_image
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.rotation import ROTATIONS, rotated, rotated_boxes
from jointwrist.inference.search.candidates import Candidate
from jointwrist.inference.search.locate import locate
from jointwrist.phantom import PhantomConfig, make_wrist

pytestmark = pytest.mark.usefixtures("segmented_once")


@pytest.fixture(scope="module")
def wrist():
    sample = make_wrist(seed=8, index=1, config=PhantomConfig(size=160))
    return Radiograph(sample.image[0], side=sample.side)


@pytest.mark.parametrize("degrees", ROTATIONS)
def test_boxes_turn_with_the_pixels(degrees):
    mask = np.zeros((40, 70), bool)
    mask[5:17, 30:62] = True
    rows, columns = np.nonzero(rotated(mask, degrees))
    expected = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    assert rotated_boxes(np.array([30, 5, 62, 17]), degrees, mask.shape).tolist() == expected
    np.testing.assert_array_equal(rotated(rotated(mask, degrees), -degrees), mask)


def test_a_clockwise_turn_brings_the_left_edge_to_the_top():
    assert rotated(np.array([[1, 2], [3, 4]]), 90).tolist() == [[3, 1], [4, 2]]


@pytest.mark.parametrize("degrees", ROTATIONS)
def test_a_strip_is_turned_into_what_torch_takes(degrees):
    strip = rotated(np.arange(9.0)[:, None], degrees)
    assert sorted(torch.from_numpy(strip).flatten().tolist()) == list(range(9))


def test_a_field_is_upright_with_the_radiograph():
    pixels = radiograph(60, 90)
    part = Placement(Radiograph(rotated(pixels, -90)), crop=(10, 20, 40, 80), rotation=90)
    x0, y0, x1, y1 = rotated_boxes(np.array(part.crop), 90, part.radiograph.pixels.shape)
    np.testing.assert_array_equal(part.upright().pixels, pixels[y0:y1, x0:x1])


@pytest.mark.parametrize("degrees", ROTATIONS[1:])
@pytest.mark.parametrize("side", ["L", "R"])
def test_a_stated_turn_turns_every_result(side, degrees):
    pixels = radiograph(96, 70)
    pixels[:, :40] *= 0.5  # so that no box is symmetric
    straight = Predictor(Mapping(), image_size=96, localise=False)(pixels, side=side).single()
    lying = Radiograph(rotated(pixels, -degrees), side=side)
    predictor = Predictor(Mapping(), image_size=96, rotation=degrees, localise=False)
    (result,) = predictor.predict(predictor.locate(lying))
    np.testing.assert_array_equal(result.radiograph.pixels, lying.pixels)
    np.testing.assert_array_equal(result.masks, rotated(straight.masks, -degrees))
    np.testing.assert_array_equal(result.heat_maps, rotated(straight.heat_maps, -degrees))
    np.testing.assert_array_equal(result.probabilities, straight.probabilities)
    np.testing.assert_allclose(result.boxes, rotated_boxes(straight.boxes, -degrees, pixels.shape), atol=1e-4)
    assert (result.to_dict()["turn"], result.to_dict()["size"]) == (degrees, list(lying.pixels.shape))


@pytest.mark.parametrize("degrees", ROTATIONS[1:])
def test_a_wrist_that_fills_a_turned_radiograph_is_found(predictor, wrist, degrees):
    (found,) = predictor.locate(replace(wrist, pixels=rotated(wrist.pixels, -degrees)))
    assert (found.rotation, found.crop) == (degrees, None)
    assert f"rotated by {degrees} degrees clockwise" in found.radiograph.notes[0]
    masks = predictor.predict([Placement(wrist)])[0].masks
    np.testing.assert_array_equal(predictor.predict([found])[0].masks, rotated(masks, -degrees))


@pytest.mark.parametrize("index", [3, 7])
def test_a_wrist_that_looks_like_one_upside_down_is_seen_the_right_way_up(predictor, index):
    wrist = make_wrist(seed=7000, index=index, config=PhantomConfig(size=256))
    lying = Radiograph(rotated(wrist.image[0], 180), side=wrist.side)
    assert [found.rotation for found in predictor.locate(lying)] == [180]


@pytest.mark.parametrize(("upright_mm", "inverted_mm", "turn"), [(3.9, 1.0, 180), (1.0, 1.0, 0), (3.9, None, 0)])
def test_a_doubtful_wrist_is_held_against_those_of_the_other_turns(upright_mm, inverted_mm, turn):
    class Finder:
        """Says how far from the mean wrist it finds one: in radiographs as they lie, and upside down."""

        def find(self, radiograph, give_up=None, scales=None):
            return self._seen(radiograph)

        def filling(self, radiograph):
            return next(iter(self._seen(radiograph)), None)

        def side_from_bones(self, radiograph, window):
            return None

        def _seen(self, radiograph):
            distance = {1.0: upright_mm, 4.0: inverted_mm}.get(float(radiograph.pixels[0, 0]))
            certainty = 0.9 if radiograph.pixels[0, 0] == 1 else 0.95
            return [] if distance is None else [Candidate((1.0, 1.0, 2.0), "R", distance, certainty)]

    radiograph = Radiograph(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), side="R")
    assert [found.rotation for found in locate(Finder(), radiograph)] == [turn]


def test_the_field_of_a_turned_hand_is_that_of_the_upright_one(predictor):
    hand = make_wrist(seed=41, index=0, config=PhantomConfig(size=420, field_of_view=(210.0, 210.0)))
    pixels = hand.image[0][:, 30:]
    (straight,) = predictor.locate(Radiograph(pixels))
    (found,) = predictor.locate(Radiograph(rotated(pixels, -90)))
    assert (found.rotation, found.radiograph.side) == (90, hand.side)
    assert found.crop == tuple(rotated_boxes(np.array(straight.crop), -90, pixels.shape).tolist())
    first, second = predictor.predict([straight, found])
    np.testing.assert_array_equal(second.masks, rotated(first.masks, -90))
    left, top, right, bottom = found.crop
    assert f"x {left} to {right}, y {top} to {bottom}" in found.radiograph.notes[1]


def test_an_upright_radiograph_is_looked_at_once(predictor, wrist, monkeypatch):
    looks, look = [], predictor.localiser._look
    monkeypatch.setattr(predictor.localiser, "_look", lambda *given: looks.append(given) or look(*given))
    assert predictor.locate(wrist) == [Placement(wrist)]
    assert len(looks) == 1


def test_the_command_takes_a_turn(wrist, tmp_path, capsys):
    write_image(tmp_path / f"lying_{wrist.side}.png", rotated(wrist.pixels, 90))
    command = ["predict", str(tmp_path / f"lying_{wrist.side}.png"), "-o", str(tmp_path / "out"), "--json"]
    assert main([*command, "--rotation", "0"]) == 2
    assert "no wrist was found" in capsys.readouterr().err
    told = []
    for rotation in ("auto", "270"):
        assert main([*command, "--rotation", rotation]) == 0
        told.append(capsys.readouterr().out)
    assert all('"turn": 270' in line for line in told)
    assert "look at the overlay" in told[0] and "look at the overlay" not in told[1]  # who says it knows it
    assert main([*command, "--turn", "270"]) == 0
    assert capsys.readouterr().err == "jointwrist: warning: --turn is now called --rotation\n"
    with pytest.raises(SystemExit):
        main([*command, "--rotation", "45"])
    assert "45 is not auto, 0, 90, 180 or 270" in capsys.readouterr().err


def test_dicom_results_lie_on_the_radiograph_as_it_was_taken(predictor, wrist, tmp_path):
    grey = (rotated(wrist.pixels[10:], 90) * 4095).astype(np.uint16)
    uids = {"StudyInstanceUID": generate_uid(), "SeriesInstanceUID": generate_uid()}
    path = save(make(grey, Laterality=wrist.side, **uids), tmp_path / "lying.dcm")
    result = predictor(path).single()
    assert result.placement.rotation == 270
    seg, sr = (pydicom.dcmread(write(tmp_path / "made.dcm")) for write in (result.save_seg, result.save_sr))
    np.testing.assert_array_equal(seg.pixel_array, result.masks)
    graphics = [tuple(element.value) for element in sr.iterall() if element.keyword == "GraphicData"]
    regions = list(dict.fromkeys(graphics))  # a box stands at the joint and at its probability
    corners = np.array([[region[0], region[1], region[4], region[5]] for region in regions])
    height, width = grey.shape
    np.testing.assert_allclose(corners, np.clip(result.boxes[result.scored], 0, [width, height] * 2), atol=1e-4)
    for joint in np.flatnonzero(result.scored):  # a joint's bone reaches into its box
        x0, y0, x1, y1 = np.clip(result.boxes[joint], 0, [width, height] * 2).round().astype(int)
        assert result.masks[JOINTS[joint].bone, y0:y1, x0:x1].any()


def test_what_the_benchmark_counts(wrist, monkeypatch):
    for degrees, verdict in ((90, "right"), (0, "wrong"), (None, "wrong")):
        monkeypatch.setattr(benchmark, "locate", lambda localiser, radiograph: [Placement(radiograph, rotation=90)])
        assert benchmark.verdict(None, wrist, degrees) == verdict

    def refuse(localiser, radiograph):
        raise DataError("no wrist")

    monkeypatch.setattr(benchmark, "locate", refuse)
    assert [benchmark.verdict(None, wrist, degrees) for degrees in (90, None)] == ["refused", "right"]
