"""Radiographs from DICOM or picture files, with what the file says of side and pixel spacing."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.dicom_header import (
    check_kind,
    check_pixels,
    find_spacing,
    orientation_notes,
    unquoted,
)
from jointwrist.data.dicom_scope import find_side, scope_cautions, stated_laterality
from jointwrist.data.images import IMAGE_SUFFIXES, read_image
from jointwrist.data.side import ASKED, NAME, agree, side_of_name, without_side
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
#: Largest file that is read.
MAX_FILE_BYTES = 2**29
_DEFLATED = "1.2.840.10008.1.2.1.99"
_DIRECTORY = "1.2.840.10008.1.3.10"


@dataclass(frozen=True)
class Radiograph:
    """One film in its own orientation.

    Attributes:
        pixels: (H, W) float32 in [0, 1], bright bone on dark ground.
        spacing_mm: Pixel spacing in mm, or None if the file gives none that can be used.
        side: "L" or "R", or None if unknown.
        notes: What a person should know of this film, a sentence each; never patient data.
        header: DICOM dataset without its pixels, or None. It holds patient data and is left out of the repr.
        source: File that it came from, or what it is called in its place; None of an array.
        study: What the films of one study have in common, or None where that is not known. It may name a patient and is
            left out of the repr.
        field: Left, top, right and bottom of the part in pixels that shows the wrist; None where all of it does.
        turn: Degrees clockwise, a multiple of 90, by which the film must be turned for the fingers to point upwards.
        cautions: Those of the notes that put all of a result in doubt, such as another view; commands print them.
    """

    pixels: np.ndarray = dataclasses.field(repr=False)
    spacing_mm: float | None = None
    side: str | None = None
    notes: tuple[str, ...] = ()
    header: Dataset | None = dataclasses.field(default=None, repr=False)
    source: Path | None = None
    study: str | None = dataclasses.field(default=None, repr=False)
    field: tuple[int, int, int, int] | None = None
    turn: int = 0
    cautions: tuple[str, ...] = ()

    @property
    def both_hands(self) -> bool:
        """Whether the header says that both hands are on the film."""
        return self.side is None and self.header is not None and stated_laterality(self.header) == "B"

    @property
    def side_stated(self) -> bool:
        """Whether the header names the hand, over which nobody else has a say."""
        return self.header is not None and stated_laterality(self.header) in ("L", "R")

    @property
    def wrist(self) -> np.ndarray:
        """Return the (h, w) pixels of the field."""
        if self.field is None:
            return self.pixels
        left, top, right, bottom = self.field
        return self.pixels[top:bottom, left:right]

    def cropped(self) -> Radiograph:
        """Return the field as a film of its own."""
        return replace(self, pixels=self.wrist, field=None)


def load_radiograph(
    path: str | Path,
    side: str | None = None,
    spacing_mm: float | None = None,
    window: int = 0,
    name: str | None = None,
) -> Radiograph:
    """Read a radiograph from a DICOM file or a picture; the file's beginning or ending tells which.

    Args:
        path: File.
        side: "L" or "R". It stands over what a file's name and the descriptions in a DICOM header say (`data.side`),
            but not over a coded laterality.
        spacing_mm: Pixel spacing of a picture, which states none, or of a DICOM file whose header gives none.
        window: Which of several VOI LUTs or windows of a DICOM file, from 0.
        name: What the film and messages call the file, whose own name may be a patient's; None takes its path.

    Raises:
        DataError: The file is missing, damaged, or not a single radiograph.
    """
    path = Path(path)
    _check_side(side)
    with called(path, name):
        if _is_dicom(path):
            film = read_dicom(path, side, window, spacing_mm)
        else:
            hand, cautions = agree([(ASKED, side), (NAME, side_of_name(path))])
            film = Radiograph(read_image(path), spacing_mm, hand, cautions, None, path, _study(path), cautions=cautions)
    return film if name is None else replace(film, source=Path(name))


@contextmanager
def called(path: Path, name: str | None) -> Iterator[None]:
    """Let data errors call a path by a name, if there is one."""
    try:
        yield
    except DataError as error:
        if name is None:
            raise
        raise DataError(f"{name}{str(error).removeprefix(str(path))}") from None


def study_of(path: Path) -> str | None:
    """Return the `study` of the radiograph in a file without reading its pixels."""
    import pydicom

    if not _is_dicom(path):
        return _study(path)
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
        return str(header.get("StudyInstanceUID") or "") or None
    except Exception:  # what is wrong with the file is said when it is read
        return None


def find_films(paths: Iterable[str | Path], besides: str | Path | None = None) -> Iterator[Path]:
    """Yield files, and the radiographs within folders and their folders.

    Args:
        paths: Files, which are taken as they are, and folders.
        besides: Folder within the folders that is not searched, such as that of the results.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise DataError(f"{path}: no such file")
            yield path
            continue
        within = sorted(file for file in _files(path, besides and Path(besides).resolve()) if _may_be_film(file))
        if not within:
            raise DataError(f"{path}: holds no radiographs (BMP, PNG, JPEG, TIFF or DICOM)")
        yield from within


