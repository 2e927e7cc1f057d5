"""DICOM files without preamble, meta header or transfer syntax, and numbers that are none: read, or refused by name."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from dicom_files import make, radiograph, save
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
from jointwrist.data.load import load_radiograph, study_of
from jointwrist.errors import DataError

GREY = (radiograph() / 4095).astype(np.float32)
NO_PREAMBLE = "no DICOM preamble"


def bare(path, syntax, meta=False, **attributes):
    """A data set without preamble, with its meta header or without."""
    little = syntax != ExplicitVRBigEndian
    pixels = radiograph() if little else radiograph().byteswap()
    dataset = make(pixels, PixelSpacing=[0.14, 0.14], **attributes)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.preamble = None
    if not meta:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
    pydicom.dcmwrite(
        path, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little, force_encoding=True
    )
    return path


@pytest.mark.parametrize("name", ["radiograph.dcm", "IM0001"])
@pytest.mark.parametrize("meta", [False, True])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_data_set_without_preamble_is_read(tmp_path, name, meta, syntax):
    path = bare(tmp_path / name, syntax, meta, StudyInstanceUID="1.2.3")
    assert path.read_bytes()[128:132] != b"DICM"
    found = load_radiograph(path)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert found.side == "L" and any(NO_PREAMBLE in note for note in found.notes)
    assert list(find_radiographs([tmp_path])) == [path] and study_of(path) == "1.2.3"


@pytest.mark.parametrize("name", ["radiograph.dcm", "IM0001"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_prefix_without_preamble_is_read(tmp_path, name, syntax):
    path = bare(tmp_path / name, syntax, meta=True)
    path.write_bytes(b"DICM" + path.read_bytes())
    found = load_radiograph(path)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert any(NO_PREAMBLE in note for note in found.notes) and list(find_radiographs([tmp_path])) == [path]


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_file_that_names_no_transfer_syntax_is_read(tmp_path, syntax):
    dataset = make(PixelSpacing=[0.14, 0.14])
    del dataset.file_meta.TransferSyntaxUID
    dataset["PixelData"].VR = "OW"
    path = tmp_path / "radiograph.dcm"
    pydicom.dcmwrite(
        path, dataset, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=True, force_encoding=True
    )
    np.testing.assert_array_equal(load_radiograph(path).pixels, GREY)


def test_uncompressed_pixels_under_the_name_of_a_compression_are_read(tmp_path):
    path = renamed(save(make(), tmp_path / "radiograph.dcm"), PLAIN, RLE)
    np.testing.assert_array_equal(load_radiograph(path).pixels, GREY)


PLAIN, RLE, PRIVATE = b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0", b"1.2.840.113619.5.2\0\0"


def renamed(path, own, other):
    """A file whose meta header names another transfer syntax than its own."""
    path.write_bytes(path.read_bytes().replace(own, other))
    return path


def test_what_cannot_be_read_without_guessing_is_refused_by_name(tmp_path):
    dataset = make()
    dataset.compress(RLELossless)
    plain = renamed(save(dataset, tmp_path / "plain.dcm"), RLE, PLAIN)
    private = renamed(save(dataset, tmp_path / "private.dcm"), RLE, PRIVATE)
    del dataset.file_meta.TransferSyntaxUID
    unnamed = tmp_path / "unnamed.dcm"
    pydicom.dcmwrite(unnamed, dataset, implicit_vr=False, little_endian=True, force_encoding=True)
    uncoded = renamed(save(make(PixelData=bytes(100)), tmp_path / "uncoded.dcm"), PLAIN, RLE)
    nothing = bare(tmp_path / "nothing.dcm", ExplicitVRLittleEndian, SOPClassUID=None, Modality=None)
    for path, message in (
        (plain, "Explicit VR Little Endian, and its pixels are compressed"),
        (private, "private transfer syntax 1.2.840.113619.5.2; export it again uncompressed"),
        (unnamed, "no transfer syntax states how; export it again"),
        (uncoded, "RLE Lossless, and its pixels are uncompressed"),
        (nothing, "neither a DICOM preamble nor the class of an image"),
    ):
        with pytest.raises(DataError, match=message) as refusal:
            load_radiograph(path)
        assert str(refusal.value).startswith(f"{path}: ")


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_data_set_without_preamble_cut_anywhere_is_a_data_error(tmp_path, syntax):
    whole = bare(tmp_path / "whole.dcm", syntax).read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(0, len(whole) - 1, 211):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.dcm"):
            load_radiograph(path)


@pytest.mark.parametrize(
    ("elements", "note"),
    [
        ({"WindowCenter": "2047,5", "WindowWidth": "4000"}, "stored window is not valid"),
        ({"WindowCenter": "2047", "WindowWidth": "4000,0"}, "stored window is not valid"),
        ({"WindowCenter": "nan", "WindowWidth": "4000"}, "stored window is not valid"),
        ({"RescaleSlope": "1,0", "RescaleIntercept": "0"}, "Rescale slope or intercept is not a number"),
        (
            {"RescaleSlope": "1", "RescaleIntercept": "-1024,0", "WindowCenter": "100", "WindowWidth": "50"},
            "Rescale slope or intercept is not a number",
        ),
        ({"PixelSpacing": "0,2\\0,2", "ImagerPixelSpacing": ""}, "cannot be used (PixelSpacing not a number"),
        ({"EstimatedRadiographicMagnificationFactor": "1,1"}, "magnification factor (not a number) cannot be used"),
    ],
)
def test_decimal_commas_are_skipped_and_reported(tmp_path, elements, note):
    dataset = make()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in elements.items():
            dataset[name] = pydicom.DataElement(name, "LO", value)
        path = save(dataset, tmp_path / "radiograph.dcm")
    content = path.read_bytes()
    for name in elements:  # the representation of a text, changed where the file is
        group, element = divmod(int(pydicom.datadict.tag_for_keyword(name)), 65536)
        tag = group.to_bytes(2, "little") + element.to_bytes(2, "little")
        content = content.replace(tag + b"LO", tag + b"DS")
    path.write_bytes(content)
    found = load_radiograph(path)
    np.testing.assert_array_equal(found.pixels, GREY)
    assert any(note in text for text in found.notes)


def test_nothing_of_a_folder_is_left_out_without_a_word(tmp_path):
    folder = tmp_path / "radiographs"
    (folder / "sub").mkdir(parents=True)
    save(make(), folder / "IM1")
    for name in ("notes.txt", "sub/report.pdf", ".hidden.png", ".DS_Store", "DICOMDIR", "radiograph.dcm.gz"):
        (folder / name).write_bytes(b"0123")
    (tmp_path / "elsewhere").mkdir()
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    told = []
    assert list(find_radiographs([folder], left_out=lambda *given: told.append(given))) == [folder / "IM1"]
    ((where, others),) = told
    assert where == folder
    assert [str(path.relative_to(folder)) for path in others] == [
        ".hidden.png", "link", "notes.txt", "radiograph.dcm.gz", "sub/report.pdf"
    ]  # fmt: skip
    assert describe_left_out(*told[0]).endswith(": .hidden.png, link, notes.txt, radiograph.dcm.gz, sub/report.pdf")
    assert "notes" not in describe_left_out(*told[0], "FILE 1") and "left out 5" in describe_left_out(
        *told[0], "FILE 1"
    )
