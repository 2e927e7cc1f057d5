"""How a TIFF file stores grey values, for the cases that Pillow reads wrongly.

Of white-is-zero files Pillow inverts some bit depths, leaves others as negatives and refuses the rest; such files are
passed to it as black-is-zero and inverted here. Pillow also reports 12-bit values as 16-bit ones, reads signed bytes as
unsigned, and scrambles planes of more than 8 bits.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import numpy as np

_BITS, _PHOTOMETRIC, _SAMPLES, _PLANES, _SAMPLE_FORMAT = 258, 262, 277, 284, 339
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _SEPARATE, _SIGNED, _FLOAT = 0, 1, 2, 2, 3
#: Types of whole numbers; writers use any of them where the standard has SHORT.
_BYTE, _SHORT, _LONG = 1, 3, 4
_LETTERS = {_BYTE: "B", _SHORT: "H", _LONG: "I"}


class Grey(NamedTuple):
    """How a TIFF file stores grey.

    Attributes:
        white_is_zero: Whether 0 is white.
        bits: Bits of a sample.
        is_float: Whether samples are floating point numbers.
        is_signed: Whether samples are signed whole numbers.
        deep_planes: Whether each channel is a plane of its own, of more than 8 bits.
        entry: Offset of the entry of PhotometricInterpretation in the file, and that of its value within it.
        order: Byte order, as `struct` has it.
    """

    white_is_zero: bool
    bits: int
    is_float: bool
    is_signed: bool
    deep_planes: bool
    entry: tuple[int, int]
    order: str

    @property
    def largest(self) -> int | None:
        """Return the largest value where the type of the decoded samples does not imply it."""
        return 2**self.bits - 1 if 8 < self.bits < 16 else None

    def content(self, path: Path) -> bytes:
        """Return the content of the file, as black-is-zero if it is white-is-zero."""
        content = bytearray(path.read_bytes())
        if self.white_is_zero:
            start, value_at = self.entry
            struct.pack_into(f"{self.order}H", content, start + 2, _SHORT)
            struct.pack_into(f"{self.order}H", content, start + value_at, _BLACK_IS_ZERO)
        return bytes(content)

    def inverted(self, stored: np.ndarray) -> np.ndarray:
        """Exchange dark and bright of (H, W) samples as decoded."""
        if stored.dtype == bool:
            return ~stored
        if self.is_float:
            return 1 - stored
        if stored.dtype == np.uint8:
            return 255 - stored
        return (self.largest or full_scale(stored)) - stored.astype(np.int64)


def full_scale(stored: np.ndarray) -> int:
    """Return the largest number of the fewest of 8, 10, 12, 14 or 16 bits that hold (H, W) whole numbers."""
    top = 255 if stored.dtype.itemsize == 1 else int(stored.max())
    return next((2**bits - 1 for bits in (8, 10, 12, 14) if top < 2**bits), 65535)


def read_grey(path: Path) -> Grey | None:
    """Read how a TIFF file stores grey; None for any other file, and for a damaged one."""
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
                if kind in _LETTERS:
                    value = struct.unpack_from(f"{order}{_LETTERS[kind]}", entries, offset + value_at)[0]
                    found.setdefault(tag, (offset, value))
            samples, bits = found.get(_SAMPLES, (0, 1))[1], found.get(_BITS, (0, 1))[1]
            if 2 * samples > step - value_at:  # the entry holds the place of its values
                file.seek(bits)
                bits = struct.unpack(f"{order}H", file.read(2))[0]
        offset, photometric = found[_PHOTOMETRIC]
        sample_format = found.get(_SAMPLE_FORMAT, (0, 1))[1]
        return Grey(
            photometric == _WHITE_IS_ZERO,
            bits,
            sample_format == _FLOAT,
            sample_format == _SIGNED,
            samples > 1 and bits > 8 and found.get(_PLANES, (0, 1))[1] == _SEPARATE,
            (start + struct.calcsize(count_as) + offset, value_at),
            order,
        )
    except (KeyError, struct.error, OSError):
        return None
