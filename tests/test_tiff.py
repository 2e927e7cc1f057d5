"""TIFF files that Pillow alone reads otherwise: white-is-zero, 12-bit and turned ones, signed bytes, deep planes."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image

from jointwrist.data.images import read_image
from jointwrist.errors import DataError

DEEP = np.random.default_rng(1).integers(0, 65536, (17, 24))
#: Values, their bits, sample format and white.
DEPTHS = {
    "bilevel": (DEEP >> 15, 1, 1, 1),
    "4 bits": (DEEP >> 12, 4, 1, 15),
    "8 bits": (DEEP >> 8, 8, 1, 255),
    "12 bits": (DEEP >> 4, 12, 1, 4095),
    "16 bits": (DEEP, 16, 1, 65535),
    "32 bits": (DEEP, 32, 1, 65535),
    "float": ((DEEP / 65535).astype(np.float32), 32, 3, np.float32(1)),
}


def packed(values: np.ndarray, bits: int, order: str) -> bytes:
    if bits == 1:
        return np.packbits(values.astype(bool), axis=1).tobytes()
    if bits == 4:
        return (values[:, ::2] << 4 | values[:, 1::2]).astype(np.uint8).tobytes()
    if bits == 12:
        first, second = values[:, ::2], values[:, 1::2]
        return np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], -1).astype(np.uint8).tobytes()
    kind = "f4" if values.dtype.kind == "f" else f"u{bits // 8}"
    return values.astype(order + kind).tobytes()


def tiff(
    values: np.ndarray, bits: int, sample_format: int, photometric: int, order: str, photometric_as: int = 3
) -> bytes:
    """A TIFF file of one strip (TIFF 6.0, section 2)."""
    data = packed(values, bits, order)
    height, width = values.shape
    short, long = 3, 4
    entries = [
        (256, short, width), (257, short, height), (258, short, bits), (259, short, 1),
        (262, photometric_as, photometric), (273, long, 8), (277, short, 1), (278, short, height),
        (279, long, len(data)), (339, short, sample_format),
    ]  # fmt: skip
    data += b"\0" * (len(data) % 2)
    directory = struct.pack(f"{order}H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack(f"{order}HHI", tag, kind, 1)
        directory += struct.pack(f"{order}{ {1: 'Bxxx', short: 'Hxx', long: 'I'}[kind] }", value)
    mark = b"II" if order == "<" else b"MM"
    return mark + struct.pack(f"{order}HI", 42, 8 + len(data)) + data + directory + bytes(4)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("order", ["<", ">"])
def test_white_is_zero_is_the_radiograph_of_black_is_zero(tmp_path, depth, order):
    values, bits, sample_format, white = DEPTHS[depth]
    if order == ">" and depth in ("12 bits", "32 bits"):
        pytest.skip("Pillow reads no such file of either kind")
    radiographs = []
    for photometric, stored in ((1, values), (0, white - values)):
        path = tmp_path / f"{photometric}.tif"
        path.write_bytes(tiff(stored, bits, sample_format, photometric, order))
        radiographs.append(read_image(path))
    np.testing.assert_allclose(radiographs[0], values / np.float64(white), atol=1e-7)
    np.testing.assert_allclose(radiographs[1], radiographs[0], atol=1e-7)


@pytest.mark.parametrize("written_as", [1, 4], ids=["byte", "long"])
@pytest.mark.parametrize("order", ["<", ">"])
def test_whole_numbers_of_other_types(tmp_path, written_as, order):
    (tmp_path / "radiograph.tif").write_bytes(tiff(65535 - DEEP, 16, 1, 0, order, written_as))
    np.testing.assert_allclose(read_image(tmp_path / "radiograph.tif"), DEEP / 65535, atol=1e-7)


@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_radiograph_is_turned_upright(tmp_path, compression, orientation):
    grey = (DEEP >> 8).astype(np.uint8)
    upright = {
        1: grey, 2: grey[:, ::-1], 3: grey[::-1, ::-1], 4: grey[::-1],
        5: grey.T, 6: np.rot90(grey, -1), 7: grey[::-1, ::-1].T, 8: np.rot90(grey),
    }  # fmt: skip
    Image.fromarray(grey).save(tmp_path / "radiograph.tif", compression=compression, tiffinfo={274: orientation})
    np.testing.assert_array_equal(read_image(tmp_path / "radiograph.tif"), (upright[orientation] / np.float32(255)))


def test_what_pillow_reads_otherwise_is_refused(tmp_path):
    path = tmp_path / "radiograph.tif"
    path.write_bytes(tiff(DEEP >> 8 ^ 128, 8, 2, 1, "<"))
    with pytest.raises(DataError, match="values from -127 to 127"):
        read_image(path)
    path.write_bytes(tiff(DEEP, 16, 1, 32803, "<"))
    with pytest.raises(DataError, match="TIFF image that is damaged or of an unusual kind; export it again, as grey"):
        read_image(path)


@pytest.mark.parametrize("bits", [8, 16])
def test_colours_in_planes(tmp_path, bits):
    """Three equal planes: the grey of 8 bits, and a refusal of 16, whose bytes Pillow mixes up."""
    plane = packed(DEEP >> (16 - bits), bits, "<")
    height, width = DEEP.shape
    start = 8 + 3 * len(plane)  # of the values that are no entries
    lists = struct.pack("<3H3I3I", *[bits] * 3, *[8 + len(plane) * index for index in range(3)], *[len(plane)] * 3)
    entries = [
        (256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, start), (259, 3, 1, 1), (262, 3, 1, 2),
        (273, 4, 3, start + 6), (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 3, start + 18), (284, 3, 1, 2),
    ]  # fmt: skip
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    content = b"II" + struct.pack("<HI", 42, start + len(lists)) + 3 * plane + lists
    (tmp_path / "radiograph.tif").write_bytes(content + struct.pack("<H", len(entries)) + directory + bytes(4))
    if bits == 8:
        np.testing.assert_allclose(read_image(tmp_path / "radiograph.tif"), (DEEP >> 8) / 255, atol=1e-7)
    else:
        with pytest.raises(DataError, match="planes of more than 8 bits, a colour each; save it as grey"):
            read_image(tmp_path / "radiograph.tif")


@pytest.mark.parametrize("compression", ["group4", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
@pytest.mark.parametrize("photometric", [0, 1])
def test_compressed_files(tmp_path, compression, photometric):
    """Pillow writes what it shows: the same picture under either photometric interpretation."""
    grey = (DEEP >> 8).astype(np.uint8)
    picture = Image.fromarray(grey > 99) if compression == "group4" else Image.fromarray(grey)
    picture.save(tmp_path / "radiograph.tif", compression=compression, tiffinfo={262: photometric})
    np.testing.assert_allclose(
        read_image(tmp_path / "radiograph.tif"),
        np.asarray(picture) / (1 if compression == "group4" else 255),
        atol=1e-7,
    )
