"""Every bad file that the tests try: damage by seed to sound files of each kind, and what somebody hostile would make.

A file's kind says what it would be read as: a radiograph, masks, a phantom's truth, scores, boxes, metadata or weights.
"""

from __future__ import annotations

import functools
import io
import json
import os
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import bad_files
import numpy as np
import torch
from bad_files import MASKS, RADIOGRAPH, SOUND, array, dicom, picture
from PIL import Image
from pydicom.uid import CTImageStorage, ImplicitVRLittleEndian
from safetensors.torch import save

from jointwrist.registry import create_model

#: Damaged versions of each sound file.
VERSIONS = 10
#: Largest side of a radiograph that is read.
SIDE = 8192
MODEL = "mobilenet"


class BadFile(NamedTuple):
    """A file on disk, and what it would be read as."""

    path: Path
    kind: str


@functools.cache
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return create_model(MODEL).state_dict()


def weights(text: str | None = None) -> bytes:
    """A weight file, sound unless it is to say something else of itself."""
    return save(state(), {"jointwrist": text or json.dumps({"model": MODEL, "options": {}})})


def checkpoint(**more) -> bytes:
    buffer = io.BytesIO()
    torch.save({"model": state(), **more}, buffer)
    return buffer.getvalue()


def kind_of(name: str) -> str:
    """What a sound file, or a damaged version of it, is read as."""
    stems = {"masks": "masks", "truth": "truth", "scores": "scores", "boxes": "boxes", "metadata": "metadata"}
    if name.endswith((".pth", ".safetensors")):
        return "weights"
    return next((kind for stem, kind in stems.items() if name.startswith(stem)), "radiograph")


def deep_colour_png() -> bytes:
    """Three channels of 16 bits, which Pillow cannot write."""
    rows = np.stack([RADIOGRAPH.astype(">u2") * 257] * 3, -1)
    lines = b"".join(b"\0" + row.tobytes() for row in rows)
    return bad_files.png(*RADIOGRAPH.shape[::-1], zlib.compress(lines), depth=16, colour=2)


def deep_colour_tiff() -> bytes:
    """An uncompressed TIFF of three channels of 16 bits."""
    height, width = RADIOGRAPH.shape
    pixels = np.stack([RADIOGRAPH.astype("<u2") * 257] * 3, -1).tobytes()
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140),
            (277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(pixels)), (284, 3, 1, 1)]  # fmt: skip
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + struct.pack("<I", 0)
    return head + struct.pack("<3H", 16, 16, 16) + pixels


