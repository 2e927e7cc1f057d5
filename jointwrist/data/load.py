"""Radiographs from DICOM or picture files, with what the file says of side and pixel spacing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.data.dicom.file import is_dicom, open_dicom
from jointwrist.data.dicom.header import (
    silence_header_warnings,
)
from jointwrist.data.dicom.read import read_dicom
from jointwrist.data.images import read_image
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.side_from_text import ASKED, NAME, agree, check_side, side_of_name, without_side
from jointwrist.errors import DataError

if TYPE_CHECKING:
    pass


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
    check_side(side)
    with name_in_errors(path, name):
        if is_dicom(path):
            radiograph = read_dicom(path, side, window, spacing_mm)
        else:
            hand, cautions = agree([(ASKED, side), (NAME, side_of_name(path))])
            radiograph = Radiograph(
                read_image(path), spacing_mm, hand, cautions, None, path, _study(path), cautions=cautions
            )
    return radiograph if name is None else replace(radiograph, source=Path(name))


@contextmanager
def name_in_errors(path: Path, name: str | None) -> Iterator[None]:
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
        with silence_header_warnings():
            header, _ = open_dicom(
                path, stop_before_pixels=True, specific_tags=["StudyInstanceUID", "SOPClassUID", "Modality"]
            )
        return str(header.get("StudyInstanceUID") or "") or None
    except Exception:  # what is wrong with the file is said when it is read
        return None


def _study(picture: Path) -> str | None:
    """Return what the names of a study's two hands have in common, of a picture whose name tells its side."""
    return str(picture.parent / without_side(picture.stem)) if side_of_name(picture) else None
