"""Radiographs from DICOM or picture files, with what the file says of side and pixel spacing."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.dicom_file import MAX_FILE_BYTES, is_dicom, open_dicom
from jointwrist.data.dicom_header import (
    check_kind,
    check_pixels,
    lift_frame,
    orientation_notes,
    unquoted,
)
from jointwrist.data.dicom_scope import find_side, scope_cautions, stated_laterality
from jointwrist.data.geometry import find_pixel
from jointwrist.data.images import read_image
from jointwrist.data.side import ASKED, NAME, agree, side_of_name, without_side
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset


@dataclass(frozen=True)
class Radiograph:
    """One radiograph in its own orientation.

    Attributes:
        pixels: (H, W) float32 in [0, 1], bright bone on dark ground, as they are stored.
        spacing_mm: Width of a pixel in mm, or None if the file gives none that can be used.
        side: "L" or "R", or None if unknown.
        notes: What a person should know of this radiograph, a sentence each; never patient data.
        header: DICOM dataset without its pixels, or None. It holds patient data and is left out of the repr.
        source: File that it came from, or what it is called in its place; None of an array.
        study: What the radiographs of one study have in common, or None where that is not known. It may name a patient
            and is left out of the repr.
        field: Left, top, right and bottom of the part in pixels that shows the wrist; None where all of it does.
        turn: Degrees clockwise, a multiple of 90, by which the radiograph must be turned for the fingers to point
        upwards.
        cautions: Those of the notes that put all of a result in doubt, such as another view; commands print them.
        aspect: Height of a pixel over its width.
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
    aspect: float = 1.0

    @property
    def pixel_mm(self) -> tuple[float, float] | None:
        """Return height and width of a pixel in mm, or None if they are unknown."""
        return None if self.spacing_mm is None else (self.spacing_mm * self.aspect, self.spacing_mm)

    @property
    def both_hands(self) -> bool:
        """Whether the header says that both hands are on the radiograph."""
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
        """Return the field as a radiograph of its own."""
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
        name: What the radiograph and messages call the file, whose own name may be a patient's; None takes its path.

    Raises:
        DataError: The file is missing, damaged, or not a single radiograph.
    """
    path = Path(path)
    _check_side(side)
    with called(path, name):
        if is_dicom(path):
            radiograph = read_dicom(path, side, window, spacing_mm)
        else:
            hand, cautions = agree([(ASKED, side), (NAME, side_of_name(path))])
            radiograph = Radiograph(
                read_image(path), spacing_mm, hand, cautions, None, path, _study(path), cautions=cautions
            )
    return radiograph if name is None else replace(radiograph, source=Path(name))


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
    if not is_dicom(path):
        return _study(path)
    try:
        with unquoted():
            header, _ = open_dicom(
                path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPClassUID", "Modality"]
            )
        return str(header.get("StudyInstanceUID") or "") or None
    except Exception:  # what is wrong with the file is said when it is read
        return None


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
        spacing_mm: Width of a pixel, used where the header gives no spacing that can be used.

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
    from jointwrist.data.grayscale import displayed
    from jointwrist.data.stored_values import PixelError, stored_values

    dataset, file_notes = open_dicom(path)
    kind_notes = [*check_kind(path, dataset), *check_pixels(path, dataset)]
    lift_frame(dataset)
    try:
        pixels, grey_notes = displayed(*stored_values(dataset), dataset, window)
    except PixelError as error:
        raise DataError(f"{path}: {error}") from error
    pixel = find_pixel(dataset, spacing_mm)
    side, side_cautions = find_side(dataset, laterality, path.name)
    cautions = (*side_cautions, *scope_cautions(dataset))
    del dataset.PixelData
    notes = (*file_notes, *kind_notes, *cautions, *orientation_notes(dataset), *grey_notes, *pixel.notes)
    return Radiograph(
        pixels,
        pixel.width_mm,
        side,
        tuple(note for note in notes if note),
        dataset,
        path,
        str(dataset.get("StudyInstanceUID") or "") or None,
        cautions=cautions,
        aspect=pixel.aspect,
    )


def _check_side(side: str | None) -> None:
    if side not in (None, "L", "R"):
        raise ValueError(f"a side is 'L' or 'R', not {side!r}")
