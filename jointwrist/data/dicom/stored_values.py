"""Stored values of a DICOM image: the bits that the header declares, extracted from the decoded words.

A word of BitsAllocated bits holds a value of BitsStored bits up to HighBit (PS3.5, 8.1). The other bits may hold
overlays, copies of the sign, or anything else; decoders leave them unchanged.
"""

from __future__ import annotations

import numpy as np
from pydicom import Dataset
from pydicom.encaps import generate_fragments, get_frame, parse_basic_offsets
from pydicom.pixels import get_decoder
from pydicom.uid import RLELossless

from jointwrist.data.dicom.codestream import coded_image, rle_length

#: Leading bytes that identify the start of a frame: the RLE header, or the first markers of a codestream.
_BEGINNING = 4
_MORE = "more pixels than its rows and columns, or than one frame; give a single radiograph, or export it again"


class PixelError(ValueError):
    """Pixels cannot be read without guessing; the message repeats no text of the header."""


def stored_values(dataset: Dataset) -> tuple[np.ndarray, np.ndarray | None]:
    """Decode the one frame of an image.

    Args:
        dataset: Image with its transfer syntax in `file_meta`.

    Returns:
        (H, W) int32 stored values (int64 where more than 31 bits are stored), and (H, W) bool, the padding pixels
        (PixelPaddingValue to PixelPaddingRangeLimit, C.7.5.1.1.2); None where no pixel or every pixel is padding.

    Raises:
        PixelError: BitsAllocated, BitsStored and HighBit contradict each other or the pixels.
    """
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    stated = dataset.get("HighBit")
    high = bits - 1 if stated is None else int(stated)  # the only value that DICOM allows today
    if allocated not in (8, 16, 32):
        raise PixelError(f"BitsAllocated {allocated}; only 8, 16 and 32 are supported, export it again")
    if not (1 <= bits <= allocated and bits - 1 <= high < allocated):
        raise PixelError(f"BitsAllocated {allocated}, BitsStored {bits} and HighBit {high} contradict each other")
    words, precision = _words(dataset)
    # a codestream of no more bits than are stored holds the value alone
    width = min(bits, precision or bits)
    shift = high + 1 - bits if precision is None else min(high + 1 - bits, max(precision - bits, 0))
    if shift and words.max() < 2**bits and (words & (2**shift - 1)).any():
        raise PixelError(f"HighBit {high} says that {bits} bits are left-aligned, the pixels are not; export it again")
    signed = int(dataset.PixelRepresentation) == 1
    stored = _cut(words, shift, width, signed)
    return stored, _padding(words, stored, dataset, signed)


def _cut(words: np.ndarray, shift: int, width: int, signed: bool) -> np.ndarray:
    """Return `width` bits from bit `shift` on, the highest of them as the sign where values are signed."""
    values = ((words >> shift) & (2**width - 1)).astype(np.int32 if width < 32 else np.int64)
    if signed:
        sign = 1 << (width - 1)
        values ^= sign
        values -= sign
    return values


def _words(dataset: Dataset) -> tuple[np.ndarray, int | None]:
    """Return (H, W) unsigned words as stored or decoded, and the bits of a sample as a codestream states them."""
    shape, syntax = (int(dataset.Rows), int(dataset.Columns)), dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        size = int(dataset.BitsAllocated) // 8
        data = native_bytes(dataset, size)
        if size == 1 and not syntax.is_little_endian and dataset["PixelData"].VR == "OW":
            data = np.frombuffer(dataset.PixelData[: len(data) + len(data) % 2], ">u2").astype("<u2").tobytes()
        order = "<" if syntax.is_little_endian else ">"
        words = np.frombuffer(data[: shape[0] * shape[1] * size], f"{order}u{size}").astype(f"u{size}", copy=False)
        return words.reshape(shape), None
    frame = only_frame(dataset.PixelData)
    refuse_more_rows(frame, dataset)
    coded = None if syntax == RLELossless else coded_image(frame)
    decoder = get_decoder(syntax)
    # Pillow scales some codestreams; OpenJPEG's library returns them unscaled
    plugin = "pylibjpeg" if "pylibjpeg" in decoder.available_plugins else ""
    # samples of up to 8 bits come in bytes, whatever the header allocates
    small = {"bits_allocated": 8, "bits_stored": 8} if coded and coded.precision <= 8 else {}
    buffer, found = decoder.as_buffer(dataset, index=0, decoding_plugin=plugin, **small)
    return np.frombuffer(buffer, f"<u{found['bits_allocated'] // 8}").reshape(shape), coded and coded.precision


def native_bytes(dataset: Dataset, size: int) -> bytes:
    """Return the bytes of an uncompressed image of `size` bytes a pixel, without what follows them.

    Raises:
        PixelError: There are fewer bytes, or further pixels.
    """
    data, length = dataset.PixelData, int(dataset.Rows) * int(dataset.Columns) * size
    if len(data) < length:
        raise PixelError("fewer pixels than its rows and columns; the file is cut short, copy or export it again")
    rest = data[length:]
    if len(rest) >= int(dataset.Columns) * size and rest.count(rest[:1]) != len(rest):
        raise PixelError(_MORE)
    return data[:length]


def refuse_more_rows(frame: bytes, dataset: Dataset) -> None:
    """Refuse an RLE frame of more rows than the header states, which decoders crop; others state their own size.

    Raises:
        PixelError: There are further rows.
    """
    if dataset.file_meta.TransferSyntaxUID == RLELossless:
        if rle_length(frame) >= (int(dataset.Rows) + 1) * int(dataset.Columns):
            raise PixelError(_MORE)


def only_frame(data: bytes) -> bytes:
    """Return the single frame of encapsulated pixels, in one or several fragments.

    Raises:
        PixelError: There are more frames: the offset table lists them, or a second fragment begins like the first.
    """
    offsets = parse_basic_offsets(data)
    first, *others = generate_fragments(data[8 + 4 * len(offsets) :])
    if len(offsets) > 1 or any(fragment.startswith(first[:_BEGINNING]) for fragment in others):
        raise PixelError(_MORE)
    return get_frame(data, 0, number_of_frames=1)


def _padding(words: np.ndarray, stored: np.ndarray, dataset: Dataset, signed: bool) -> np.ndarray | None:
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    ends = [int(first), int(first if last is None else last)]
    allocated, bits = int(dataset.BitsAllocated), int(dataset.BitsStored)
    if signed:  # written as unsigned by some
        ends = [end - 2**allocated if end >= 2 ** (allocated - 1) else end for end in ends]
    low, high = sorted(ends)
    bottom = -(2 ** (bits - 1)) if signed else 0
    # a value of more bits than are stored is that of the whole word
    values = stored if bottom <= low and high < bottom + 2**bits else _cut(words, 0, 8 * words.itemsize, signed)
    padding = (values >= low) & (values <= high)
    return padding if padding.any() and not padding.all() else None
