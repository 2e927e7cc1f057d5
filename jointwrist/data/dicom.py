"""Radiographs from DICOM or picture files, with what the file says of side and pixel spacing."""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.codestream import coded_size
from jointwrist.data.images import IMAGE_SUFFIXES, MAX_PIXELS, read_image
from jointwrist.data.tables import SQUARE_TOLERANCE, parse_spacing
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
#: Largest file that is read.
MAX_FILE_BYTES = 2**29
#: Modalities of single projections; OT is what converters of film scans write.
MODALITIES = ("CR", "DX", "RG", "OT")
#: Storage classes, by pydicom's keyword, of single projections.
STORAGE_CLASSES = (
    "ComputedRadiographyImageStorage",
    "DigitalXRayImageStorageForPresentation",
    "DigitalXRayImageStorageForProcessing",
    "SecondaryCaptureImageStorage",
    "MultiFrameGrayscaleByteSecondaryCaptureImageStorage",
    "MultiFrameGrayscaleWordSecondaryCaptureImageStorage",
)
#: Spacing attributes, the one in the plane of the hand before the one in the plane of the detector.
_SPACINGS = ("PixelSpacing", "ImagerPixelSpacing", "NominalScannedPixelSpacing")
_DEFLATED = "1.2.840.10008.1.2.1.99"


@dataclass(frozen=True)
class Radiograph:
    """One film in its own orientation.

    Attributes:
        pixels: (H, W) float32 in [0, 1], bright bone on dark ground.
        spacing_mm: Pixel spacing in mm, or None if the file gives none that can be used.
        side: "L" or "R", or None if unknown.
        notes: What a person should know of this film, a sentence each; never patient data.
        header: DICOM dataset without its pixels, or None. It holds patient data and is left out of the repr.
        source: File that it came from, or None.
        field: Left, top, right and bottom of the part in pixels that shows the wrist; None where all of it does.
    """

    pixels: np.ndarray = dataclasses.field(repr=False)
    spacing_mm: float | None = None
    side: str | None = None
    notes: tuple[str, ...] = ()
    header: Dataset | None = dataclasses.field(default=None, repr=False)
    source: Path | None = None
    field: tuple[int, int, int, int] | None = None

    @property
    def both_hands(self) -> bool:
        """Whether the header says that both hands are on the film."""
        return self.side is None and self.header is not None and _laterality(self.header) == "B"

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


def load_radiograph(path: str | Path, side: str | None = None, spacing_mm: float | None = None) -> Radiograph:
    """Read a radiograph from a DICOM file or a picture; the file's beginning or ending tells which.

    Args:
        path: File.
        side: "L" or "R". A picture takes it before its file name, which tells the side by ending in `_L` or `_R`; a
            DICOM file takes it where its header names no side.
        spacing_mm: Pixel spacing of a picture, which states none, or of a DICOM file whose header gives none.

    Raises:
        DataError: The file is missing, damaged, or not a single radiograph.
    """
    path = Path(path)
    _check_side(side)
    if _is_dicom(path):
        return read_dicom(path, laterality=side, spacing_mm=spacing_mm)
    named = re.search(r"_([LR])$", path.stem)
    return Radiograph(read_image(path), spacing_mm, side or (named[1] if named else None), source=path)


def find_films(paths: Iterable[str | Path]) -> Iterator[Path]:
    """Yield files, and the radiographs directly within folders.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    endings = {"", *IMAGE_SUFFIXES, *DICOM_SUFFIXES}  # DICOM files often have none
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise DataError(f"{path}: no such file")
            yield path
            continue
        within = sorted(
            file
            for file in path.iterdir()
            if file.is_file() and file.suffix.lower() in endings and not file.name.startswith(".")
        )
        if not within:
            raise DataError(f"{path}: holds no radiographs (BMP, PNG, JPEG, TIFF or DICOM)")
        yield from within


def read_dicom(
    path: str | Path, laterality: str | None = None, window: int = 0, spacing_mm: float | None = None
) -> Radiograph:
    """Read a single-frame radiograph (CR, DX, secondary capture) from a DICOM file.

    Args:
        path: File.
        laterality: "L" or "R", used where the header names no side or both.
        window: Which of several VOI LUTs or windows.
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
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # pydicom quotes faulty values, which may be patient data
            return _read(path, laterality, window, spacing_mm)
    except DataError:
        raise
    except Exception as error:  # pydicom and the decoders raise anything on damaged files
        raise DataError(f"{path}: damaged or unusual DICOM file ({error}); export it again") from error


