"""PNG files whose pixel values are numbers, such as labels, rather than grey values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from jointwrist.data.images import MAX_SIDE
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Bits per pixel by Pillow's mode, for one channel; with a palette, the indices count.
_DEPTHS = {"1": 1, "L": 8, "P": 8, "I;16": 16, "I": 16, "I;16B": 16}


def depth(path: Path) -> int | None:
    """Return the bits per pixel (1, 8 or 16) of a PNG with one channel, else None; reads only the header."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            return _DEPTHS.get(image.mode)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None


def read_png(path: Path) -> np.ndarray:
    """Read the (H, W) values of a PNG with one channel: uint8 for 8 bits or a palette, uint16 for 16 bits.

    Raises:
        DataError: The file is damaged, has several channels, or is longer than `MAX_SIDE`.
    """
    try:
        with Image.open(path, formats=("PNG",)) as image:
            if max(image.size) > MAX_SIDE:
                raise DataError(f"{path}: {image.size[0]} x {image.size[1]} pixels; a side may have {MAX_SIDE:,}")
            if image.mode not in _DEPTHS:
                raise DataError(f"{path}: has several channels ({image.mode}), not numbers; write one channel")
            coding = image.tile[0].args if image.tile else None
            values = np.asarray(image).astype(np.uint16 if _DEPTHS[image.mode] == 16 else np.uint8)
            # grey values of 2 and 4 bits come stretched to 255
            return values // {"L;2": 85, "L;4": 17}.get(coding, 1)
    except DataError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        damage = f"damaged PNG ({getattr(error, 'strerror', None) or error}); write it again"
        if isinstance(error, UnidentifiedImageError):  # its text repeats the path
            damage = "no PNG file, or a damaged one; give another, or write it again"
        raise DataError(f"{path}: {why_unreadable(path) or damage}") from error
