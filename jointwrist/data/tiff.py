"""White-is-zero TIFF files, in which 0 is white whatever the depth.

Pillow inverts some depths of them, leaves others as negatives and refuses the rest. They are therefore handed to it as
black-is-zero ones, and inverted here.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

_BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339
_SHORT, _WHITE_IS_ZERO, _BLACK_IS_ZERO, _FLOAT = 3, 0, 1, 3


class Grey(NamedTuple):
    """How a TIFF file stores grey.

    Attributes:
        white_is_zero: Whether 0 is white.
        bits: Bits of a sample.
        is_float: Whether samples are floating point numbers.
        place: Offset of the value of PhotometricInterpretation in the file.
        order: Byte order, as `struct` has it.
    """

    white_is_zero: bool
    bits: int
    is_float: bool
    place: int
    order: str

    def black_is_zero(self, path: Path) -> bytes:
        """Return the content of the file with the other photometric interpretation."""
        content = bytearray(path.read_bytes())
        struct.pack_into(f"{self.order}H", content, self.place, _BLACK_IS_ZERO)
        return bytes(content)

    def inverted(self, stored: np.ndarray) -> np.ndarray:
        """Exchange dark and bright of (H, W) samples as decoded."""
        if stored.dtype == bool:
            return ~stored
        if self.is_float:
            return 1 - stored
        if stored.dtype == np.uint8:
            return 255 - stored
        return min(2**self.bits, 65536) - 1 - stored.astype(np.int64)


def read_grey(path: Path) -> Grey | None:
    """Read how a file stores grey; None of what is no TIFF file, or a damaged one."""
    try:
        with path.open("rb") as file:
            head = file.read(16)
            order = {b"II": "<", b"MM": ">"}[head[:2]]
            large = struct.unpack_from(f"{order}H", head, 2)[0] == 43
            start = struct.unpack_from(f"{order}Q" if large else f"{order}I", head, 8 if large else 4)[0]
            count_as, step, value_at = ("Q", 20, 12) if large else ("H", 12, 8)
            file.seek(start)
            count = struct.unpack(f"{order}{count_as}", file.read(struct.calcsize(count_as)))[0]
            entries = file.read(min(count, 4096) * step)
        found = {}
        for offset in range(0, len(entries) - step + 1, step):
            tag, kind = struct.unpack_from(f"{order}HH", entries, offset)
            if kind == _SHORT:
                found.setdefault(tag, (offset, struct.unpack_from(f"{order}H", entries, offset + value_at)[0]))
        offset, photometric = found[_PHOTOMETRIC]
        return Grey(
            photometric == _WHITE_IS_ZERO,
            found.get(_BITS, (0, 1))[1],
            found.get(_SAMPLE_FORMAT, (0, 1))[1] == _FLOAT,
            start + struct.calcsize(count_as) + offset + value_at,
            order,
        )
    except (KeyError, struct.error, OSError):
        return None
