"""Size of a compressed image as its own header states it, read before a decoder reserves memory for it."""

from __future__ import annotations

import struct

#: Start of frame markers of JPEG (all processes) and JPEG-LS.
_FRAME_STARTS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_ALONE = frozenset({0x01, *range(0xD0, 0xD9)})
_J2K_START = b"\xff\x4f\xff\x51"


def coded_size(data: bytes) -> tuple[int, int, int] | None:
    """Return (rows, columns, components) of a JPEG, JPEG-LS or JPEG 2000 codestream, or None if it states none."""
    try:
        start = data.find(_J2K_START, 0, 4096)
        if start >= 0:
            # Lsiz, Rsiz, Xsiz, Ysiz, XOsiz, YOsiz, four tile fields, Csiz (ISO/IEC 15444-1, A.5.1)
            _, _, x1, y1, x0, y0, *_, components = struct.unpack_from(">HH8IH", data, start + 4)
            return y1 - y0, x1 - x0, components
        position = 2
        while data[position] == 0xFF:
            marker = data[position + 1]
            if marker in _FRAME_STARTS:
                _, _, rows, columns, components = struct.unpack_from(">HBHHB", data, position + 2)
                return rows, columns, components
            if marker in _ALONE or marker == 0xFF:
                position += 1 if marker == 0xFF else 2
            else:
                position += 2 + struct.unpack_from(">H", data, position + 2)[0]
    except (struct.error, IndexError):
        return None
    return None