def _files(folder: Path, besides: Path | None) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(place, name).resolve() != besides]
        yield from (Path(place, name) for name in names if not name.startswith("."))


def _may_be_film(file: Path) -> bool:
    """Whether a file in a folder is a picture or a DICOM file other than the directory of a disc."""
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return file.is_file()
    return _is_dicom(file) and file.name.upper() != "DICOMDIR"


def _study(picture: Path) -> str | None:
    """Return what the names of a study's two hands have in common, of a picture whose name tells its side."""
    return str(picture.parent / without_side(picture.stem)) if side_of_name(picture) else None


def read_dicom(
    path: str | Path, laterality: str | None = None, window: int = 0, spacing_mm: float | None = None
) -> Radiograph:
    """Read a single-frame radiograph (CR, DX, secondary capture) from a DICOM file.

    Args:
        path: File.
        laterality: "L" or "R", used where the header codes no side, or both.
        window: Which of several VOI LUTs or windows, from 0.
        spacing_mm: Pixel spacing, used where the header gives none that can be used.

    Raises:
        DataError: The file is missing, damaged, compressed in a way that no installed decoder takes, or not a single
            grey projection.
    """
    path = Path(path)
    _check_side(laterality)
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes; not a single radiograph")
    try:
        with unquoted():
            return _read(path, laterality, window, spacing_mm)
    except DataError:
        raise
    except Exception as error:  # pydicom and the decoders raise anything on damaged files, and quote the header in it
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{path}: damaged or unusual DICOM file ({reason}); export it again") from error


def _read(path: Path, laterality: str | None, window: int, spacing_mm: float | None) -> Radiograph:
    import pydicom
    from pydicom.errors import InvalidDicomError

    from jointwrist.data.grayscale import GreyScaleError, displayed

    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("MediaStorageSOPClassUID") == _DIRECTORY:
            raise DataError(f"{path}: lists the films of a disc; give the folder that it lies in")
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            raise DataError(f"{path}: deflated transfer syntax; convert it to an uncompressed one (dcmconv of DCMTK)")
        dataset = pydicom.dcmread(path)
    except InvalidDicomError:
        raise DataError(f"{path}: not a DICOM file (no DICM prefix); give a picture its own ending") from None
    notes = check_kind(path, dataset)
    check_pixels(path, dataset)
    try:
        pixels, grey_notes = displayed(pydicom.pixels.pixel_array(dataset), dataset, window)
    except GreyScaleError as error:
        raise DataError(f"{path}: {error}") from error
    spacing, spacing_note = find_spacing(dataset, spacing_mm)
    side, side_cautions = find_side(dataset, laterality, path.name)
    cautions = (*side_cautions, *scope_cautions(dataset))
    del dataset.PixelData
    notes = (*notes, *cautions, *orientation_notes(dataset), *grey_notes, spacing_note)
    return Radiograph(
        pixels,
        spacing,
        side,
        tuple(note for note in notes if note),
        dataset,
        path,
        str(dataset.get("StudyInstanceUID") or "") or None,
        cautions=cautions,
    )


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:  # is said when the file is read
        return False


def _check_side(side: str | None) -> None:
    if side not in (None, "L", "R"):
        raise ValueError(f"a side is 'L' or 'R', not {side!r}")
