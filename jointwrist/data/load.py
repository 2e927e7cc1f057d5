"""Load a radiograph from a DICOM file (`data.dicom`) or a picture (`data.images`) as a `Radiograph`.

Both go from the file to stored values, and from these to grey in [0, 1]; then outlying grey values are clipped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from jointwrist.data.dicom.file import is_dicom, open_dicom
from jointwrist.data.dicom.header import silence_header_warnings
from jointwrist.data.dicom.read import check_window, read_dicom
from jointwrist.data.images import read_image, stated_resolution
from jointwrist.data.outliers import without_outliers
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.side_from_text import ASKED, NAME, agree, check_side, side_of_name, without_side
from jointwrist.data.spacing import check_spacing
from jointwrist.errors import DataError

#: Largest deviation of the ratio of two stated resolutions from 1 that counts as rounding.
OBLONG = 0.02


def load_radiograph(
    path: str | Path,
    side: str | None = None,
    spacing_mm: float | None = None,
    window: int = 0,
    name: str | None = None,
) -> Radiograph:
    """Read a radiograph from a DICOM file or a picture, recognised by the file's first bytes or extension.

    Args:
        path: File.
        side: "L" or "R". It overrides the file's name and the descriptions in a DICOM header, but not a coded
            laterality.
        spacing_mm: Pixel spacing of a picture, or of a DICOM file whose header gives no usable one.
        window: Index of the VOI LUT or window of a DICOM file, where there are several.
        name: Name to use in results and messages in place of the path, which may name a patient.

    Raises:
        DataError: The file is missing, damaged, or not a single radiograph.
        ValueError: The side is not "L", "R" or None, the spacing is not plausible, or the window is no index.
    """
    path = Path(path)
    check_side(side)
    check_spacing(spacing_mm)
    check_window(window)
    with name_in_errors(path, name):
        if is_dicom(path):
            radiograph = read_dicom(path, side, window, spacing_mm)
        else:
            radiograph = _read_picture(path, side, spacing_mm)
    radiograph = without_outliers(radiograph)
    return radiograph if name is None else replace(radiograph, source=Path(name))


def _read_picture(path: Path, side: str | None, spacing_mm: float | None) -> Radiograph:
    hand, cautions = agree([(ASKED, side), (NAME, side_of_name(path))])
    pixels = read_image(path)
    cautions = (*cautions, *_oblong_caution(path))
    return Radiograph(
        pixels,
        spacing_mm=spacing_mm,
        side=hand,
        notes=cautions,
        source=path,
        study=_study(path),
        cautions=cautions,
    )


def _oblong_caution(picture: Path) -> tuple[str, ...]:
    """Say that a picture whose resolution states oblong pixels is seen with square ones.

    The resolution is that of a printer or a screen more often than that of the detector.
    """
    across, down = stated_resolution(picture) or (1, 1)
    if abs(across / down - 1) <= OBLONG:
        return ()
    stated = f"{across:.4g} pixels across and {down:.4g} down per unit of length"
    return (f"The file states oblong pixels, {stated}, but they are taken for square: if it is right, resample it.",)


@contextmanager
def name_in_errors(path: Path, name: str | None) -> Iterator[None]:
    """Replace a path by a name in the messages of data errors, if there is a name."""
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
    except Exception:  # reading the file reports what is wrong with it
        return None


def _study(picture: Path) -> str | None:
    """Return a picture's path without its side, the same for both hands of a study; None if the name states no side."""
    return str(picture.parent / without_side(picture.stem)) if side_of_name(picture) else None