def workbook_with(**parts: bytes) -> bytes:
    """A sound workbook with some of its parts, by the end of their names, replaced."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(bad_files.workbook())) as old, zipfile.ZipFile(buffer, "w", 8) as new:
        for name in old.namelist():
            stem = Path(name).stem
            new.writestr(name, parts.get(stem, old.read(name)))
    return buffer.getvalue()


def sheet(rows: str, head: str = "") -> bytes:
    space = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    return f'<?xml version="1.0"?>{head}<worksheet xmlns="{space}"><sheetData>{rows}</sheetData></worksheet>'.encode()


def entity_bomb() -> bytes:
    """Entities of entities: 10**9 times one word, if anybody writes them out."""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10))
    head = f'<!DOCTYPE worksheet [<!ENTITY e0 "word">{entities}]>'
    return workbook_with(sheet1=sheet('<row r="1"><c r="A1" t="inlineStr"><is><t>&e9;</t></is></c></row>', head))


def entity_of_file() -> bytes:
    head = '<!DOCTYPE worksheet [<!ENTITY file SYSTEM "file:///etc/hostname">]>'
    return workbook_with(sheet1=sheet('<row r="1"><c r="A1" t="inlineStr"><is><t>&file;</t></is></c></row>', head))


def sparse() -> bytes:
    """Two cells, as far apart as a sheet allows: a table of 17 thousand million cells."""
    return workbook_with(
        sheet1=sheet('<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"/></row>')
    )


def zip_that_lies() -> bytes:
    """A member that says it is small and inflates to 128 megabytes."""
    content = bytearray(bad_files.zip_bomb("eroded.npy", 2**27))
    for mark, offset in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        place = content.index(mark) + offset
        content[place : place + 4] = struct.pack("<I", 100)
    return bytes(content)


def member_outside() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../../eroded.npy", "/eroded.npy", "eroded.npy"):
            archive.writestr(name, array(RADIOGRAPH))
    return buffer.getvalue()


def nested(depth: int) -> bytes:
    """A radiograph that ends in a sequence in a sequence, and so on, none of which says how long it is."""
    unknown = b"\xff\xff\xff\xff"
    begin = struct.pack("<HH2sH", 0x0008, 0x1110, b"SQ", 0) + unknown + struct.pack("<HH", 0xFFFE, 0xE000) + unknown
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    return dicom() + begin * depth + end * depth


def other_vr(tag: bytes, vr: bytes) -> bytes:
    """A radiograph in explicit VR, one of whose elements claims another."""
    content = dicom()
    place = content.index(tag) + 4
    return content[:place] + vr + content[place + 2 :]


def header_of_npy(header: str) -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64


def radiograph_of(dtype: str, value: float = 0.0) -> bytes:
    return array(np.full((72, 64), value).astype(dtype))


def masks_of(change: Callable[[np.ndarray], np.ndarray]) -> bytes:
    return array(change(MASKS.copy()))


def rows(*entries: object) -> bytes:
    return json.dumps(entries).encode()


TRAPS = ("trap.npy", "masks-trap.npy", "truth-trap.npz", "trap.pth", "trap.safetensors", "beside.pth")


def trapped(name: str, target: Path) -> bytes:
    """A file that leaves another one behind where it is unpickled."""
    buffer = io.BytesIO()
    values = np.empty(1, object)
    values[0] = bad_files.Trap(target)
    if name.endswith(".npy"):
        np.save(buffer, values, allow_pickle=True)
    elif name.endswith(".npz"):
        np.savez(buffer, eroded=values, allow_pickle=True)
    elif name == "beside.pth":
        torch.save({"model": state(), "args": bad_files.Trap(target)}, buffer)
    else:
        torch.save(bad_files.Trap(target), buffer)
    return buffer.getvalue()


TAGS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel",
        "PhotometricInterpretation", "PixelData", "SOPClassUID", "Modality")  # fmt: skip
#: By name; the kind follows from it.
HOSTILE: dict[str, Callable[[], bytes]] = {
    **{f"empty{ending}": bytes for ending in (".png", ".bmp", ".jpg", ".tif", ".npy", ".dcm", ".pth", ".safetensors")},
    **{name: bytes for name in ("masks-empty.npy", "truth-empty.npz", "scores-empty.json", "metadata-empty.xlsx")},
    "huge.png": lambda: bad_files.png_of_size(60000, 60000),
    "strip.png": lambda: bad_files.png_of_size(2**26, 1),
    "largest.png": lambda: picture("PNG", np.zeros((SIDE, SIDE), np.uint8)),
    "huge.bmp": lambda: bad_files.bmp_of_size(60000, 60000),
    "huge.jpg": lambda: bad_files.jpeg_of_size(65000, 65000),
    "flat.png": lambda: bad_files.png_of_size(0, 10),
    "huge.npy": lambda: bad_files.npy_of_shape((10**6, 10**6)),
    "other-size.dcm": lambda: bad_files.j2k_of_size(40000, 40000),
    "cut.dcm": bad_files.jpegls_cut_short,
    "deep-colour.png": deep_colour_png,
    "deep-colour.tif": deep_colour_tiff,
    "program.png": lambda: b"#!/bin/sh\ntouch ran\n",
    "postscript.png": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ran) (w) file closefile\n",
    "postscript.tif": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(ran) (w) file closefile\n",
    "script.png": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "pages.tif": lambda: picture("TIFF", save_all=True, append_images=[Image.fromarray(RADIOGRAPH)] * 3),
    "nan.npy": lambda: radiograph_of("f4", np.nan),
    "inf.npy": lambda: radiograph_of("f8", np.inf),
    "negative.npy": lambda: radiograph_of("i2", -5),
    "complex.npy": lambda: radiograph_of("c8"),
    "dates.npy": lambda: radiograph_of("M8[s]"),
    "words.npy": lambda: radiograph_of("U9"),
    "records.npy": lambda: array(np.zeros((72, 64), [("a", "u1"), ("b", "f4")])),
    "nothing.npy": lambda: array(np.zeros((0, 64), np.uint8)),
    "expression.npy": lambda: header_of_npy("__import__('os').mkdir('ran')"),
    "nested.npy": lambda: header_of_npy("(" * 60000),
    "multi-frame.dcm": lambda: dicom(NumberOfFrames=2, PixelData=bytes(2 * 2 * RADIOGRAPH.size)),
    "many-frames.dcm": lambda: dicom(NumberOfFrames=2**31 - 1),
    "ct.dcm": lambda: dicom(SOPClassUID=CTImageStorage, Modality="CT"),
    "ct-as-cr.dcm": lambda: dicom(Modality="CT"),
    "colour.dcm": lambda: dicom(SamplesPerPixel=3, PhotometricInterpretation="RGB", PlanarConfiguration=0),
    "huge.dcm": lambda: dicom(Rows=65535, Columns=65535),
    "none.dcm": lambda: dicom(Rows=0),
    "slope.dcm": lambda: dicom(RescaleSlope="1e308", RescaleIntercept="-1e308"),
    "window.dcm": lambda: dicom(WindowWidth=0),
    "nested.dcm": lambda: nested(100),
    "deeply-nested.dcm": lambda: nested(100_000),
    **{f"no-{tag}.dcm": functools.partial(dicom, **{tag: None}) for tag in TAGS},
    **{f"no-{tag}-implicit.dcm": functools.partial(dicom, ImplicitVRLittleEndian, **{tag: None}) for tag in TAGS[:3]},
    "rows-as-text.dcm": lambda: other_vr(b"\x28\x00\x10\x00", b"LO"),
    "rows-as-number.dcm": lambda: other_vr(b"\x28\x00\x10\x00", b"FL"),
    "spacing-as-bytes.dcm": lambda: other_vr(b"\x28\x00\x30\x00", b"UN"),
    "window-as-date.dcm": lambda: other_vr(b"\x28\x00\x50\x10", b"DA"),
    "pixels-as-text.dcm": lambda: other_vr(b"\xe0\x7f\x10\x00", b"UT"),
    "pixels-as-sequence.dcm": lambda: other_vr(b"\xe0\x7f\x10\x00", b"SQ"),
    "masks-none.npy": lambda: masks_of(lambda masks: masks[:0]),
    "masks-thirteen.npy": lambda: masks_of(lambda masks: masks[:13]),
    "masks-of-two.npy": lambda: masks_of(lambda masks: 2 * masks),
    "masks-nan.npy": lambda: masks_of(lambda masks: np.where(masks, np.nan, 0.0)),
    "masks-as-words.npy": lambda: masks_of(lambda masks: masks.astype("U1")),
    "masks-other-size.npy": lambda: masks_of(lambda masks: masks[:, :, 1:]),
    "masks-huge.npy": lambda: bad_files.npy_of_shape((14, 10**6, 10**6)),
    "masks-overflow.npy": lambda: bad_files.npy_of_shape((2**62, 4)),
    "truth-bomb.npz": lambda: bad_files.zip_bomb("eroded.npy", 2**30),
    "truth-lies.npz": zip_that_lies,
    "truth-outside.npz": member_outside,
    "scores-nested.json": lambda: b"[" * 10**6,
    "scores-digits.json": lambda: b"[" + b"9" * 10**6 + b"]",
    "scores-twice.json": lambda: rows(*[{"identifier": "0001_0001_L", "joints": {"Lunate": 1}}] * 2),
    "scores-words.json": lambda: rows({"identifier": "0001_0001_L", "joints": {"Lunate": "1; drop"}}),
    "scores-no-number.json": lambda: b'[{"identifier": "0001_0001_L", "joints": {"Lunate": NaN}}]',
    "scores-outside.json": lambda: rows({"identifier": "../../0001_0001_L", "joints": {"Lunate": 1}}),
    "scores-bytes.json": lambda: b'[{"identifier": "\xff\xfe", "joints": {}}]',
    "boxes-none.coco.json": lambda: b'{"images": [], "categories": [{}], "annotations": []}',
    "boxes-infinite.coco.json": lambda: bad_files.boxes().replace(b"[1, 2, 3, 4]", b"[1, 2, 1e999, -4]"),
    "boxes-of-nobody.coco.json": lambda: bad_files.boxes().replace(b'"image_id": 1', b'"image_id": {}'),
    "metadata-bomb.xlsx": lambda: bad_files.zip_bomb("xl/workbook.xml", 2**30),
    "metadata-entities.xlsx": entity_bomb,
    "metadata-file.xlsx": entity_of_file,
    "metadata-sparse.xlsx": sparse,
    "metadata-formula.xlsx": lambda: bad_files.workbook("=cmd|'/C touch ran'!A1"),
    "metadata-endless.xlsx": lambda: bad_files.workbook("9" * 30000),
    "description.safetensors": lambda: weights("{"),
    "of-nothing.safetensors": lambda: weights("{}"),
    "option.safetensors": lambda: weights(json.dumps({"model": MODEL, "options": {"foreign": 1}})),
    "giant.safetensors": lambda: weights(json.dumps({"model": "jointwrist_tiny", "options": {"roi_dim": 4096}})),
    "other.safetensors": lambda: weights(json.dumps({"model": "ukan"})),
    "header.safetensors": lambda: struct.pack("<Q", 2**60) + b"{}",
    "bomb.pth": lambda: bad_files.zip_bomb("archive/data.pkl", 2**28),
    "lists.pth": lambda: checkpoint(model=[1, 2]),
    "epochs.pth": lambda: checkpoint(epoch=10**30),
}  # fmt: skip
#: Names that a shell, a terminal, a page, a path or a table could take for something else.
NAMES = (
    "-o.png", "--help.png", "a b.png", "a\nb.png", "a\tb.png", "\x1b[31mred.png", "\x1b]0;title\x07.png",
    "$(touch ran).png", "`touch ran`.png", "; touch ran;.png", "a|b.png", "*.png", "%s%n.png", "{0}.png", "~.png",
    "...png", "..%2f..%2fran.png", "..\\..\\ran.png", "con.png", "\u202egnp.png", "\u0430.png", "e\u0301.png",
    "<img src=x onerror=alert(1)>.png", '"quoted\'.png', "=1+1.png", "@SUM(1).png", "x" * 240 + ".png",
    "0001_0001_L.png", "\udcff\udcfe.png",
)  # fmt: skip


def write(folder: Path, trap: Path) -> None:
    """Write the whole corpus, a folder of its own for hostile names and one for links.

    Args:
        folder: Where to.
        trap: File that appears if anything in the corpus is run.
    """
    sound = {**SOUND, "sound.safetensors": weights, "sound.pth": checkpoint}
    for name, make in sound.items():
        stem, _, ending = name.partition(".")
        for number, content in enumerate(bad_files.damaged(name, make(), VERSIONS)):
            (folder / f"{stem}-{number}.{ending}").write_bytes(content)
    for name, make in HOSTILE.items():
        (folder / name).write_bytes(make())
    for name in TRAPS:
        (folder / name).write_bytes(trapped(name, trap))
    (folder / "names").mkdir()
    for name in NAMES:
        (folder / "names" / name).write_bytes(SOUND["grey.png"]())
    _write_links(folder / "links")


def _write_links(folder: Path) -> None:
    """Links to nothing, to themselves, to a device and to a folder, and a pipe that nobody writes to."""
    folder.mkdir()
    targets = {"nothing.png": "none.png", "itself.png": "itself.png", "zeros.png": "/dev/zero", "folder.png": "."}
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe.png")


def found(folder: Path) -> list[BadFile]:
    """List what `write` wrote."""
    contents = [path for path in sorted(folder.iterdir()) if path.is_file()]
    others = [path for name in ("names", "links") for path in sorted((folder / name).iterdir())]
    return [
        *(BadFile(path, kind_of(path.name)) for path in contents),
        *(BadFile(path, "radiograph") for path in others),
    ]
