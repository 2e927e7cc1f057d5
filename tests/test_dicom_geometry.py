"""Size and shape of a pixel: in the plane of the hand where the header says enough, and said where it does not."""

from __future__ import annotations

import warnings

import pytest
from dicom_files import make, save

from jointwrist.data.dicom.read import read_dicom

AT_DETECTOR, DIVIDED, UNUSABLE = "at the detector:", "divided by the header's magnification", "cannot be used"


@pytest.fixture
def read(tmp_path):
    def read_radiograph(**attributes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # some values are wrong on purpose
            dataset = make(ImagerPixelSpacing=attributes.pop("ImagerPixelSpacing", None), **attributes)
            return read_dicom(save(dataset, tmp_path / "radiograph.dcm"))

    return read_radiograph


@pytest.mark.parametrize(
    ("attributes", "height", "width", "note"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.2]}, 0.2, 0.2, AT_DETECTOR),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, 0.2, 0.1, AT_DETECTOR),
        ({"PixelSpacing": [0.1, 0.15]}, 0.1, 0.15, "0.6667 times as high as wide"),
        ({"PixelSpacing": [0.2, 0.2]}, 0.2, 0.2, None),
        ({"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2, 0.2, AT_DETECTOR),
        (
            {"PixelSpacing": [0.2, 0.2], "ImagerPixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "FIDUCIAL"},
            0.2, 0.2, None,
        ),
        ({"PixelSpacing": [0.18, 0.18], "ImagerPixelSpacing": [0.2, 0.2]}, 0.18, 0.18, None),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2, 0.2, AT_DETECTOR),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.2]}, 0.2, 0.2, "ImagerPixelSpacing was used"),
        ({"NominalScannedPixelSpacing": [0.2, 0.1]}, 0.2, 0.1, "2 times as high as wide"),
        ({"PixelSpacing": [0.2, 0.2], "PixelAspectRatio": [2, 1]}, 0.2, 0.2, "the spacing was used"),
        ({"PixelSpacing": [0.2, 0.1], "PixelAspectRatio": [2, 1]}, 0.2, 0.1, "2 times as high as wide"),
    ],
)  # fmt: skip
def test_sides_of_a_pixel(read, attributes, height, width, note):
    found = read(**attributes)
    assert found.pixel_mm == pytest.approx((height, width))
    assert found.aspect == pytest.approx(height / width)
    assert any(note in text for text in found.notes) if note else found.notes == ()


@pytest.mark.parametrize(
    ("attributes", "width", "note"),
    [
        ({"ImagerPixelSpacing": [0.2, 0.2]}, 0.2 / 1.1, DIVIDED),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.2, 0.2]}, 0.2 / 1.1, DIVIDED),
        ({"NominalScannedPixelSpacing": [0.2, 0.2]}, 0.2 / 1.1, DIVIDED),
        ({"ImagerPixelSpacing": [0.2, 0.2], "PixelSpacing": [0.17, 0.17]}, 0.17, None),
        ({"PixelSpacing": [0.2, 0.2], "PixelSpacingCalibrationType": "GEOMETRY"}, 0.2, None),
        ({"PixelSpacing": [0.2, 0.2]}, 0.2, "not whether its pixel spacing is corrected"),
        ({}, None, "no pixel spacing"),
    ],
)
def test_magnification_counts_where_the_spacing_is_that_at_the_detector(read, attributes, width, note):
    found = read(EstimatedRadiographicMagnificationFactor=1.1, **attributes)
    assert found.spacing_mm == (width and pytest.approx(width))
    assert any(note in text for text in found.notes) if note else found.notes == ()


@pytest.mark.parametrize("factor", [0, 0.5, 110, -1.1])
def test_an_impossible_magnification_is_reported(read, factor):
    found = read(ImagerPixelSpacing=[0.2, 0.2], EstimatedRadiographicMagnificationFactor=factor)
    assert found.spacing_mm == 0.2
    assert UNUSABLE in found.notes[0] and AT_DETECTOR in found.notes[1]


@pytest.mark.parametrize(
    ("ratio", "aspect"), [([2, 1], 2), ([1, 2], 0.5), ([1000, 1000], 1), ([1005, 1000], 1), ([750, 1000], 0.75)]
)
def test_aspect_ratio_without_a_spacing(read, ratio, aspect):
    found = read(PixelAspectRatio=ratio)
    assert (found.aspect, found.pixel_mm) == (aspect, None)
    assert any("as high as wide" in note for note in found.notes) == (aspect != 1)


@pytest.mark.parametrize("ratio", [[0, 0], [1, 0], [9, 1], [-2, 1], [2]])
def test_unusable_aspect_ratios_are_reported(read, ratio):
    found = read(PixelAspectRatio=ratio)
    assert found.aspect == 1 and any(UNUSABLE in note for note in found.notes)


def test_a_width_that_is_asked_for_keeps_the_stated_shape(tmp_path):
    path = save(make(ImagerPixelSpacing=None, PixelAspectRatio=[2, 1]), tmp_path / "radiograph.dcm")
    assert read_dicom(path, spacing_mm=0.1).pixel_mm == (0.2, 0.1)


def test_nearly_square_pixels_are_square_ones_of_the_same_area(read):
    found = read(PixelSpacing=[0.2, 0.201])
    assert found.aspect == 1 and found.spacing_mm**2 == pytest.approx(0.2 * 0.201)
