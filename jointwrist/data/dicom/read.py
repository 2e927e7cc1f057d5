"""Read a radiograph from a DICOM file, step by step: file, stored values, grey values, and header information."""

from __future__ import annotations

from numbers import Integral
from pathlib import Path

from jointwrist.data.dicom.check_pixels import check_pixels
from jointwrist.data.dicom.file import MAX_FILE_BYTES, open_dicom
from jointwrist.data.dicom.header import check_kind, flatten_functional_groups, silence_header_warnings
from jointwrist.data.dicom.laterality import find_side
from jointwrist.data.dicom.orientation import orientation_notes
from jointwrist.data.dicom.pixel_spacing import find_pixel
from jointwrist.data.dicom.shutter import hidden_pixels
from jointwrist.data.dicom.suitability import suitability_cautions
from jointwrist.data.radiograph import Radiograph
from jointwrist.data.side_from_text import check_side
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable


def read_dicom(
    path: str | Path, laterality: str | None = None, window: int = 0, spacing_mm: float | None = None
) -> Radiograph:
    """Read a single-frame radiograph (CR, DX, secondary capture) from a DICOM file.

    Args:
        path: File.
        laterality: "L" or "R", used where the header codes no side, or both.
        window: Index of the VOI LUT or window, where there are several.
        spacing_mm: Width of a pixel, used where the header gives no usable spacing.

    Raises:
        DataError: The file is missing or damaged, no installed decoder reads its compression, or it is not a single
            grey projection.
    """
    path = Path(path)
    check_side(laterality)
    check_window(window)
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    if path.stat().st_size > MAX_FILE_BYTES:
        raise DataError(f"{path}: larger than {MAX_FILE_BYTES:,} bytes; not a single radiograph")
    try:
        with silence_header_warnings():
            return _read(path, laterality, window, spacing_mm)
    except DataError:
        raise
    except Exception as error:  # pydicom and the decoders raise anything on damaged files, and quote the header in it
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise DataError(f"{path}: damaged or unusual DICOM file ({reason}); export it again") from error


def check_window(window: int) -> None:
    """Refuse an index of a window that is no whole number from 0 with a `ValueError`."""
    if isinstance(window, bool) or not isinstance(window, Integral) or window < 0:
        raise ValueError(f"a window is an index, 0 for the first one, not {window!r}")


def _read(path: Path, laterality: str | None, window: int, spacing_mm: float | None) -> Radiograph:
    from jointwrist.data.dicom.colour import colour_to_grey, in_colour
    from jointwrist.data.dicom.grayscale import keep_used_window, to_grey
    from jointwrist.data.dicom.stored_values import PixelError, stored_values

    # from the file to a data set of a kind that is understood
    dataset, file_notes = open_dicom(path)
    kind_notes = [*check_kind(path, dataset), *check_pixels(path, dataset)]
    flatten_functional_groups(dataset)
    # from the data set to stored values, and from these to grey
    try:
        if in_colour(dataset):
            pixels, grey_notes, full_range = colour_to_grey(dataset, window)
        else:
            stored, padding = stored_values(dataset)
            hidden = hidden_pixels(dataset, stored.shape, padding)
            pixels, grey_notes, full_range = to_grey(stored, hidden, dataset, window)
    except PixelError as error:
        raise DataError(f"{path}: {error}") from error
    # header information on the radiograph
    pixel = find_pixel(dataset, spacing_mm)
    side, side_cautions = find_side(dataset, laterality, path.name)
    cautions = (*side_cautions, *suitability_cautions(dataset))
    notes = (*file_notes, *kind_notes, *cautions, *orientation_notes(dataset), *grey_notes, *pixel.notes)
    del dataset.PixelData  # the header is kept without them
    keep_used_window(dataset, window, full_range)
    return Radiograph(
        pixels,
        spacing_mm=pixel.width_mm,
        side=side,
        notes=tuple(note for note in notes if note),
        header=dataset,
        source=path,
        study=str(dataset.get("StudyInstanceUID") or "") or None,
        cautions=cautions,
        aspect=pixel.aspect,
    )
