"""Compressed DICOM radiographs: what decoders give, what codestreams say of themselves, and what is refused."""

from __future__ import annotations

import io
from base64 import b85decode

import numpy as np
import pydicom
import pytest
from dicom_files import make, radiograph, save
from PIL import Image
from pydicom.pixels import get_decoder
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLSLossless,
    RLELossless,
)

from jointwrist.data.dicom import file as dicom_file
from jointwrist.data.dicom.codestream import coded_image
from jointwrist.data.dicom.read import read_dicom
from jointwrist.data.load import study_of
from jointwrist.errors import DataError


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless, JPEG2000Lossless])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_lossless_compression_changes_nothing(tmp_path, syntax, bits):
    dataset = make(bits=bits)
    dataset.compress(syntax)
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    np.testing.assert_allclose(found.pixels, radiograph(bits) / (2**bits - 1), atol=1e-6)


@pytest.mark.skipif(
    bool({"pylibjpeg", "gdcm"} & set(get_decoder(JPEGExtended12Bit).available_plugins)), reason="decoded here"
)
def test_jpeg_of_12_bits_without_a_decoder_names_the_one_to_install(tmp_path):
    dataset = make(bits=8)
    picture = io.BytesIO()
    Image.fromarray(dataset.pixel_array).save(picture, "JPEG")
    start = picture.getvalue().index(b"\xff\xc0")
    coded = picture.getvalue()[:start] + b"\xff\xc1\x00\x0b\x0c" + picture.getvalue()[start + 5 :]
    dataset.PixelData, dataset["PixelData"].VR = pydicom.encaps.encapsulate([coded]), "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = JPEGExtended12Bit
    with pytest.raises(DataError, match=r"no decoder for JPEG Extended.*gpl-codecs"):
        read_dicom(save(dataset, tmp_path / "radiograph.dcm"))


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless])
def test_codestream_states_its_size(syntax):
    dataset = make()
    dataset.compress(syntax)
    assert coded_image(pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)) == (72, 64, 1, 12)


@pytest.mark.parametrize(("name", "colours"), [("x.jpg", 1), ("x.jpg", 3), ("x.jp2", 1), ("x.jp2", 3)])
def test_codestream_states_its_size_as_pillow_writes_it(tmp_path, name, colours):
    shape = (24, 20) if colours == 1 else (24, 20, colours)
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / name)
    assert coded_image((tmp_path / name).read_bytes()) == (24, 20, colours, 8)
    assert coded_image(b"\xff\xd8\xff") is None


def test_a_decoder_never_gets_another_size_than_the_header_says(tmp_path):
    dataset = make()
    dataset.compress(JPEG2000Lossless)
    dataset.Rows = 71
    with pytest.raises(DataError, match="header of"):
        read_dicom(save(dataset, tmp_path / "radiograph.dcm"))


def test_a_missing_decoder_is_named_with_its_extra(tmp_path):
    if pydicom.pixels.get_decoder(JPEGLossless).is_available:
        pytest.skip("this machine decodes lossless JPEG")
    dataset = make()
    dataset.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xd9"])
    dataset.file_meta.TransferSyntaxUID = JPEGLossless
    with pytest.raises(DataError, match="gpl-codecs"):
        read_dicom(save(dataset, tmp_path / "radiograph.dcm"))


@pytest.mark.parametrize("allocated", [8, 16])
def test_jpeg_baseline(tmp_path, allocated):
    smooth, buffer = radiograph(8), io.BytesIO()
    Image.fromarray(smooth).save(buffer, "JPEG", quality=98)
    dataset = make(smooth, bits=8, BitsAllocated=allocated)
    dataset.PixelData = pydicom.encaps.encapsulate([buffer.getvalue()])
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    np.testing.assert_allclose(found.pixels, smooth / 255, atol=0.03)
    assert not any("has 8 bits" in note for note in found.notes)
    if allocated == 16:
        dataset.BitsStored, dataset.HighBit = 12, 11
        notes = read_dicom(save(dataset, tmp_path / "radiograph.dcm")).notes
        assert any("has 8 bits, its header says 12: a stored window may not fit" in note for note in notes)


def test_a_deflated_file_is_read_within_bounds(tmp_path, monkeypatch):
    dataset = make(StudyInstanceUID="1.2.3")
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = save(dataset, tmp_path / "radiograph.dcm")
    np.testing.assert_array_equal(read_dicom(path).pixels, read_dicom(save(make(), tmp_path / "plain.dcm")).pixels)
    assert study_of(path) == "1.2.3"
    monkeypatch.setattr(dicom_file, "MAX_FILE_BYTES", 4000)
    with pytest.raises(DataError, match="inflates to more than 4,000 bytes"):
        read_dicom(path)
    path.write_bytes(path.read_bytes()[:400] + bytes(99))
    with pytest.raises(DataError, match=r"radiograph\.dcm: damaged deflated file"):
        read_dicom(path)


#: 24 x 20 pixels of 160 y + 11 x in 16 bits, compressed by OpenJPH.
HTJ2K_CODESTREAM = (
    "|4;u>04YEK0000K0000O00000000000000K0000O0000000000009pH0sl|{2mk^A000XAQUDA90ssL31q1{@0smY86Cj9?kdTm&kdTm&kdTmwh="
    "~7W02crOPjF>!N>E53R%LP^FfKASE;BCwkN^q*00000p8x^>lfVEb?eql)bO68r62Jfx0B8Y+bO3Di1BY|~zyK0J022W1D{}y~wE#ji0KfnezyK9M"
    ")hOb00J4>>Y`{{1{<Z+X02Ocm1#mEgFof7I*We3x0M0sd=FHjj5Jo})?6?5H04)dr1+YX!L_|bH@A#*ur>CdFdH_Cse0+R-e0+R-{{K)0J&a&`_A!"
    "C%y#W8&"
)


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K], ids=lambda uid: uid.keyword)
def test_high_throughput_jpeg_2000(syntax, tmp_path):
    pytest.importorskip("openjpeg")
    rows, columns = np.mgrid[:24, :20]
    pixels = (160 * rows + 11 * columns).astype(np.uint16)
    dataset = make(pixels)
    dataset.PixelData = pydicom.encaps.encapsulate([b85decode(HTJ2K_CODESTREAM)])
    dataset["PixelData"].is_undefined_length = True
    dataset.file_meta.TransferSyntaxUID = syntax
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    np.testing.assert_allclose(found.pixels, pixels / pixels.max(), atol=1e-6)
