"""Inputs of a predictor: files, folders and arrays, and the radiographs in them."""

from __future__ import annotations

import io
import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from jointwrist.data.dicom.read import check_window
from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
from jointwrist.data.images import check_size
from jointwrist.data.load import load_radiograph
from jointwrist.data.outliers import without_outliers
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.resample import normalise_plane
from jointwrist.data.side_from_text import check_side
from jointwrist.data.spacing import check_spacing
from jointwrist.errors import DataError

LOG = logging.getLogger(__name__)
#: One thread reads at a time: readers silence warnings, which is done for the whole process.
_READING = threading.Lock()

#: Kinds of one radiograph; bytes are one object, which is refused, not several numbers.
_ONE = (str, bytes, os.PathLike, np.ndarray)
#: Iterable, but one object, which is refused as a whole, not its lines or keys one by one.
_SINGLE = (io.IOBase, Mapping, memoryview, bytearray)
#: Its data sets of DICOM are iterable, by element.
_DICOM_READER = "pydicom"
#: A radiograph as a file, or as an (H, W) array.
Source = str | Path | np.ndarray


def list_sources(given: Source | Sequence[Source]) -> list[Source]:
    """Return files and arrays one by one, with folders replaced by their files.

    Other files in a folder are skipped, and logged.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
        TypeError: Something is neither a path nor a NumPy array.
    """
    one = isinstance(given, (*_ONE, *_SINGLE)) or getattr(given, "ndim", 1) != 1 or not isinstance(given, Iterable)
    one |= type(given).__module__.partition(".")[0] == _DICOM_READER
    sources: list[Source] = []
    for item in [given] if one else given:
        if not isinstance(item, _ONE) or isinstance(item, bytes):
            raise TypeError(
                f"a radiograph is the path of a file or folder, or a NumPy array (H, W) of grey values, not"
                f" {type(item).__name__}; convert it, as with numpy.asarray(image.convert('L')) or tensor.numpy(), or"
                " give its path"
            )
        if isinstance(item, str) and not item:
            raise DataError("a path is empty; name a file or a folder")
        sources += [item] if isinstance(item, np.ndarray) else find_radiographs([item], left_out=_log_left_out)
    return sources


def read_radiograph(
    source: Source,
    side: str | None = None,
    spacing_mm: float | None = None,
    window: int = 0,
    name: str | None = None,
) -> Radiograph:
    """Read a radiograph from a file, or wrap an (H, W) array of grey values, bright bone on a dark background.

    Arguments are those of `load_radiograph`.

    Raises:
        DataError: The file cannot be read, or the array has another shape or no finite values.
        ValueError: As for `load_radiograph`.
    """
    if not isinstance(source, np.ndarray):
        with _READING:
            return load_radiograph(source, side, spacing_mm, window, name)
    check_side(side)
    check_spacing(spacing_mm)
    check_window(window)
    called = name or "an array"
    if np.ma.is_masked(source):
        raise DataError(f"{called}: has masked values; fill them, as with array.filled(0)")
    source = np.asarray(source)  # np.matrix and others calculate in their own ways
    if source.ndim != 2 or source.size == 0:
        raise DataError(f"{called}: must be a grey image (H, W), not {source.shape}{_remedy(source.shape)}")
    check_size(called, source.shape[1], source.shape[0])
    with np.errstate(over="ignore"):
        grey = source.astype(np.float32) if source.dtype.kind in "biuf" else np.full(1, np.nan)
    if not np.isfinite(grey).all():
        raise DataError(f"{called}: holds nan, infinite or complex values, or no numbers; give finite grey values")
    with np.errstate(over="ignore"):
        if np.isinf(np.ptp(grey)):  # of opposite signs, near the limits of float32
            grey = grey / 4
    radiograph = without_outliers(Radiograph(grey, spacing_mm, side, source=Path(name) if name else None))
    return replace(radiograph, pixels=normalise_plane(radiograph.pixels))


def _remedy(shape: tuple[int, ...]) -> str:
    """Say how an array of another shape becomes one or several grey images."""
    if len(shape) == 3 and shape[2] in (1, 3, 4):
        return "; take one channel, as with array[..., 0]"
    if len(shape) > 2 and set(shape[:-2]) == {1}:
        return f"; give array[{', '.join('0' * (len(shape) - 2))}]"
    return "; give several as a list" if len(shape) == 3 else ""


def _log_left_out(folder: Path, others: list[Path]) -> None:
    LOG.warning("%s", describe_left_out(folder, others))
