"""Read picture files: file to stored values to grey in [0, 1], with bounded memory even for hostile files."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageOps

from jointwrist.data.faults import Fault, refuse
from jointwrist.data.images.tiff import full_scale, read_grey
from jointwrist.data.numpy_files import read_npy
from jointwrist.errors import DataError
from jointwrist.files import atomic
from jointwrist.readable import why_unreadable

#: Longest side of an image in pixels: 1.9 times that of a 43 x 43 cm detector at 0.1 mm. Radiographs are padded to a
#: square, so a long strip costs as much as the square. Reading takes at most 16 bytes per pixel.
MAX_SIDE = 2**13
#: Endings of the files that `read_image` takes.
IMAGE_SUFFIXES = frozenset({".bmp", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy"})
#: Named, because other decoders of Pillow may call other programs.
_FORMATS = ("BMP", "PNG", "JPEG", "TIFF")
_ONE_PAGE = ("PNG", "TIFF")
#: Place and bytes of files that Pillow does not know here, and what to do with them.
_KINDS = (
    (
        0,
        b"\xff\xd8",
        "a JPEG image that is damaged or of an unusual kind (lossless, 12 bits); save it as PNG or TIFF",
    ),
    (
        128,
        b"DICM",
        "a DICOM file, which a dataset cannot hold; export it as PNG or TIFF of 16 bits",
    ),
)
#: Shades of 14 bits, of which Pillow keeps the upper 8 of 16 in pictures with colour or transparency.
_FEW_SHADES = 64


def read_image(path: str | Path) -> np.ndarray:
    """Read a BMP, PNG, JPEG, TIFF or NPY file as grey.

    8-bit values are divided by 255, 12-bit ones of a TIFF file by 4095. Values of 16 bits are divided by the largest
    number of 8, 10, 12, 14 or 16 bits, the fewest that hold them: many programs store 12 bits in 16 as they are. Colour
    becomes 8-bit luma, which for three equal channels is the channel itself. Transparent pixels become dark. Floating
    point arrays must be within [0, 1] already.

    Returns:
        (H, W) float32 in [0, 1].

    Raises:
        DataError: The file is missing, damaged, not such an image, or longer than `MAX_SIDE`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: {why_unreadable(path)}")
    stored, largest = (read_npy(path), None) if path.suffix.lower() == ".npy" else _decode(path)
    if stored.ndim != 2 or stored.size == 0:
        raise DataError(f"{path}: an image must be grey (H, W) and not empty; this array is {stored.shape}")
    check_size(path, stored.shape[1], stored.shape[0])
    return _to_unit_range(path, stored, largest)


def write_image(path: str | Path, image: np.ndarray) -> None:
    """Write an (H, W) image in [0, 1] as 8-bit grey, whole or not at all; the ending of the path chooses the format."""
    path = Path(path)
    pixels = Image.fromarray(np.round(np.clip(image, 0, 1) * 255).astype(np.uint8))
    with atomic(path) as temporary:
        pixels.save(temporary, format=Image.registered_extensions()[path.suffix.lower()])


def is_rotated(path: str | Path) -> bool:
    """Whether a picture is shown in another orientation than it is stored, as its EXIF or TIFF orientation says."""
    with Image.open(path, formats=_FORMATS) as image:
        return image.getexif().get(ExifTags.Base.Orientation, 1) != 1


