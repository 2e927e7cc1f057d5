"""A corpus of damaged and hostile files, made by seed: sound files of every kind, and ways to harm them."""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import dicom_files
import numpy as np
import pydicom
from openpyxl import Workbook
from PIL import Image
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

RADIOGRAPH = np.linspace(0, 255, 72 * 64).astype(np.uint8).reshape(72, 64)
MASKS = np.stack([np.roll(RADIOGRAPH > 128, bone, axis=1) for bone in range(14)]).astype(np.uint8)


def picture(kind: str, array: np.ndarray = RADIOGRAPH, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def array(values: np.ndarray, allow_pickle: bool = False) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=allow_pickle)
    return buffer.getvalue()


def dicom(syntax: str = ExplicitVRLittleEndian, **attributes) -> bytes:
    """A computed radiograph of 12 bits, baseline JPEG of 8, the same in every run; None removes an attribute."""
    bits = 8 if syntax == JPEGBaseline8Bit else 12
    header = dict(
        SOPInstanceUID="1.2.3.4", PixelSpacing=[0.15, 0.15], ImageLaterality="L", WindowCenter=2000, WindowWidth=3000,
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    data = dicom_files.make(
        RADIOGRAPH if bits == 8 else RADIOGRAPH.astype(np.uint16) * 16, bits, **(header | attributes)
    )
    if syntax == JPEGBaseline8Bit:
        data.PixelData = pydicom.encaps.encapsulate([picture("JPEG")])
        data.file_meta.TransferSyntaxUID = syntax
    elif syntax.is_compressed:
        data.compress(syntax)
    else:
        data.file_meta.TransferSyntaxUID = syntax
    return dicom_files.content(data)


def workbook(spacing: object = 0.15) -> bytes:
    book, buffer = Workbook(), io.BytesIO()
    book.active.append(["Mapped Image Stem", "PixelSpacing"])
    book.active.append(["0001_0001", spacing])
    book.save(buffer)
    return buffer.getvalue()


def boxes() -> bytes:
    return json.dumps(
        {
            "images": [{"id": 1, "file_name": "0001_0001_L.bmp", "width": 64, "height": 72}],
            "categories": [{"id": 1, "name": "Lunate"}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}],
        }
    ).encode()


def scores() -> bytes:
    return json.dumps([{"identifier": "0001_0001_L", "joints": {"Lunate": 2, "Trapzium": 0}}]).encode()


def truth() -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, eroded=RADIOGRAPH, healthy=RADIOGRAPH.astype(np.uint16))
    return buffer.getvalue()


#: Sound files by the name that tells a reader what they are.
SOUND: dict[str, Callable[[], bytes]] = {
    "grey.bmp": lambda: picture("BMP"),
    "colour.bmp": lambda: picture("BMP", np.stack([RADIOGRAPH] * 3, -1)),
    "grey.png": lambda: picture("PNG"),
    "deep.png": lambda: picture("PNG", RADIOGRAPH.astype(np.uint16) * 257),
    "grey.jpg": lambda: picture("JPEG"),
    "progressive.jpg": lambda: picture("JPEG", progressive=True),
    "plain.tif": lambda: picture("TIFF"),
    "lzw.tif": lambda: picture("TIFF", compression="tiff_lzw"),
    "deflate.tif": lambda: picture("TIFF", RADIOGRAPH.astype(np.uint16) * 257, compression="tiff_adobe_deflate"),
    "float.tif": lambda: picture("TIFF", RADIOGRAPH.astype(np.float32) / 255),
    "radiograph.npy": lambda: array(RADIOGRAPH),
    "masks.npy": lambda: array(MASKS),
    "truth.npz": truth,
    "scores.json": scores,
    "boxes.coco.json": boxes,
    "metadata.xlsx": workbook,
    "explicit.dcm": dicom,
    "implicit.dcm": lambda: dicom(ImplicitVRLittleEndian),
    "rle.dcm": lambda: dicom(RLELossless),
    "jpeg.dcm": lambda: dicom(JPEGBaseline8Bit),
    "jpegls.dcm": lambda: dicom(JPEGLSLossless),
    "jpeg2000.dcm": lambda: dicom(JPEG2000Lossless),
}


def harm(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut, flip, overwrite, insert, remove or repeat; headers more often than bodies."""
    data = bytearray(content)
    end = len(data) if rng.random() < 0.5 else min(len(data), 400)
    place = int(rng.integers(end))
    length = int(rng.integers(1, 9))
    match int(rng.integers(6)):
        case 0:
            return bytes(data[:place])
        case 1:
            for position in rng.integers(end, size=length):
                data[position] ^= 1 << int(rng.integers(8))
        case 2:
            data[place : place + length] = bytes([int(rng.choice([0, 1, 127, 128, 255]))]) * length
        case 3:
            data[place:place] = rng.bytes(length)
        case 4:
            del data[place : place + length * 4]
        case 5:
            data[place:place] = data[place : place + length * 8] * 3
    return bytes(data)


def damaged(name: str, content: bytes, count: int) -> Iterator[bytes]:
    """Damaged versions of a sound file, the same in every run."""
    rng = np.random.default_rng([*name.encode(), 7])
    for _ in range(count):
        harmed = harm(content, rng)
        yield harm(harmed, rng) if harmed and rng.random() < 0.3 else harmed


def png(width: int, height: int, body: bytes, depth: int = 8, colour: int = 0) -> bytes:
    """A PNG of some compressed rows, whatever its header claims."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its few bytes of zeros could fill."""
    return png(width, height, zlib.compress(bytes(2**22), 9))


def bmp_of_size(width: int, height: int) -> bytes:
    content = bytearray(picture("BMP"))
    content[18:26] = struct.pack("<ii", width, height)
    return bytes(content)


def jpeg_of_size(width: int, height: int) -> bytes:
    content = picture("JPEG")
    place = content.index(b"\xff\xc0") + 5
    return content[:place] + struct.pack(">HH", height, width) + content[place + 4 :]


def npy_of_shape(shape: tuple[int, ...], kind: str = "|u1") -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + b"\0" * 64


def j2k_of_size(width: int, height: int) -> bytes:
    """A DICOM file whose codestream claims another size than its header."""
    content = dicom(JPEG2000Lossless)
    place = content.index(b"\xff\x4f\xff\x51") + 8
    return content[:place] + struct.pack(">II", width, height) + content[place + 8 :]


def jpegls_cut_short() -> bytes:
    """A DICOM file whose JPEG-LS codestream has no end of image marker."""
    content = dicom(JPEGLSLossless)
    return content.replace(b"\xff\xd9", b"\0\0")


def zip_bomb(member: str, size: int = 2**31) -> bytes:
    """A small zip whose one member inflates to `size` bytes of zeros; the same deflated zeros again and again."""
    zeros, name, crc = bytes(2**24), member.encode(), 0
    deflate = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    part = deflate.compress(zeros) + deflate.flush(zlib.Z_FULL_FLUSH)
    content = part * (size // len(zeros)) + deflate.flush()
    for _ in range(size // len(zeros)):
        crc = zlib.crc32(zeros, crc)
    fields = struct.pack("<5H3I2H", 20, 0, zipfile.ZIP_DEFLATED, 0, 33, crc, len(content), size, len(name), 0)
    file = b"PK\3\4" + fields + name + content
    directory = b"PK\1\2" + struct.pack("<H", 20) + fields + bytes(14) + name
    return file + directory + b"PK\5\6" + struct.pack("<4H2IH", 0, 0, 1, 1, len(directory), len(file), 0)


class Trap:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)
