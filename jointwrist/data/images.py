"""Grey images in files, with a bound on the memory that a hostile file can take."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from jointwrist.data.arrays import read_npy
from jointwrist.data.faults import Fault, refuse
from jointwrist.data.tiff import read_grey
from jointwrist.errors import DataError
from jointwrist.files import atomic

#: Longest side of an image that is read, in pixels: 1.9 times that of a 43 x 43 cm detector at 0.1 mm. Films are padded
#: to a square, so that a long strip costs what the square does. Reading takes at most 16 bytes a pixel.
MAX_SIDE = 2**13
#: Endings of the files that `read_image` takes.
IMAGE_SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"})
#: Named, because other decoders of Pillow may call other programs.
_FORMATS = ("BMP", "PNG", "JPEG", "TIFF")
_ONE_PAGE = ("PNG", "TIFF")


def read_image(path: str | Path) -> np.ndarray:
    """Read a BMP, PNG, JPEG, TIFF or NPY file as grey.

    8-bit values are divided by 255 and 16-bit values by 65535. Colour becomes luma, which of three equal channels is
    the channel itself. Floating point arrays must be within [0, 1] already.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        DataError: The file is missing, damaged, not such an image, or longer than `MAX_SIDE`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    stored = read_npy(path) if path.suffix.lower() == ".npy" else _decode(path)
    if stored.ndim != 2 or stored.size == 0:
        raise DataError(f"{path}: an image must be grey (H, W) and not empty, this array is {stored.shape}")
    check_size(path, stored.shape[1], stored.shape[0])
    return _to_unit_range(path, stored)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an (H, W) image in [0, 1] as 8-bit grey, whole or not at all; the ending of the path chooses the format."""
    path = Path(path)
    pixels = Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
    with atomic(path) as temporary:
        pixels.save(temporary, format=Image.registered_extensions()[path.suffix.lower()])


def check_size(name: str | Path, width: int, height: int) -> None:
    """Refuse what takes too much memory.

    Raises:
        DataError: A side is longer than `MAX_SIDE`; the message begins with the name.
    """
    if max(width, height) > MAX_SIDE:
        raise DataError(f"{name}: {width} x {height} pixels; a side may have {MAX_SIDE:,}, make it smaller")


def _decode(path: Path) -> np.ndarray:
    """Decode an image file into (H, W) bool, uint8, uint16, int32, int64 or float32, bright where the film is."""
    grey = read_grey(path)
    negative = grey is not None and grey.white_is_zero
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            source = io.BytesIO(grey.black_is_zero(path)) if negative else path
            with Image.open(source, formats=_FORMATS) as image:
                check_size(path, *image.size)
                if image.format in _ONE_PAGE and getattr(image, "n_frames", 1) > 1:
                    raise DataError(f"{path}: holds {image.n_frames} pages; save the radiograph's page alone")
                image = ImageOps.exif_transpose(image)
                deep = image.mode.startswith(("I", "F"))
                stored = np.asarray(image if deep else image.convert("L"))
                return grey.inverted(stored) if negative else stored
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{path}: a side may have {MAX_SIDE:,} pixels; make it smaller") from None
    except Image.UnidentifiedImageError:
        refuse(Fault("unreadable image", path, "not a BMP, PNG, JPEG or TIFF image; export it again"))
    except Exception as error:  # a damaged file can make a decoder raise anything
        kind = "truncated image" if "truncated" in str(error) else "unreadable image"
        reason = getattr(error, "strerror", None) or error  # the text of a system error repeats the path
        refuse(Fault(kind, path, f"damaged image ({reason}); copy or export it again"))


def _to_unit_range(path: Path, stored: np.ndarray) -> np.ndarray:
    if stored.dtype == bool:
        return stored.astype(np.float32)
    if stored.dtype.kind in "iu":
        low, high = int(stored.min()), int(stored.max())
        if low < 0 or high > 65535:
            raise DataError(f"{path}: values from {low} to {high}; store 8-bit or unsigned 16-bit values")
        return stored.astype(np.float32) / np.float32(255 if stored.dtype.itemsize == 1 else 65535)
    if stored.dtype.kind == "f":
        low, high = float(stored.min()), float(stored.max())
        if not (low >= 0 and high <= 1):  # also true of nan
            raise DataError(f"{path}: values from {low:.3g} to {high:.3g}; floating point images must be within [0, 1]")
        return stored.astype(np.float32)
    raise DataError(f"{path}: values of type {stored.dtype}; store uint8, uint16 or float32")