def _read(path: Path, laterality: str | None, window: int, spacing_mm: float | None) -> Radiograph:
    import pydicom
    from pydicom.errors import InvalidDicomError

    from jointwrist.data.grayscale import displayed

    try:
        meta = pydicom.filereader.read_file_meta_info(path)
        if meta.get("TransferSyntaxUID") == _DEFLATED:
            raise DataError(f"{path}: deflated transfer syntax; convert it to an uncompressed one (dcmconv of DCMTK)")
        dataset = pydicom.dcmread(path)
    except InvalidDicomError:
        raise DataError(f"{path}: not a DICOM file (no DICM prefix); give a picture its own ending") from None
    notes = _check_kind(path, dataset)
    _check_pixels(path, dataset)
    pixels, grey_notes = displayed(pydicom.pixels.pixel_array(dataset), dataset, window)
    spacing, spacing_note = _spacing(dataset, spacing_mm)
    side, side_note = _side(dataset, laterality)
    del dataset.PixelData
    notes = (*notes, *grey_notes, spacing_note, side_note)
    return Radiograph(pixels, spacing, side, tuple(note for note in notes if note), dataset, path)


def _check_kind(path: Path, dataset: Dataset) -> list[str]:
    """Refuse what is no single grey projection; return notes on what is doubtful."""
    notes = []
    storage, modality = dataset.get("SOPClassUID"), dataset.get("Modality")
    if storage and storage.keyword not in STORAGE_CLASSES:
        raise DataError(f"{path}: {storage.name} is not a radiograph (CR, DX or secondary capture)")
    if modality and modality not in MODALITIES:
        raise DataError(f"{path}: modality {str(modality)[:16]!r} is not a radiograph ({', '.join(MODALITIES)})")
    if not modality:
        notes.append("The header names no modality; taken for a radiograph.")
    if "PixelData" not in dataset:
        raise DataError(f"{path}: holds no pixels; the file is cut short, or a report")
    if int(dataset.get("NumberOfFrames") or 1) != 1:
        raise DataError(f"{path}: {dataset.NumberOfFrames} frames; give a single radiograph")
    if dataset.SamplesPerPixel != 1 or dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        kind = str(dataset.PhotometricInterpretation)[:16]
        raise DataError(f"{path}: photometric interpretation {kind!r}; give a grey radiograph (MONOCHROME1 or 2)")
    if dataset.get("PresentationIntentType") == "FOR PROCESSING":
        notes.append("Raw detector data (FOR PROCESSING): the grey scale differs from that of a finished radiograph.")
    return notes


def _check_pixels(path: Path, dataset: Dataset) -> None:
    """Refuse sizes out of bounds, before a decoder reserves memory, and what no installed decoder takes."""
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLSTransferSyntaxes

    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows < 1 or columns < 1:
        raise DataError(f"{path}: an image of {columns} x {rows} pixels; export it again")
    if rows * columns > MAX_PIXELS:
        raise DataError(f"{path}: {columns} x {rows} pixels are more than the {MAX_PIXELS:,} allowed")
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    if not get_decoder(syntax).is_available:
        raise DataError(
            f"{path}: no decoder for {syntax.name}; pip install 'jointwrist[dicom]' has JPEG-LS and JPEG 2000,"
            " 'jointwrist[gpl-codecs]' has lossless JPEG under the GPL"
        )
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    # without an end of image marker CharLS searches on for half a minute before it gives up
    if syntax in JPEGLSTransferSyntaxes and not frame.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise DataError(f"{path}: JPEG-LS image cut short; copy or export it again")
    size = coded_size(frame)
    if size is not None and size != (rows, columns, 1):
        raise DataError(f"{path}: compressed image of {size}, header of {(rows, columns, 1)} (rows, columns, colours)")


def _spacing(dataset: Dataset, asked: float | None) -> tuple[float | None, str]:
    given = []
    for name in _SPACINGS:
        if name not in dataset:
            continue
        try:
            value = str(dataset[name].value)
        except ValueError:
            value = "not a number"
        spacing = parse_spacing(value)
        if spacing is not None:
            if asked is not None and abs(asked / spacing - 1) > SQUARE_TOLERANCE:
                return spacing, f"The header gives a pixel spacing of {spacing:g} mm, not {asked:g}; the header stands."
            at_detector = "The pixel spacing is that at the detector: lengths of the hand come out a little too long."
            return spacing, at_detector if name == "ImagerPixelSpacing" else ""
        given.append(f"{name} {value[:40]}")
    if asked is not None:
        return asked, ""
    if given:
        return None, f"The pixel spacing cannot be used ({', '.join(given)}); lengths are in pixels."
    return None, "The header gives no pixel spacing; lengths are in pixels."


def _laterality(dataset: Dataset) -> str:
    return str(dataset.get("ImageLaterality") or dataset.get("Laterality") or "").strip().upper()


def _side(dataset: Dataset, laterality: str | None) -> tuple[str | None, str]:
    stated = _laterality(dataset)
    if stated in ("L", "R"):
        if laterality in (None, stated):
            return stated, ""
        return stated, f"The header names the side {stated}, not {laterality} as asked; the header stands."
    return laterality, ""


def _is_dicom(path: Path) -> bool:
    if path.suffix.lower() in DICOM_SUFFIXES:
        return True
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def _check_side(side: str | None) -> None:
    if side not in (None, "L", "R"):
        raise ValueError(f"a side is 'L' or 'R', not {side!r}")
