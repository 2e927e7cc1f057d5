"""Radiographs that are stored in colour: those whose pixels are grey are read as such, others are refused."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest
from dicom_files import make, radiograph, save
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGBaseline8Bit, RLELossless, SecondaryCaptureImageStorage, generate_uid

from jointwrist.cli import main
from jointwrist.data.dicom.read import read_dicom
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.outputs.dicom_objects import BUILDERS

GREY = radiograph(8)


def coloured(pixels=None, planar=0, kind="RGB", **attributes):
    """A secondary capture of (H, W, 3) pixels."""
    pixels = np.repeat(GREY[..., None], 3, -1) if pixels is None else pixels
    dataset = make(pixels, bits=8 * pixels.dtype.itemsize, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation, dataset.PlanarConfiguration = 3, kind, planar
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PixelData = (np.moveaxis(pixels, -1, 0) if planar else pixels).tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def jpeg(pixels: np.ndarray, quality: int = 90) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=1)
    return stream.getvalue()


@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("syntax", [None, RLELossless, JPEG2000Lossless])
def test_a_grey_radiograph_in_colour_has_its_grey_values(syntax, planar, tmp_path):
    dataset = coloured(planar=planar if syntax is None else 0)
    if syntax == JPEG2000Lossless:
        pytest.importorskip("openjpeg")
    if syntax:  # pydicom compresses planes as if they were interleaved
        dataset.compress(syntax, encoding_plugin="pylibjpeg" if syntax == JPEG2000Lossless else "pydicom")
        dataset.PlanarConfiguration = planar
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    np.testing.assert_array_equal(found.pixels, GREY.astype(np.float32) / 255)
    assert any("stored in colour" in note for note in found.notes)


@pytest.mark.parametrize("stated", [None, "", 2])
@pytest.mark.parametrize("planar", [0, 1])
def test_channels_of_an_unstated_order_are_those_that_are_equal(planar, stated, tmp_path):
    dataset = coloured(planar=planar)
    with warnings.catch_warnings(action="ignore"):
        dataset.PlanarConfiguration = stated
    if stated is None:
        del dataset.PlanarConfiguration
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    np.testing.assert_array_equal(found.pixels, GREY.astype(np.float32) / 255)


def test_channels_of_an_unstated_order_that_differ_are_refused(tmp_path):
    dataset = coloured(with_overlay())
    del dataset.PlanarConfiguration
    with pytest.raises(DataError, match="does not state the order of its channels"):
        read_dicom(save(dataset, tmp_path / "radiograph.dcm"))


@pytest.mark.parametrize("planar", [0, 1])
def test_a_jpeg_in_colour_is_grey_up_to_its_compression(planar, tmp_path):
    dataset = coloured(kind="YBR_FULL_422", planar=planar)
    dataset.PixelData = encapsulate([jpeg(np.repeat(GREY[..., None], 3, -1))])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    assert np.abs(found.pixels - GREY / 255).max() < 0.03


def test_uncompressed_luminance_and_colour_differences(tmp_path):
    pixels = np.stack([GREY, np.full_like(GREY, 128), np.full_like(GREY, 128)], -1)
    found = read_dicom(save(coloured(pixels, kind="YBR_FULL"), tmp_path / "full.dcm"))
    np.testing.assert_allclose(found.pixels, GREY / 255, atol=1e-6)
    pairs = GREY.reshape(-1, 2)
    halved = np.stack([pairs[:, 0], pairs[:, 1], *np.full((2, len(pairs)), 128, np.uint8)], 1).tobytes()
    found = read_dicom(save(coloured(kind="YBR_FULL_422", PixelData=halved), tmp_path / "halved.dcm"))
    np.testing.assert_allclose(found.pixels, GREY / 255, atol=1e-6)


def with_palette(levels, bits=16, pixels=GREY):
    dataset = make(pixels, bits=8, PhotometricInterpretation="PALETTE COLOR")
    for name in ("Red", "Green", "Blue"):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, bits])
        setattr(dataset, f"{name}PaletteColorLookupTableData", levels.tobytes())
    return dataset


INVERTED = np.arange(256)[::-1]


@pytest.mark.parametrize(
    ("levels", "bits"),
    [((INVERTED * 257).astype("<u2"), 16), (INVERTED.astype(np.uint8), 8), (INVERTED.astype("<u2"), 16)],
    ids=["16 bits", "8 bits", "8 bits in 16"],
)
def test_a_palette_of_grey_is_applied(levels, bits, tmp_path):
    found = read_dicom(save(with_palette(levels, bits), tmp_path / "radiograph.dcm"))
    np.testing.assert_allclose(found.pixels, 1 - GREY / 255, atol=1e-6)


def of_more_rows():
    dataset = coloured()
    dataset.compress(RLELossless, encoding_plugin="pydicom")
    dataset.Rows = 60
    return dataset


def test_a_shutter_hides_pixels_of_colour_images_too(tmp_path):
    edges = {"ShutterShape": "RECTANGULAR", "ShutterLeftVerticalEdge": 11, "ShutterRightVerticalEdge": 64}
    edges |= {"ShutterUpperHorizontalEdge": 1, "ShutterLowerHorizontalEdge": 72}
    pixels = read_dicom(save(coloured(**edges), tmp_path / "radiograph.dcm")).pixels
    assert not pixels[:, :10].any()
    np.testing.assert_array_equal(pixels[:, 10:], GREY[:, 10:].astype(np.float32) / 255)


def with_overlay():
    pixels = np.repeat(GREY[..., None], 3, -1)
    pixels[20:30, 20:30] = (255, 40, 0)
    return pixels


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (coloured(with_overlay()), r"2\.2 % of the pixels of this colour image \(RGB\) are not grey"),
        (coloured(np.zeros((24, 20, 3), np.uint16)), r"a colour image \(RGB\) with 16 of 16 bits a channel"),
        (coloured(PixelData=GREY.tobytes()), "fewer pixels than its rows and columns"),
        (coloured(PixelData=np.arange(256, dtype=np.uint8).repeat(108).tobytes()), "more pixels than its rows"),
        (of_more_rows(), "more pixels than its rows"),
        (with_palette(INVERTED.astype("<u2"), 8), "a palette of 512 bytes, .* states 256 entries of 8 bits"),
        (coloured(SamplesPerPixel=1), "'RGB' with 1 samples a pixel"),
        (coloured(SamplesPerPixel=4, PhotometricInterpretation="CMYK"), "'CMYK' with 4 samples a pixel"),
    ],
)
def test_other_colour_images_are_refused(dataset, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read_dicom(save(dataset, tmp_path / "radiograph.dcm"))


def test_a_colour_image_has_no_window(tmp_path):
    path = save(coloured(), tmp_path / "radiograph.dcm")
    with pytest.raises(DataError, match="there is no window 1; a colour image has none"):
        read_dicom(path, window=1)


@pytest.fixture(scope="module", params=["RGB", "PALETTE COLOR"])
def result(request, tmp_path_factory):
    from jointwrist.phantom import make_wrist

    grey = np.round(make_wrist(5, 0).image[0] * 255).astype(np.uint8)
    if request.param == "RGB":
        dataset = coloured(np.repeat(grey[..., None], 3, -1))
    else:
        dataset = with_palette((np.arange(256) * 257).astype("<u2"), pixels=grey)
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    path = save(dataset, tmp_path_factory.mktemp("colour") / "wrist.dcm")
    return Predictor.from_pretrained("jointwrist_tiny")(path).single()


def test_results_refer_to_a_radiograph_in_colour(result):
    assert len(result.bones) == 14
    for kind in ("seg", "sr", "sc"):
        written = BUILDERS[kind](result, False)
        assert written.StudyInstanceUID == result.radiograph.header.StudyInstanceUID
    with pytest.raises(DataError, match="stored in colour, and a grayscale presentation state cannot refer to it"):
        BUILDERS["pr"](result, False)


def test_our_own_captures_are_refused_for_their_overlay(result, tmp_path):
    path = tmp_path / "capture.dcm"
    BUILDERS["sc"](result, False).save_as(path)
    with pytest.raises(DataError, match="are not grey"):
        read_dicom(path)


def test_a_result_that_cannot_be_written_does_not_keep_the_others_from_being_written(result, tmp_path, capsys):
    code = main(["predict", str(result.radiograph.source), "--out", str(tmp_path), "--dicom", "pr,seg,sr"])
    assert code == 2 and {path.name for path in tmp_path.glob("*.dcm")} == {"wrist_seg.dcm", "wrist_sr.dcm"}
    printed = capsys.readouterr()
    assert (printed.out + printed.err).count("stored in colour, and a grayscale presentation state") == 1
