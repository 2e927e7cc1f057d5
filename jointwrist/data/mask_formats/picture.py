"""Masks in picture files of any kind (PNG, TIFF, BMP, JPEG): the mask of one bone, or a label map."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from jointwrist.data.images import check_size
from jointwrist.data.mask_formats.label_colours import codes_of
from jointwrist.data.mask_formats.png import depth, read_png
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

_FORMATS = ("BMP", "PNG", "JPEG", "TIFF")
_NUMBERS = ("1", "L", "P", "I", "F")
#: Shares of the full scale between which a value is neither background nor bone.
_BETWEEN = 0.1, 0.9
#: Least share of the full scale that the brightest value of a soft mask has.
_LEAST_BRIGHT = 0.75


class Drawn(NamedTuple):
    """The mask of one bone.

    Attributes:
        mask: (H, W) bool.
        soft: Whether there were values besides 0 and one more, so that those from the middle upwards were taken.
        inverted: Whether the bone was dark on a bright ground.
    """

    mask: np.ndarray
    soft: bool
    inverted: bool


def read_mask(path: Path) -> Drawn:
    """Read the mask of one bone: grey, 1-bit, with a palette, of one colour, or painted on a transparent ground.

    The bone is bright, or of another colour than black; if most pixels and most of the border are so, it is inverted.

    Raises:
        DataError: The file is damaged, holds several pages, or shows no mask of one bone.
    """
    values = _values(path)
    low, high = float(values.min()), float(values.max())
    if not np.isfinite([low, high]).all() or low < 0:
        raise DataError(f"{path}: values from {low:g} to {high:g} are no mask; save it as 0 and 255")
    if low == high:
        if high:
            raise DataError(f"{path}: all pixels are {high:g}, so that it shows no bone; draw it again, or delete it")
        return Drawn(np.zeros(values.shape, bool), False, False)
    two = bool(((values == low) | (values == high)).all())
    mask = values == high if two else _upper_half(values, high, path)
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    inverted = bool(mask.mean() > 0.5 and border.mean() > 0.5)
    return Drawn(~mask if inverted else mask, not two or low > 0, inverted)


def read_labels(path: Path) -> np.ndarray:
    """Read the (H, W) numbers of a label map: grey of any depth, a palette's indices, or three equal channels.

    Raises:
        DataError: The file is damaged, holds several pages, or is coloured.
    """
    if path.suffix.lower() == ".png" and depth(path):
        return read_png(path)
    image = _open(path)
    if image.mode in _NUMBERS or image.mode.startswith("I;"):
        return np.asarray(image).astype(np.float64 if image.mode == "F" else np.int64)
    colours = np.asarray(image.convert("RGB"))
    if np.ptp(colours, axis=-1).any():
        raise DataError(
            f"{path}: is coloured, and colours are no numbers; name them in a table for --labels (as `labelmap.txt` of"
            " CVAT), or save the label map as grey of 8 or 16 bits"
        )
    return colours[..., 0].astype(np.int64)


def read_colours(path: Path) -> np.ndarray | None:
    """Read the (H, W, 3) uint8 colours of a label map, black where it is transparent.

    The result is None for more than 8 bits, and for a palette in which several numbers have one colour.

    Raises:
        DataError: The file is damaged, or holds several pages.
    """
    image = _open(path)
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return None
    pixels = np.asarray(image.convert("RGBA"))
    colours = np.where(pixels[..., 3:] < 128, np.uint8(0), pixels[..., :3])
    if image.mode == "P" and len(np.unique(codes_of(colours))) < len(np.unique(np.asarray(image))):
        return None
    return colours


def holds_numbers(path: Path) -> bool:
    """Whether a picture is grey or has a palette, so that `read_labels` reads it."""
    try:
        read_labels(path)
    except DataError:
        return False
    return True


def may_be_labels(path: Path, most: int) -> bool:
    """Whether a picture has few values or colours, as a label map has and a radiograph has not; False if damaged."""
    try:
        if path.suffix.lower() in (".jpg", ".jpeg"):
            return False
        colours = read_colours(path)
        return len(np.unique(read_labels(path) if colours is None else codes_of(colours))) <= most
    except DataError:
        return False


def _open(path: Path) -> Image.Image:
    """Decode a picture as it is shown."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as image:
                check_size(path, *image.size)
                if (pages := getattr(image, "n_frames", 1)) > 1 and image.format != "MPO":
                    raise DataError(f"{path}: holds {pages} pages; save each mask as a file of its own")
                image.load()
                return ImageOps.exif_transpose(image)
    except DataError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        damage = f"damaged picture ({getattr(error, 'strerror', None) or error}); save it again"
        if isinstance(error, Image.UnidentifiedImageError):  # its text repeats the path
            damage = "not a PNG, TIFF, BMP or JPEG picture, or a damaged one; save it again"
        raise DataError(f"{path}: {why_unreadable(path) or damage}") from error


def _values(path: Path) -> np.ndarray:
    """Return (H, W) values that are larger inside the bone, or outside of it if the mask is inverted."""
    image = _open(path)
    if image.mode in ("1", "L", "I", "F") or image.mode.startswith("I;"):
        return np.asarray(image)
    pixels = np.asarray(image.convert("RGBA"))
    colours, alpha = pixels[..., :3], pixels[..., 3]
    if alpha.min() == alpha.max():
        same = image.mode == "P" and len(np.unique(np.asarray(image))) > 1 and not np.ptp(colours, axis=(0, 1)).any()
        return np.asarray(image) if same else _by_colour(colours, path)
    painted = alpha >= 128
    visible = colours[painted]
    if len(visible) == 0 or not np.ptp(visible, axis=0).any():
        return alpha
    return _by_colour(np.where(painted[..., None], colours, 0).astype(np.uint8), path)


def _by_colour(colours: np.ndarray, path: Path) -> np.ndarray:
    """Return (H, W) values of (H, W, 3) colours: those of equal channels, or 0 for the ground and 255 for the other."""
    if not np.ptp(colours, axis=-1).any():
        return colours[..., 0]
    codes = colours.astype(np.uint32) @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    found, counts = np.unique(codes, return_counts=True)
    if len(found) > 2:
        raise DataError(
            f"{path}: has {len(found):,} colours, as an overlay has, or a picture of several bones; save the mask of"
            " one bone alone, black and white"
        )
    ground = 0 if 0 in found else found[counts.argmax()]
    return np.where(codes == ground, 0, 255).astype(np.uint8)


def _upper_half(values: np.ndarray, high: float, path: Path) -> np.ndarray:
    """Return the pixels of a soft mask, as of antialiased edges or probabilities, that are at least half bright."""
    if values.dtype.kind == "f":
        full = 1.0 if high <= 1 else 255.0
    else:
        full = 255.0 if high <= 255 else 65535.0
    mask = values >= full / 2
    between = (values > _BETWEEN[0] * full) & (values < _BETWEEN[1] * full)
    if high < _LEAST_BRIGHT * full or between.sum() > mask.sum():
        numbers = np.unique(values)
        shown = ", ".join(f"{number:g}" for number in numbers[:4])
        raise DataError(
            f"{path}: has {len(numbers):,} values ({shown}{', ...' if len(numbers) > 4 else ''}), so that it is no mask"
            " of one bone; save it as 0 and 255"
        )
    return mask
