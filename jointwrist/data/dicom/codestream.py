"""Size and bit depth in the header of a compressed image, read before a decoder reserves memory for it."""

from __future__ import annotations

import struct
from typing import NamedTuple

#: Start of frame markers of JPEG (all processes) and JPEG-LS.
_FRAME_STARTS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_J2K_START = b"\xff\x4f\xff\x51"


class CodedImage(NamedTuple):
    """Size of a compressed image, and the bits of its samples."""

    rows: int
    columns: int
    components: int
    precision: int


def coded_image(data: bytes) -> CodedImage | None:
    """Read the header of a JPEG, JPEG-LS or JPEG 2000 codestream; None if it cannot be read."""
    try:
        start = data.find(_J2K_START, 0, 4096)
        if start >= 0:
            # Lsiz, Rsiz, Xsiz, Ysiz, XOsiz, YOsiz, four tile fields, Csiz, Ssiz (ISO/IEC 15444-1, A.5.1)
            _, _, x1, y1, x0, y0, *_, components, depth = struct.unpack_from(">HH8IHB", data, start + 4)
            return CodedImage(y1 - y0, x1 - x0, components, (depth & 0x7F) + 1)
        position = 2
        while data[position] == 0xFF:
            marker = data[position + 1]
            if marker in _FRAME_STARTS:
                _, precision, rows, columns, components = struct.unpack_from(">HBHHB", data, position + 2)
                return CodedImage(rows, columns, components, precision)
            if marker in _ALONE or marker == 0xFF:
                position += 1 if marker == 0xFF else 2
            else:
                position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    except (struct.error, IndexError):
        return None
    return None


def rle_length(frame: bytes) -> int:
    """Return the decoded length in bytes of the first segment of an RLE frame (PS3.5, G.3): its number of pixels."""
    segments, start, second = struct.unpack_from("<3I", frame)
    segment = frame[start : second if segments > 1 else len(frame)]
    position = length = 0
    while position < len(segment) - 1:
        header = segment[position]
        if header < 128:
            length += min(header + 1, len(segment) - position - 1)
            position += header + 2
        else:
            length += 257 - header if header > 128 else 0
            position += 2 if header > 128 else 1
    return length
