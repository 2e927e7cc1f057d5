"""DICOM radiographs: grey values against pydicom's own functions, geometry, side, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pydicom
import pytest
from dicom_files import make, radiograph, save
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels import apply_modality_lut, apply_voi, apply_windowing
from pydicom.uid import (
    UID,
    CTImageStorage,
    DigitalXRayImageStorageForProcessing,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from jointwrist.data.dicom.read import read_dicom
from jointwrist.data.find_radiographs import find_radiographs
from jointwrist.data.load import load_radiograph, study_of
from jointwrist.data.outliers import without_outliers
from jointwrist.errors import DataError

CR = UID("1.2.840.10008.5.1.4.1.1.1")


@pytest.fixture
def write(tmp_path):
    def write_radiograph(*args, **attributes):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # some values are wrong on purpose
            return save(make(*args, **attributes), tmp_path / "radiograph.dcm")

    return write_radiograph


def lut(entries, first, bits, values):
    item = Dataset()
    item.LUTDescriptor = [entries, first, bits]
    item.LUTData = np.asarray(values, "<u2").tobytes()
    item["LUTData"].VR = "OW"
    return item


def unit(values, low, high):
    return (np.asarray(values, float) - low) / (high - low)


WINDOWS = [
    {"WindowCenter": 2000, "WindowWidth": 1500},
    {"WindowCenter": [900.5, 2000], "WindowWidth": [401, 1500]},
    {"WindowCenter": 2000, "WindowWidth": 3},
    {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "LINEAR_EXACT"},
    {"WindowCenter": 2000, "WindowWidth": 1500, "VOILUTFunction": "SIGMOID"},
    {"WindowCenter": 300, "WindowWidth": 1000, "RescaleSlope": 0.5, "RescaleIntercept": -500},
]


@pytest.mark.parametrize("attributes", WINDOWS)
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_windows_agree_with_pydicom(write, attributes, photometric):
    found = read_dicom(write(PhotometricInterpretation=photometric, **attributes))
    dataset = make(PhotometricInterpretation=photometric, **attributes)
    slope, intercept = attributes.get("RescaleSlope", 1), attributes.get("RescaleIntercept", 0)
    expected = apply_windowing(apply_modality_lut(radiograph(), dataset), dataset)
    expected = unit(expected, intercept, 4095 * slope + intercept)
    if photometric == "MONOCHROME1":
        expected = 1 - expected
    assert found.pixels.dtype == np.float32
    np.testing.assert_allclose(found.pixels, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("bits", "signed"), [(8, False), (10, False), (12, False), (16, False), (12, True), (16, True)]
)
def test_without_window_the_full_range_is_shown(write, bits, signed):
    pixels = radiograph(bits, signed)
    found = read_dicom(write(pixels, bits))
    np.testing.assert_allclose(found.pixels, unit(pixels, int(pixels.min()), int(pixels.max())), atol=1e-6)


@pytest.mark.parametrize("first", [0, 500, 1200])
def test_voi_lut_goes_before_the_window(write, first):
    table = np.sqrt(np.linspace(0, 1, 3000)) * 65535
    attributes = {"VOILUTSequence": [lut(3000, first, 16, table)], "WindowCenter": 5, "WindowWidth": 2}
    found = read_dicom(write(**attributes))
    np.testing.assert_allclose(found.pixels, apply_voi(radiograph(), make(**attributes)) / 65535, atol=1e-6)


def test_eight_bit_lut_of_many_entries_does_not_wrap(write):
    table = np.arange(4096) // 16
    packed = lut(4096, 0, 8, table)
    packed.LUTData = table.astype(np.uint8).tobytes()
    for item in (lut(4096, 0, 8, table), packed):
        found = read_dicom(write(VOILUTSequence=[item]))
        np.testing.assert_allclose(found.pixels, (radiograph() // 16) / 255, atol=1e-6)


def test_modality_lut_then_window(write):
    inverse = lut(4096, 0, 16, 4095 - np.arange(4096))
    attributes = {"ModalityLUTSequence": [inverse], "WindowCenter": 1000, "WindowWidth": 800}
    found = read_dicom(write(**attributes))
    np.testing.assert_allclose(found.pixels, np.clip((4095 - radiograph() - 999.5) / 799 + 0.5, 0, 1), atol=1e-6)


def test_another_window_on_request(tmp_path):
    path = save(make(WindowCenter=[100, 3000], WindowWidth=[50, 400]), tmp_path / "radiograph.dcm")
    np.testing.assert_allclose(
        read_dicom(path, window=1).pixels, np.clip((radiograph() - 2999.5) / 399 + 0.5, 0, 1), atol=1e-6
    )
    mended = without_outliers(read_dicom(path, window=1))  # this window leaves most of the picture white
    np.testing.assert_array_equal(load_radiograph(path, window=1).pixels, mended.pixels)
    with pytest.raises(DataError, match=r"radiograph\.dcm: there is no window 2; the file has 2"):
        read_dicom(path, window=2)
    for attributes in ({}, {"WindowCenter": "", "WindowWidth": ""}):
        path = save(make(**attributes), tmp_path / "without.dcm")
        with pytest.raises(DataError, match=r"without\.dcm: there is no window 1; the file has none"):
            read_dicom(path, window=1)


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ({"WindowCenter": 100, "WindowWidth": 0}, "not valid"),
        ({"WindowCenter": 100, "WindowWidth": 10, "VOILUTFunction": "CUBIC"}, "not valid"),
        ({"WindowCenter": 90000, "WindowWidth": 10}, "one or two grey values"),
        ({"WindowCenter": 2000, "WindowWidth": 1}, "one or two grey values"),
        ({"WindowCenter": 0.5, "WindowWidth": 1, "RescaleSlope": 0.001, "RescaleIntercept": 0}, "one or two grey"),
    ],
)
def test_useless_windows_are_reported(write, attributes, note):
    found = read_dicom(write(**attributes))
    assert any(note in text for text in found.notes)
    np.testing.assert_allclose(found.pixels, radiograph() / 4095, atol=1e-6)


def test_bits_beyond_the_stored_ones_do_not_count(write):
    found = read_dicom(write(radiograph() | 0xF000))
    np.testing.assert_allclose(found.pixels, radiograph() / 4095, atol=1e-6)


@pytest.mark.parametrize(
    ("attributes", "spacing", "note"),
    [
        ({}, 0.15, "at the detector"),
        ({"PixelSpacing": [0.14, 0.14]}, 0.14, None),
        ({"PixelSpacing": [0, 0]}, 0.15, "at the detector"),
        ({"ImagerPixelSpacing": [0, 0]}, None, "cannot be used"),
        ({"ImagerPixelSpacing": [0.1, 0.5]}, None, "cannot be used"),
        ({"ImagerPixelSpacing": None}, None, "no pixel spacing"),
        ({"ImagerPixelSpacing": None, "NominalScannedPixelSpacing": [0.2, 0.2]}, 0.2, None),
    ],
)
def test_spacing(write, attributes, spacing, note):
    found = read_dicom(write(**attributes))
    assert found.spacing_mm == spacing
    assert any(note in text for text in found.notes) if note else not found.notes


def test_spacing_that_is_asked_for_serves_where_the_header_gives_none(write):
    missing = read_dicom(write(ImagerPixelSpacing=None), spacing_mm=0.2)
    assert missing.spacing_mm == 0.2 and not any("in pixels" in note for note in missing.notes)
    stated = read_dicom(write(ImagerPixelSpacing=None, PixelSpacing=[0.15, 0.15]), spacing_mm=0.2)
    assert stated.spacing_mm == 0.15 and any("header was used" in note for note in stated.notes)


def test_side(write):
    assert read_dicom(write()).side == "L"
    assert read_dicom(write(ImageLaterality="R")).side == "R"
    assert read_dicom(write(Laterality=None)).side is None
    assert read_dicom(write(Laterality=None), laterality="R").side == "R"
    against = read_dicom(write(), laterality="R")
    assert against.side == "L" and any("Taken for a left hand" in note for note in against.notes)
    assert read_dicom(write(ImageLaterality="B"), laterality="R").side == "R"
    both = read_dicom(write(ImageLaterality="B"))
    assert both.both_hands and both.side is None
    assert not read_dicom(write(ImageLaterality="B"), laterality="R").both_hands
    assert read_dicom(write()).side_stated and not read_dicom(write(Laterality=None), laterality="R").side_stated
    assert not both.side_stated
    with pytest.raises(ValueError, match="'L' or 'R'"):
        read_dicom(write(), laterality="left")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"SOPClassUID": CTImageStorage, "Modality": "CT"}, "CT Image Storage"),
        ({"Modality": "MR"}, "modality 'MR'"),
        ({"NumberOfFrames": 2}, "2 frames"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"PixelData": None}, "no pixels"),
        ({"Rows": 0}, "64 x 0 pixels"),
        ({"Rows": 60000, "Columns": 60000}, "a side may have 8,192"),
        ({"Rows": 20000, "Columns": 1}, "1 x 20000 pixels; a side may have 8,192"),
        ({"Rows": 73}, "fewer pixels than"),
        ({"Rows": None}, "Rows"),
        ({"BitsAllocated": None}, "no BitsAllocated in the header"),
        ({"RescaleSlope": 0, "RescaleIntercept": 0}, "rescale slope"),
        ({"VOILUTSequence": [lut(4096, 0, 16, range(10))]}, "table of 10 entries"),
    ],
)
def test_what_is_no_radiograph_is_refused_by_name(write, attributes, message):
    with pytest.raises(DataError, match=message) as refusal:
        read_dicom(write(**attributes))
    assert "radiograph.dcm" in str(refusal.value) and "Doe" not in str(refusal.value)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(("first", "last"), [(4000, None), (0, 7), (7, 0)])
@pytest.mark.parametrize("window", [{}, {"WindowCenter": 2000, "WindowWidth": 1500}])
def test_padding_is_dark_and_has_no_part_in_the_range(write, photometric, first, last, window):
    pixels = radiograph() // 2 + 1000
    padding = np.zeros_like(pixels, bool)
    padding[:9], padding[:, :7] = True, True
    pixels[padding] = first
    limit = {} if last is None else {"PixelPaddingRangeLimit": last}
    found = read_dicom(write(pixels, PhotometricInterpretation=photometric, PixelPaddingValue=first, **limit, **window))
    assert (found.pixels[padding] == 0).all()
    plain = read_dicom(write(pixels[9:, 7:], PhotometricInterpretation=photometric, **window))
    np.testing.assert_allclose(found.pixels[9:, 7:], plain.pixels, atol=1e-6)
    assert found.notes == plain.notes


def test_signed_padding_of_an_implicit_file(tmp_path):
    dataset = make(radiograph(12, signed=True), PixelPaddingValue=-2048)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm"))
    assert (found.pixels[radiograph(12, signed=True) == -2048] == 0).all() and found.pixels.max() == 1


def test_a_radiograph_that_is_nothing_but_padding_is_shown(write):
    assert not read_dicom(write(radiograph() * 0 + 5, PixelPaddingValue=5)).pixels.any()


@pytest.mark.parametrize(
    ("attributes", "note"),
    [
        ({"PatientOrientation": ["L", "H"]}, None),
        ({"PatientOrientation": ["LA", "HR"], "FieldOfViewHorizontalFlip": "YES"}, None),
        ({"PatientOrientation": ["R", "H"]}, r"PatientOrientation R\H is not that of a posteroanterior hand"),
        ({"PatientOrientation": ["R", "F"]}, "rotated or mirrored, look at the overlay"),
        ({"PatientOrientation": ["H", "L"]}, "rotated or mirrored, look at the overlay"),
        ({"PatientOrientation": ""}, None),
        ({"PatientOrientation": ["DOE", "JANE"]}, None),
        ({"FieldOfViewHorizontalFlip": "YES"}, "rotated or mirrored after exposure"),
        ({"FieldOfViewHorizontalFlip": "NO", "FieldOfViewRotation": 90}, "rotated or mirrored after exposure"),
        ({"FieldOfViewHorizontalFlip": "NO", "FieldOfViewRotation": 0}, None),
        ({"ViewPosition": "PA"}, None),
        ({"ViewPosition": "LL"}, "names the view LL"),
    ],
)
def test_another_view_or_orientation_is_reported_and_pixels_stay(write, attributes, note):
    found = read_dicom(write(PixelSpacing=[0.14, 0.14], **attributes))
    assert any(note in text for text in found.notes) if note else found.notes == ()
    np.testing.assert_allclose(found.pixels, radiograph() / 4095, atol=1e-6)


def test_raw_detector_data_is_reported(write):
    path = write(
        SOPClassUID=DigitalXRayImageStorageForProcessing, Modality="DX", PresentationIntentType="FOR PROCESSING"
    )
    assert any("FOR PROCESSING" in note for note in read_dicom(path).notes)


def test_truncation_anywhere_is_a_data_error(tmp_path):
    whole = save(make(), tmp_path / "whole.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    for length in range(0, len(whole) - 1, 151):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match=r"cut\.dcm"):
            read_dicom(path)


def test_patient_data_stay_in_the_header(write):
    path = write(SpecificCharacterSet="Doe")  # pydicom warns, and quotes the value
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found = read_dicom(path)
    assert found.header.PatientName == "Doe^Jane" and "PixelData" not in found.header
    assert "Doe" not in repr(found) and "secret" not in repr(found)
    assert not seen


PLANTED = (
    {"Rows": ("LO", "Doe^Jane")},
    {"BitsStored": ("LO", "Doe^Jane")},
    {"RescaleSlope": ("LO", "Doe^Jane"), "RescaleIntercept": ("DS", "0")},
    {"WindowCenter": ("LO", "Doe^Jane"), "WindowWidth": ("DS", "10")},
    {"PixelSpacing": ("LO", "Doe^Jane")},
    {"PixelPaddingValue": ("LO", "Doe^Jane")},
    {"NumberOfFrames": ("LO", "Doe^Jane")},
    {"ViewPosition": ("LO", "Doe^Jane"), "PatientOrientation": ("LO", "Doe^Jane")},
    {"SpecificCharacterSet": ("LO", "Doe^Jane")},
)


@pytest.mark.parametrize("elements", PLANTED, ids=lambda elements: next(iter(elements)))
def test_neither_errors_nor_notes_quote_what_stands_in_a_wrong_place(tmp_path, elements):
    dataset = make()
    for name, (kind, value) in elements.items():
        dataset[name] = pydicom.DataElement(name, kind, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = save(dataset, tmp_path / "radiograph.dcm")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        try:
            said = " ".join(read_dicom(path).notes)
        except DataError as error:
            said = str(error)
    assert "Doe" not in said and "Jane" not in said and not seen


def test_the_directory_of_a_disc_is_no_radiograph(tmp_path):
    save(make(), tmp_path / "IM1")
    directory = make(SOPClassUID=None)
    directory.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    save(directory, tmp_path / "DICOMDIR")
    assert list(find_radiographs([tmp_path])) == [tmp_path / "IM1"]
    with pytest.raises(DataError, match="DICOMDIR: lists the radiographs of a disc"):
        load_radiograph(tmp_path / "DICOMDIR")


def test_radiographs_of_one_study_are_told_without_their_pixels(tmp_path):
    study = generate_uid()
    paths = [save(make(StudyInstanceUID=uid), tmp_path / f"{n}.dcm") for n, uid in enumerate((study, study, "1.2"))]
    assert [study_of(path) for path in paths] == [study, study, "1.2"] == [load_radiograph(p).study for p in paths]
    assert study_of(save(make(), tmp_path / "none.dcm")) is None
    names = [tmp_path / name for name in ("a_L.png", "a_R.bmp", "b_L.png", "c.png", "_L.png")]
    for name in names:
        Image.fromarray(radiograph(8)).save(name)
    studies = [study_of(name) for name in names]
    assert studies == [load_radiograph(name).study for name in names]
    assert studies[0] == studies[1] and len(set(studies)) == 4 and studies[3] is None
    (tmp_path / "broken.dcm").write_bytes(b"none")
    assert study_of(tmp_path / "broken.dcm") is None


def test_a_radiograph_goes_by_another_name(write, tmp_path):
    path = write()
    found = load_radiograph(path, name="film-001")
    assert found.source.name == "film-001" and found.side == "L"
    path.write_bytes(b"torn")
    for name in (path, tmp_path / "gone.dcm"):
        with pytest.raises(DataError, match=r"^film-001: ") as refusal:
            load_radiograph(name, name="film-001")
        assert name.name not in str(refusal.value)


def test_any_file_is_recognised_by_its_beginning(write, tmp_path):
    path = write()
    bare = path.rename(tmp_path / "IM0001")
    assert load_radiograph(bare).side == "L"
    Image.fromarray(radiograph(8)).save(tmp_path / "0001_0001_R.png")
    picture = load_radiograph(tmp_path / "0001_0001_R.png")
    assert (picture.side, picture.spacing_mm, picture.header) == ("R", None, None)
    np.testing.assert_allclose(picture.pixels, radiograph(8) / 255, atol=1e-6)
    assert load_radiograph(tmp_path / "0001_0001_R.png", side="L").side == "L"
    (tmp_path / "text.dcm").write_text("no DICOM file" * 20)
    with pytest.raises(DataError, match="not a DICOM file"):
        load_radiograph(tmp_path / "text.dcm")
    with pytest.raises(DataError, match="no such file"):
        load_radiograph(tmp_path / "none.dcm")
