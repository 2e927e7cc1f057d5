"""Negatives are recognised, radiographs in a white frame are not taken for one, and no guess refuses a radiograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from jointwrist.cli import main
from jointwrist.data.polarity import contrast, has_bright_ground, negative
from jointwrist.data.radiograph import Radiograph
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.rotation import rotated
from jointwrist.inference.search.candidates import Candidate
from jointwrist.inference.search.locate import MAYBE_NEGATIVE, NEGATIVE, locate
from jointwrist.inference.sources import read_radiograph
from jointwrist.phantom import PhantomConfig, make_wrist

pytestmark = pytest.mark.usefixtures("segmented_once")


@pytest.fixture(scope="module")
def wrist():
    sample = make_wrist(seed=8, index=1, config=PhantomConfig(size=160))
    assert not has_bright_ground(sample.image[0])
    return Radiograph(sample.image[0], side=sample.side)


def framed(radiograph: Radiograph, grey: float) -> Radiograph:
    return replace(radiograph, pixels=np.pad(radiograph.pixels, 12, constant_values=np.float32(grey)))


def ragged(radiograph: Radiograph) -> Radiograph:
    """The same with specks on its frame."""
    pixels = radiograph.pixels.copy()
    pixels[::9, ::9] *= 0.8
    return replace(radiograph, pixels=pixels)


@pytest.mark.parametrize("degrees", [0, 180])
def test_a_negative_gives_the_results_of_its_positive(predictor, wrist, degrees):
    radiograph = replace(wrist, pixels=rotated(wrist.pixels, degrees))
    (found,) = predictor.locate(negative(radiograph))
    np.testing.assert_allclose(found.radiograph.pixels, radiograph.pixels, atol=1e-6)
    assert NEGATIVE in found.radiograph.notes and NEGATIVE in found.radiograph.cautions and found.rotation == degrees
    (positive,) = predictor.locate(radiograph)
    assert not positive.radiograph.cautions
    first, second = predictor.predict([positive, found])
    np.testing.assert_array_equal(second.masks, first.masks)


def test_a_white_frame_makes_no_negative_and_a_black_one_hides_none(predictor, wrist):
    for white in (framed(wrist, 1), ragged(framed(wrist, 1))):
        (found,) = predictor.locate(white)
        assert not found.radiograph.cautions and np.array_equal(found.radiograph.pixels, white.pixels)
    assert not has_bright_ground(framed(wrist, 1).pixels) and has_bright_ground(white.pixels)
    (found,) = predictor.locate(framed(negative(wrist), 0))
    assert NEGATIVE in found.radiograph.cautions


def test_a_radiograph_that_is_taken_as_it_is_is_remarked_upon(wrist):
    whole = Predictor.from_pretrained("jointwrist_tiny", device="cpu", localise=False)
    (found,) = whole.locate(negative(wrist))
    assert found.radiograph.cautions == (MAYBE_NEGATIVE,)
    (found,) = whole.locate(wrist)
    assert found.radiograph.cautions == ()


def test_the_command_prints_it(wrist, tmp_path, capsys):
    pixels = (np.clip(negative(wrist).pixels, 0, 1) * 255).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / f"radiograph_{wrist.side}.png")
    assert main(["predict", str(tmp_path / f"radiograph_{wrist.side}.png"), "-o", str(tmp_path / "out")]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert "14 of 14 bones" in line and "which was inverted" in line


def test_contrast_is_that_of_bones_with_what_is_beside_them():
    masks = np.zeros((2, 64, 64), bool)
    masks[0, 10:30, 10:30] = masks[1, 40:50, 20:40] = True
    grey = np.where(masks.any(0), 0.8, 0.3)
    grey[:, 60:] = 1
    assert contrast(grey, masks) == pytest.approx(0.5) and contrast(1 - grey, masks) == pytest.approx(-0.5)
    assert contrast(grey, masks & False) == 0


class Guessing:
    """Finds a wrist on a radiograph as it lies or not, and two whose hands cannot be told in some of its turns."""

    def __init__(self, first: float | None, right: dict[float, float]):
        self.first, self.right = first, right

    def find(self, radiograph, give_up=None, scales=None):
        corner = float(radiograph.pixels[0, 0])
        if corner == 1:
            return [] if self.first is None else [Candidate((1.0, 1.0, 2.0), "R", self.first, 0.93)]
        if corner in self.right:
            return [Candidate((1.0, 1.0, 2.0), "R", 1.0, self.right[corner])]
        raise DataError("shows two wrists, and which hand is which cannot be told")

    def filling(self, radiograph):
        return None

    def side_from_bones(self, radiograph, window):
        return None


CORNERS = Radiograph(np.array([[1.0, 2.0], [3.0, 4.0]], np.float32), side="R")


def test_two_wrists_in_a_turn_that_was_a_guess_refuse_no_radiograph():
    assert locate(Guessing(3.9, {}), CORNERS)[0].rotation == 0
    assert locate(Guessing(3.9, {4.0: 0.99}), CORNERS)[0].rotation == 180
    assert locate(Guessing(None, {4.0: 0.95}), CORNERS)[0].rotation == 180
    with pytest.raises(DataError, match="two wrists"):
        locate(Guessing(None, {}), CORNERS)


@pytest.mark.parametrize(
    "array",
    [
        np.full((8, 8), np.nan), np.array([[0.0, np.inf]]), np.array([[1e300, 0.0]]), np.zeros((4, 4), complex),
        np.zeros((4, 4), object), np.full((4, 4), "a"), np.zeros((4, 4), "datetime64[s]"),
    ],
)  # fmt: skip
def test_arrays_without_finite_grey_values_are_refused(array):
    with pytest.raises(DataError, match="radiograph-1: holds nan, infinite"):
        read_radiograph(array, name="radiograph-1")
