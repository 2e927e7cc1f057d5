"""Outlying grey values: radiographs without any are untouched, others give the result of the undisturbed radiograph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from dicom_files import make, save
from PIL import Image

from jointwrist.data.bright_frame import bright_frame
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.load import load_radiograph
from jointwrist.data.outliers import _CLIPPED, _DARKENED, _FILLED, grey_limits, without_outliers
from jointwrist.data.polarity import negative
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.exposure import with_exposure_caution
from jointwrist.inference.placement import Placement
from jointwrist.inference.sources import read_radiograph
from jointwrist.phantom import PhantomConfig, make_wrist

TOP, OVERFLOW = 4095, 65535
CLIPPED = _CLIPPED.split("{")[0]


@pytest.fixture(scope="module")
def wrist():
    sample = make_wrist(seed=8, index=1, config=PhantomConfig(size=176))
    return Radiograph(sample.image[0], side=sample.side)


@pytest.fixture(scope="module")
def values(wrist):
    """Its values of 12 bits."""
    return np.round(wrist.pixels * TOP).astype(np.uint16)


def unit(pixels: np.ndarray) -> np.ndarray:
    """Grey values from 0 to 1, as the network takes them."""
    return (pixels - pixels.min()) / (pixels.max() - pixels.min())


def stored(values: np.ndarray, folder, kind: str) -> Radiograph:
    if kind == "array":
        return read_radiograph(values, side="R")
    path = folder / f"radiograph.{kind}"
    if kind == "dcm":
        save(make(values, bits=16), path)
    elif kind == "npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)
    return load_radiograph(path, side="R")


def test_most_of_a_picture_is_never_outlying():
    shares = np.repeat([0.0, 1 / 3, 2 / 3, 1.0], [2600, 2500, 3500, 1400]).astype(np.float32)  # a wrist of two bits
    picture = Radiograph(np.random.default_rng(0).permutation(shares).reshape(100, 100))
    assert without_outliers(picture) is picture
    steps = np.repeat([0.0, 0.6, 0.8, 0.95, 1.0], [3000, 2500, 2000, 1500, 1000]).astype(np.float32)
    low, high = grey_limits(np.random.default_rng(0).permutation(steps).reshape(100, 100))
    assert ((steps < low) | (steps > high)).mean() <= 0.5


@pytest.mark.parametrize(
    "config",
    [
        PhantomConfig(size=128), PhantomConfig(size=128, implants=1.0), PhantomConfig(size=128, casts=1.0),
        PhantomConfig(size=200, field_of_view=(210.0, 210.0)),
    ],
)  # fmt: skip
def test_a_phantom_and_its_negative_have_no_outliers(config):
    for index in range(2):
        radiograph = Radiograph(make_wrist(seed=9, index=index, config=config).image[0])
        assert without_outliers(radiograph) is radiograph
        other = negative(radiograph)  # in a negative the edge of a cast is like that of a frame
        assert config.casts or without_outliers(other) is other


def test_datasets_and_prediction_read_the_same_grey_values(dataset):
    for case in dataset.cases:
        found = load_radiograph(case.image)
        np.testing.assert_array_equal(found.pixels, load_sample(case, right_hand=False).image[0])
        assert found.notes == ()


def faulty(values: np.ndarray, dark: bool) -> np.ndarray:
    """Hot or dead lines and pixels; no other value is as dark."""
    values = values + np.uint16(2000 if dark else 0)
    values[:, 60] = values[33] = values[50, 100:102] = 0 if dark else OVERFLOW
    return values


@pytest.mark.parametrize("kind", ["png", "tif", "npy", "dcm", "array"])
@pytest.mark.parametrize("dark", [True, False])
def test_faulty_lines_and_pixels_are_filled(tmp_path, wrist, values, kind, dark):
    found = stored(faulty(values, dark), tmp_path, kind)
    assert found.notes[-1:] == (_FILLED,)
    changed = np.zeros(values.shape, bool)
    changed[:, 60] = changed[33] = changed[50, 100:102] = True
    np.testing.assert_allclose(unit(found.pixels[~changed]), unit(wrist.pixels[~changed]), atol=2 / TOP)
    # as good as what a line is from the two beside it
    between = (wrist.pixels[:, 59] + wrist.pixels[:, 61]) / 2
    assert abs(found.pixels[:, 60] - wrist.pixels[:, 60]).mean() < 2 * abs(between - wrist.pixels[:, 60]).mean()


def test_a_line_of_a_grey_that_others_have_is_filled_too(tmp_path, values):
    black = values.copy()
    black[:, 60] = 0
    found = stored(black, tmp_path, "png")
    assert found.notes == (_FILLED,) and found.pixels[:, 60].mean() > 0.1
    framed = np.pad(black, 20)  # within black bars
    assert stored(framed, tmp_path, "png").pixels[30:-30, 80].mean() > 0.1


@pytest.mark.parametrize("kind", ["png", "dcm", "array"])
def test_an_overflow_is_clipped_to_the_brightest_of_the_rest(tmp_path, wrist, values, kind):
    over = values > np.quantile(values, 0.96)
    found = stored(np.where(over, OVERFLOW, values).astype(np.uint16), tmp_path, kind)
    assert any(note.startswith(CLIPPED) for note in found.notes)
    np.testing.assert_allclose(found.pixels[~over], unit(wrist.pixels[~over]), atol=2 / TOP)


def test_metal_is_clipped_only_where_it_is_far_brighter_than_bone_and_stays_the_brightest(wrist):
    plate = np.zeros(wrist.pixels.shape, bool)
    plate[60:140, 90:100] = True
    ordinary = replace(wrist, pixels=np.where(plate, np.float32(1.25), wrist.pixels))
    assert without_outliers(ordinary) is ordinary
    found = without_outliers(replace(wrist, pixels=np.where(plate, np.float32(6), wrist.pixels)))
    assert found.pixels[plate].min() == 1
    np.testing.assert_allclose(found.pixels[~plate], unit(wrist.pixels[~plate]), atol=1e-5)  # no bone is clipped


SHAPES = {
    "rectangle": lambda x, y: np.maximum(abs(x), abs(y)) > 0.85,
    "turned": lambda x, y: np.maximum(abs(0.98 * x + 0.2 * y), abs(0.98 * y - 0.2 * x)) > 0.95,
    "circle": lambda x, y: np.hypot(x, y) > 1.1,
    "two bars": lambda x, y: abs(x) > 0.8,
}


def covered(shape: str, size: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[-1 : 1 : size[0] * 1j, -1 : 1 : size[1] * 1j]
    return SHAPES[shape](x, y)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("grey", [3200, TOP, OVERFLOW])
def test_a_bright_frame_is_darkened(tmp_path, wrist, values, shape, grey):
    outside = covered(shape, values.shape)
    found = stored(np.where(outside, grey, values).astype(np.uint16), tmp_path, "png")
    assert _DARKENED in found.notes and not found.pixels[outside].any()
    inside = (found.pixels > 0) & ~outside
    assert inside.sum() > 0.9 * (~outside & (wrist.pixels > 0)).sum()
    np.testing.assert_allclose(unit(found.pixels[inside]), unit(wrist.pixels[inside]), atol=0.02)


def test_bone_as_bright_as_the_frame_that_it_touches_is_no_frame(wrist):
    pixels = np.where(covered("rectangle", wrist.pixels.shape), np.float32(1), 0.8 * wrist.pixels)
    pixels[100:, 70:100] = 1
    found = bright_frame(pixels)
    assert found[:5].all() and found[:, :5].all() and not found[110:150, 72:98].any()


@pytest.mark.parametrize("shape", ["rectangle", "circle"])
def test_the_frame_of_a_negative_is_darkened_once_it_is_inverted(predictor, wrist, shape):
    outside = covered(shape, wrist.pixels.shape)
    framed = replace(wrist, pixels=np.where(outside, 0, negative(wrist).pixels))
    (found,) = predictor.locate(without_outliers(framed))
    assert _DARKENED in found.radiograph.notes and not found.radiograph.pixels[outside].any()


DISTURBED = {
    "lines": lambda values: faulty(values, False),
    "dead lines": lambda values: faulty(values, True),
    "corner": lambda values: np.where(np.add.outer(*map(np.arange, values.shape)) > 340, OVERFLOW, values),
    "overflow": lambda values: np.where(values > np.quantile(values, 0.99), OVERFLOW, values),
}


@pytest.mark.parametrize("kind", DISTURBED)
def test_the_masks_are_those_of_the_undisturbed_radiograph(predictor, tmp_path, wrist, values, kind):
    reference = predictor.predict(predictor.locate(stored(values, tmp_path, "png")))[0].masks
    found = stored(DISTURBED[kind](values).astype(np.uint16), tmp_path, "png")
    masks = predictor.predict(predictor.locate(found))[0].masks
    both = (masks & reference).sum((1, 2))
    assert (2 * both / (masks.sum((1, 2)) + reference.sum((1, 2)))).min() > 0.9
    assert found.notes[0] in predictor.predict(predictor.locate(found))[0].notes


def test_an_array_of_any_range(wrist):
    pixels = wrist.pixels.astype(np.float64) * 1e30 - 7e30
    pixels[20, 30] = 3e38
    found = read_radiograph(pixels)
    keep = np.ones(pixels.shape, bool)
    keep[20, 30] = False
    np.testing.assert_allclose(unit(found.pixels[keep]), unit(wrist.pixels[keep]), atol=1e-5)
    huge = read_radiograph((wrist.pixels.astype(np.float64) - 0.5) * 6e38)
    np.testing.assert_allclose(huge.pixels, unit(wrist.pixels), atol=1e-5)


@pytest.mark.parametrize(
    ("change", "caution"),
    [
        (lambda pixels: pixels, None),
        (lambda pixels: np.minimum(pixels, np.quantile(pixels, 0.97)), None),
        (lambda pixels: np.minimum(pixels, np.quantile(pixels, 0.6)), "Overexposed: "),
        (lambda pixels: np.round(pixels * 5) / 5, "Few grey values: the bones have "),
        (lambda pixels: pixels * 0, None),
    ],
)
def test_overexposed_bones_and_few_grey_values_are_remarked_upon(wrist, change, caution):
    pixels = change(wrist.pixels)
    bones = np.zeros((2, *pixels.shape), bool)
    bones[0, 60:120, 60:120] = wrist.pixels[60:120, 60:120] > np.float32(0.3)
    if not pixels.any():
        bones[:] = False
    placement = with_exposure_caution(Placement(replace(wrist, pixels=pixels)), bones)
    cautions = placement.radiograph.cautions
    assert cautions == () if caution is None else cautions[0].startswith(caution)