def stated_resolution(path: str | Path) -> tuple[float, float] | None:
    """Return the pixels across and down of one unit of length as a picture states them, or None if it does not.

    The unit is unknown: of an inch, of a centimetre, or any. A damaged picture states nothing here.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            stated = [image.info.get(key) for key in ("dpi", "aspect", "resolution", "jfif_density")]
            across, down = next((value for value in stated if value), (0, 0))
            return (float(across), float(down)) if across > 0 and down > 0 else None
    except (OSError, ValueError, TypeError, ZeroDivisionError, Image.DecompressionBombError):
        return None


def check_size(name: str | Path, width: int, height: int) -> None:
    """Refuse an image that would take too much memory.

    Raises:
        DataError: A side is longer than `MAX_SIDE`; the message begins with the name.
    """
    if max(width, height) > MAX_SIDE:
        raise DataError(f"{name}: {width} x {height} pixels; a side may have {MAX_SIDE:,}, make it smaller")


def _decode(path: Path) -> tuple[np.ndarray, int | None]:
    """Decode an image file into (H, W) bool, 8 to 64-bit integers or float32, bright where the radiograph is.

    Returns:
        Values, and the largest possible value where the data type does not imply it.
    """
    grey = read_grey(path)
    if grey and grey.deep_planes:
        raise DataError(f"{path}: planes of more than 8 bits, a colour each; save it as grey")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is lower
            # from a path Pillow maps uncompressed files into memory and misreads the rows of rotated ones
            source = io.BytesIO(grey.content(path)) if grey else path
            with Image.open(source, formats=_FORMATS) as image:
                check_size(path, *image.size)
                if image.format in _ONE_PAGE and getattr(image, "n_frames", 1) > 1:
                    raise DataError(f"{path}: holds {image.n_frames} pages; save the radiograph's page alone")
                shortened = not image.mode.startswith("I") and any(";16" in str(tile.args) for tile in image.tile)
                stored = _grey(ImageOps.exif_transpose(image))
                if shortened and stored.max() < _FEW_SHADES:
                    raise DataError(
                        f"{path}: colour or transparency of 16 bits, of which {stored.max() + 1} shades of grey would"
                        " be read; save it as grey of 16 bits"
                    )
                if grey is None:
                    return stored, None
                if grey.is_signed and stored.dtype == np.uint8:
                    stored = stored.view(np.int8)
                return grey.inverted(stored) if grey.white_is_zero else stored, grey.largest
    except DataError:
        raise
    except Image.DecompressionBombError:
        raise DataError(f"{path}: a side may have {MAX_SIDE:,} pixels; make it smaller") from None
    except Image.UnidentifiedImageError:
        refuse(Fault("unreadable image", path, why_unreadable(path) or _why_unidentified(path, grey is not None)))
    except Exception as error:  # a damaged file can make a decoder raise anything
        kind = "truncated image" if "truncated" in str(error) else "unreadable image"
        reason = getattr(error, "strerror", None) or error  # the text of a system error repeats the path
        refuse(Fault(kind, path, why_unreadable(path) or f"damaged image ({reason}); copy or export it again"))


def _why_unidentified(path: Path, is_tiff: bool) -> str:
    if is_tiff:
        return "a TIFF image that is damaged or of an unusual kind; export it again, as grey of 8 or 16 bits"
    other = "not a BMP, PNG, JPEG or TIFF image; export it again, or unpack it if it is an archive"
    return next((reason for start, mark, reason in _KINDS if _begins(path, start, mark)), other)


def _begins(path: Path, start: int, mark: bytes) -> bool:
    """Whether a file has these bytes at this place."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(len(mark)) == mark


def _grey(image: Image.Image) -> np.ndarray:
    """Return the (H, W) grey of an image; transparent pixels become dark, whatever colour they hide."""
    if image.mode.startswith(("I", "F")):
        stored, hidden = np.asarray(image), image.info.get("transparency")
        return np.where(stored == hidden, 0, stored).astype(stored.dtype) if isinstance(hidden, int) else stored
    stored = np.asarray(image.convert("L"))
    if not image.has_transparency_data:
        return stored
    alpha = np.asarray(image.convert("RGBA").getchannel("A")).astype(np.uint16)
    if not alpha.any():  # written by programs that leave the channel empty
        return stored
    return ((stored * alpha + 127) // 255).astype(np.uint8)


def _to_unit_range(path: Path, stored: np.ndarray, largest: int | None) -> np.ndarray:
    if stored.dtype == bool:
        return stored.astype(np.float32)
    if stored.dtype.kind in "iu":
        low, high = int(stored.min()), int(stored.max())
        if low < 0 or high > 65535:
            raise DataError(f"{path}: values from {low} to {high}; store 8-bit or unsigned 16-bit values")
        return stored.astype(np.float32) / np.float32(largest or full_scale(stored))
    if stored.dtype.kind == "f":
        low, high = float(stored.min()), float(stored.max())
        if not (low >= 0 and high <= 1):  # also true of nan
            raise DataError(f"{path}: values from {low:.3g} to {high:.3g}; floating point images must be within [0, 1]")
        return stored.astype(np.float32)
    raise DataError(f"{path}: values of type {stored.dtype}; store uint8, uint16 or float32")
