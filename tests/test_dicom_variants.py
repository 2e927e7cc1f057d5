"""Odd but valid variants of one radiograph: by whatever route, the same pixels bit by bit, or one stated refusal."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pydicom
import pytest
from dicom_files import make, save
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from jointwrist.data.dicom import stored_values
from jointwrist.data.dicom.read import read_dicom
from jointwrist.errors import DataError

NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
CODED = (RLELossless, JPEGLSLossless, JPEG2000Lossless)
SHAPE = (41, 33)


def values(bits: int) -> np.ndarray:
    """Unsigned values over all of a bit depth, in no order."""
    order = np.random.default_rng(bits).permutation(SHAPE[0] * SHAPE[1])
    return np.linspace(0, 2**bits - 1, order.size).round().astype(np.int64)[order].reshape(SHAPE)


def words_of(stored: np.ndarray, bits: int, shift: int, size: int, fill: str) -> np.ndarray:
    """Words with values at a shift; the bits around them are zero, copies of the sign, or an overlay."""
    words = (stored & (2**bits - 1)) << shift
    everything = 2**size - 1
    if fill == "sign":
        words |= np.where(stored < 0, everything & ~(2 ** (bits + shift) - 1), 0)
    elif fill == "overlay":
        strewn = np.random.default_rng(5).integers(0, everything + 1, SHAPE)
        words |= strewn & everything & ~((2**bits - 1) << shift)
    return words.astype(f"u{size // 8}")


def write(path, words, syntax, precision=None, coded_signed=False, **attributes):
    """A radiograph of words, coded with a precision where its syntax compresses."""
    size = 8 * words.itemsize
    dataset = make(words.view(f"i{words.itemsize}") if coded_signed else words, precision or size)
    if syntax.is_compressed:
        dataset.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        # 8 bits lie in words as well, which a big-endian file swaps
        data = words.tobytes() + b"\0" * (words.nbytes % 2)
        dataset.PixelData = np.frombuffer(data, "<u2").astype(">u2").tobytes()
        dataset["PixelData"].VR = "OW"
    dataset.file_meta.TransferSyntaxUID = syntax
    for name, value in attributes.items():
        setattr(dataset, name, value)
    if syntax == ExplicitVRBigEndian:
        pydicom.dcmwrite(path, dataset, implicit_vr=False, little_endian=False, force_encoding=True)
        return path
    return save(dataset, path)


def expected(bits: int, photometric: str) -> np.ndarray:
    grey = (values(bits) / (2**bits - 1)).astype(np.float32)
    return 1 - grey if photometric == "MONOCHROME1" else grey


@pytest.mark.parametrize("syntax", [*NATIVE, *CODED], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
def test_stored_values_are_the_same_by_every_route(tmp_path, syntax, signed, bits):
    stored = values(bits) - (2 ** (bits - 1) if signed else 0)
    sizes = (8, 16) if bits == 8 else (16,)
    for size, fill, photometric in product(sizes, ("zero", "sign", "overlay"), ("MONOCHROME1", "MONOCHROME2")):
        for shift in sorted({0, size - bits}):
            if fill == "sign" and not signed:
                continue
            found = read_dicom(
                write(
                    tmp_path / "radiograph.dcm", words_of(stored, bits, shift, size, fill), syntax, BitsStored=bits,
                    HighBit=bits + shift - 1, PixelRepresentation=int(signed), PhotometricInterpretation=photometric,
                )
            )  # fmt: skip
            np.testing.assert_array_equal(found.pixels, expected(bits, photometric), f"{size} {fill} {shift}")


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("bits", [8, 10, 12, 14, 15, 16])
def test_codestreams_of_the_values_alone(tmp_path, syntax, signed, bits):
    """The precision of a codestream need not be that of the words, nor HighBit that of the codestream."""
    stored = values(bits) - (2 ** (bits - 1) if signed else 0)
    for high in {bits - 1, 15}:
        found = read_dicom(
            write(
                tmp_path / "radiograph.dcm", words_of(stored, bits, 0, 16, "zero"), syntax, precision=bits,
                BitsStored=bits,
                HighBit=high, PixelRepresentation=int(signed),
            )
        )  # fmt: skip
        np.testing.assert_array_equal(found.pixels, expected(bits, "MONOCHROME2"))


@pytest.mark.parametrize("bits", [10, 12, 16])
@pytest.mark.parametrize("plugin", ["pylibjpeg", "pillow"])
def test_signed_codestreams_and_either_decoder(tmp_path, monkeypatch, bits, plugin):
    stored = values(bits) - 2 ** (bits - 1)
    words = words_of(stored, bits, 0, 16, "sign")
    path = write(
        tmp_path / "radiograph.dcm",
        words,
        JPEG2000Lossless,
        bits,
        coded_signed=True,
        PixelRepresentation=1,
        HighBit=bits - 1,
    )
    if plugin == "pillow":
        decoder = stored_values.get_decoder(JPEG2000Lossless)
        monkeypatch.setattr(type(decoder), "available_plugins", property(lambda _: ("pillow",)))
        monkeypatch.setattr(decoder, "_available", {"pillow": decoder._available["pillow"]})
    np.testing.assert_array_equal(read_dicom(path).pixels, expected(bits, "MONOCHROME2"))


def test_a_radiograph_without_highbit_is_right_aligned(tmp_path):
    path = save(make(values(12).astype(np.uint16), HighBit=None), tmp_path / "radiograph.dcm")
    np.testing.assert_array_equal(read_dicom(path).pixels, expected(12, "MONOCHROME2"))


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"HighBit": 15}, "HighBit 15 says that 12 bits are left-aligned"),
        ({"HighBit": 10}, "BitsStored 12 and HighBit 10 contradict"),
        ({"HighBit": 16}, "BitsStored 12 and HighBit 16 contradict"),
        ({"BitsStored": 17}, "BitsStored 17 and HighBit 11 contradict"),
        ({"BitsStored": None}, "no BitsStored"),
        ({"BitsAllocated": 12}, "BitsAllocated 12; only 8, 16 and 32"),
    ],
)
def test_bits_that_contradict_each_other_are_refused_by_name(tmp_path, attributes, message):
    path = save(make(values(12).astype(np.uint16), **attributes), tmp_path / "radiograph.dcm")
    with pytest.raises(DataError, match=message):
        read_dicom(path)


@pytest.mark.parametrize("signed", [False, True])
def test_thirty_two_bits(tmp_path, signed):
    stored = values(32) - (2**31 if signed else 0)
    words = words_of(stored, 32, 0, 32, "zero")
    path = write(tmp_path / "radiograph.dcm", words, ExplicitVRLittleEndian, PixelRepresentation=int(signed))
    np.testing.assert_array_equal(read_dicom(path).pixels, expected(32, "MONOCHROME2"))


@pytest.mark.parametrize(("padding", "signed"), [(65535, False), (4095, False), (-2048, True), (63488, True)])
def test_padding_within_the_stored_bits_or_beyond_them(tmp_path, padding, signed):
    stored = values(12) // 2 + (0 if not signed else -1000)
    words = words_of(stored, 12, 0, 16, "sign")
    words[0] = padding & 0xFFFF
    dataset = make(words.view(np.int16) if signed else words, 12)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)
    found = read_dicom(save(dataset, tmp_path / "radiograph.dcm")).pixels
    assert not found[0].any() and found[1:].max() == 1 and found[1:].min() == 0


def lut(first, bits, entries, count=None, kind="OW", signed=False, order="<"):
    """A look-up table, its data as words, as bytes, or as a list of words."""
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if signed else "US", [count if count is not None else len(entries), first, bits])
    data = np.asarray(entries, np.uint16)
    if kind != "words":
        if kind == "bytes":
            packed = np.append(data.astype(np.uint8), np.zeros(len(data) % 2, np.uint8))
            data = packed.view("<u2")
        item.add_new("LUTData", "OW", data.astype(f"{order}u2").tobytes())
    else:
        item.add_new("LUTData", "US", data.tolist())
    return item


def curve(count: int, bits: int) -> np.ndarray:
    return np.round(np.sqrt(np.linspace(0, 1, count)) * (2**bits - 1)).astype(np.int64)


def shown(table: np.ndarray, bits: int, index: np.ndarray) -> np.ndarray:
    return (table[np.clip(index, 0, len(table) - 1)] / (2**bits - 1)).astype(np.float32)


@pytest.mark.parametrize("syntax", NATIVE[:3], ids=lambda uid: uid.keyword)
@pytest.mark.parametrize("kind", ["OW", "words", "bytes"])
@pytest.mark.parametrize("count", [4096, 2999])
@pytest.mark.parametrize("first", [-2048, -2000, 0, 900])
def test_look_up_tables_whatever_their_first_value_and_data(tmp_path, syntax, kind, count, first):
    bits = 8 if kind == "bytes" else 12
    table, order = curve(count, bits), ">" if syntax == ExplicitVRBigEndian else "<"
    for offset, signed in product((0, -2048), (True, False)):
        item = lut(first if signed else first % 65536, bits, table, kind=kind, signed=signed, order=order)
        path = write(
            tmp_path / "radiograph.dcm", values(12).astype(np.uint16), syntax, BitsStored=12, HighBit=11,
            VOILUTSequence=[item], RescaleSlope=1, RescaleIntercept=offset,
        )  # fmt: skip
        found = read_dicom(path)
        index = values(12) + offset - first
        if np.ptp(np.clip(index, 0, count - 1)):
            np.testing.assert_array_equal(found.pixels, shown(table, bits, index), f"{offset} {signed}")
            assert not any("grey" in note for note in found.notes)


def test_a_descriptor_of_0_means_65536_entries(tmp_path):
    table = curve(65536, 16)
    path = write(
        tmp_path / "radiograph.dcm", values(16).astype(np.uint16), ImplicitVRLittleEndian,
        VOILUTSequence=[lut(0, 16, table, count=0)],
    )  # fmt: skip
    np.testing.assert_array_equal(read_dicom(path).pixels, shown(table, 16, values(16)))


@pytest.mark.parametrize(("stated", "bits"), [(16, 12), (8, 12), (12, 16), (0, 10), (16, 8)])
def test_the_bits_of_a_table_are_those_of_its_entries(tmp_path, stated, bits):
    table = curve(4096, bits)
    path = write(
        tmp_path / "radiograph.dcm", values(12).astype(np.uint16), ExplicitVRLittleEndian, BitsStored=12, HighBit=11,
        VOILUTSequence=[lut(0, stated, table)],
    )  # fmt: skip
    found = read_dicom(path)
    np.testing.assert_array_equal(found.pixels, shown(table, bits, values(12)))
    assert any(f"entries of {bits} bits" in note for note in found.notes)


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("syntax", NATIVE[:2], ids=lambda uid: uid.keyword)
def test_a_modality_table_of_signed_values(tmp_path, signed, syntax):
    stored = values(12) - (2048 if signed else 0)
    table = 4095 - np.arange(4096)
    path = write(
        tmp_path / "radiograph.dcm", words_of(stored, 12, 0, 16, "sign"), syntax, BitsStored=12, HighBit=11,
        PixelRepresentation=int(signed), ModalityLUTSequence=[lut(stored.min(), 16, table, signed=signed)],
    )  # fmt: skip
    grey = ((4095 - values(12)) / 4095).astype(np.float32)
    np.testing.assert_array_equal(read_dicom(path).pixels, grey)


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (lut(0, 16, range(2048), count=4096), "table of 2048 entries, its descriptor says 4096"),
        (lut(0, 8, range(9), count=4096, kind="bytes"), "table of 5 entries"),
        (lut(0, 16, range(2)), None),
    ],
)
def test_short_tables_are_refused(tmp_path, item, message):
    path = write(
        tmp_path / "radiograph.dcm", values(12).astype(np.uint16), ExplicitVRLittleEndian, BitsStored=12, HighBit=11,
        VOILUTSequence=[item],
    )  # fmt: skip
    if message is None:
        assert read_dicom(path).pixels.max() == 1
        return
    with pytest.raises(DataError, match=message):
        read_dicom(path)


def fragments(*parts: bytes) -> bytes:
    """Encapsulated pixels of fragments without an offset table."""
    table, end = b"\xfe\xff\x00\xe0" + bytes(4), b"\xfe\xff\xdd\xe0" + bytes(4)
    return table + b"".join(b"\xfe\xff\x00\xe0" + len(p).to_bytes(4, "little") + p for p in parts) + end


@pytest.mark.parametrize("rows", [1, SHAPE[0] - 1])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, *CODED], ids=lambda uid: uid.keyword)
def test_more_pixels_than_rows_are_refused(tmp_path, syntax, rows):
    path = write(tmp_path / "radiograph.dcm", values(12).astype(np.uint16), syntax, 12, Rows=rows)
    with pytest.raises(DataError, match=r"more pixels than its rows|compressed image of"):
        read_dicom(path)


@pytest.mark.parametrize("table", [False, True])
@pytest.mark.parametrize("syntax", CODED, ids=lambda uid: uid.keyword)
def test_a_second_frame_that_the_header_does_not_count_is_refused(tmp_path, syntax, table):
    path = write(tmp_path / "radiograph.dcm", values(12).astype(np.uint16), syntax, 12)
    dataset = pydicom.dcmread(path)
    frame = pydicom.encaps.get_frame(dataset.PixelData, 0, number_of_frames=1)
    dataset.PixelData = pydicom.encaps.encapsulate([frame, frame]) if table else fragments(frame, frame)
    with pytest.raises(DataError, match="or than one frame; give a single radiograph"):
        read_dicom(save(dataset, path))
    if syntax != RLELossless:  # whose frames are a fragment each
        middle = len(frame) // 4 * 2
        dataset.PixelData = fragments(frame[:middle], frame[middle:])
        np.testing.assert_array_equal(read_dicom(save(dataset, path)).pixels, expected(12, "MONOCHROME2"))


def test_bytes_behind_the_pixels(tmp_path):
    """Zeros fill a file up; anything else is a second frame, or rows that the header does not count."""
    data = values(12).astype(np.uint16).tobytes()
    radiograph = write(
        tmp_path / "radiograph.dcm", values(12).astype(np.uint16), ExplicitVRLittleEndian, 12, PixelData=data * 2
    )
    with pytest.raises(DataError, match="more pixels than its rows and columns"):
        read_dicom(radiograph)
    write(radiograph, values(12).astype(np.uint16), ExplicitVRLittleEndian, 12, PixelData=data + bytes(512))
    np.testing.assert_array_equal(read_dicom(radiograph).pixels, expected(12, "MONOCHROME2"))
    write(radiograph, values(12).astype(np.uint16), ExplicitVRLittleEndian, 12, PixelData=data[:-2])
    with pytest.raises(DataError, match="fewer pixels than its rows and columns; the file is cut short"):
        read_dicom(radiograph)


@pytest.mark.parametrize("shape", ["IDENTITY", "INVERSE"])
@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_the_photometric_interpretation_stands(tmp_path, photometric, shape):
    path = write(
        tmp_path / "radiograph.dcm", values(12).astype(np.uint16), ExplicitVRLittleEndian, 12,
        PhotometricInterpretation=photometric, PresentationLUTShape=shape,
    )  # fmt: skip
    radiograph = read_dicom(path)
    np.testing.assert_array_equal(radiograph.pixels, expected(12, photometric))
    contradicts = (photometric == "MONOCHROME1") != (shape == "INVERSE")
    assert any(f"PresentationLUTShape {shape} contradicts" in note for note in radiograph.notes) == contradicts


@pytest.mark.parametrize("groups", ["SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"])
def test_the_functional_groups_of_a_single_frame(tmp_path, groups):
    """A multi-frame secondary capture of one frame is the radiograph that says the same in its data set."""
    elements = {
        "PixelMeasuresSequence": {"PixelSpacing": [0.2, 0.2]},
        "PixelValueTransformationSequence": {"RescaleSlope": 2, "RescaleIntercept": -1000, "RescaleType": "US"},
        "FrameVOILUTSequence": {"WindowCenter": 1024, "WindowWidth": 2048},
    }
    group = Dataset()
    for sequence, values_of in elements.items():
        item = Dataset()
        for name, value in values_of.items():
            setattr(item, name, value)
        setattr(group, sequence, [item])
    flat = {name: value for values_of in elements.values() for name, value in values_of.items()}
    words, plain = values(12).astype(np.uint16), {"ImagerPixelSpacing": None}
    single = save(make(words, **plain, **flat), tmp_path / "single.dcm")
    kind = {"SOPClassUID": pydicom.uid.MultiFrameGrayscaleWordSecondaryCaptureImageStorage, "Modality": "OT"}
    multiple = save(make(words, NumberOfFrames=1, **kind, **plain, **{groups: [group]}), tmp_path / "multiple.dcm")
    radiographs = [read_dicom(path) for path in (single, multiple)]
    np.testing.assert_array_equal(radiographs[0].pixels, radiographs[1].pixels)
    assert (
        radiographs[0].spacing_mm == radiographs[1].spacing_mm == 0.2 and radiographs[0].notes == radiographs[1].notes
    )
    assert 0 < radiographs[0].pixels.mean() < 1 and len(np.unique(radiographs[0].pixels)) > 100
