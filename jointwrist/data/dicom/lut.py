"""Look-up tables of DICOM images (PS3.3, C.11.1 and C.11.2).

Not left to pydicom, whose look-up wraps around in tables of more than 256 8-bit entries, and takes the sign of the
first mapped value from its VR alone, which implicit files do not state.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from pydicom import Dataset

from jointwrist.data.dicom.stored_values import PixelError


class LookUpTable(NamedTuple):
    """A table of a Modality or VOI LUT Sequence.

    Attributes:
        entries: (N,) int64.
        first: Value that maps to the first entry.
        bits: Bits per entry.
        note: Remark on a doubtful table, or an empty string.
    """

    entries: np.ndarray
    first: int
    bits: int
    note: str

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """Return the (H, W) int32 entries of (H, W) values; values outside take the first or last entry."""
        within = np.clip(values, self.first, self.first + len(self.entries) - 1)
        index = (np.rint(within) if within.dtype.kind == "f" else within).astype(np.int32) - self.first
        return self.entries.astype(np.int32)[index]

    def shades(self, values: np.ndarray) -> np.ndarray:
        """Return the (H, W) float32 entries of (H, W) values, as shares of the largest that the bits can hold."""
        return (self(values) / np.float32(2**self.bits - 1)).astype(np.float32)


def read_lut(item: Dataset, little_endian: bool, low: float, high: float) -> LookUpTable:
    """Read an item of a LUT sequence.

    Args:
        item: Item of the sequence.
        little_endian: Byte order of the file.
        low: Lowest value that the pixels can have before the look-up.
        high: Highest one.

    Raises:
        PixelError: The table is missing, or shorter than its descriptor says.
    """
    descriptor = _words(item, "LUTDescriptor", little_endian)
    if len(descriptor) != 3:
        raise PixelError(f"a look-up table's descriptor of {len(descriptor)} values, not 3; export it again")
    count, first, bits = descriptor.tolist()
    count = count or 65536
    entries = _words(item, "LUTData", little_endian)
    if bits <= 8 and len(entries) == (count + 1) // 2 < count:
        entries = np.stack([entries & 255, entries >> 8], -1).ravel()  # two in a word, the first in its low byte
    if len(entries) < count:
        raise PixelError(f"look-up table of {len(entries)} entries, its descriptor says {count}; export it again")
    entries, note = entries[:count], ""
    needed = max(int(entries.max()).bit_length(), 1)
    if bits != needed:
        note = f"A look-up table has entries of {needed} bits, its descriptor says {bits}; {needed} are used."
    return LookUpTable(entries, _first_value(first, count, low, high), needed, note)


def _first_value(stated: int, count: int, low: float, high: float) -> int:
    """Read the first mapped value as unsigned or signed, whichever fits the range of the pixels."""
    readings = (stated, stated - 65536) if stated >= 32768 else (stated,)
    # where both fit alike, the negative one if pixels can be negative
    return max(readings, key=lambda first: (min(high, first + count - 1) - max(low, first), (first < 0) == (low < 0)))


def _words(item: Dataset, name: str, little_endian: bool) -> np.ndarray:
    """Return the value of an element of any VR as unsigned 16-bit words; int64."""
    value = item.get(name)
    if value is None:
        return np.zeros(0, np.int64)
    if isinstance(value, bytes):
        order = "<" if little_endian or item[name].VR == "UN" else ">"
        return np.frombuffer(value + b"\0" * (len(value) % 2), f"{order}u2").astype(np.int64)
    return np.atleast_1d(np.asarray(value, np.int64)) % 65536
