"""What a DICOM header says of a radiograph: kind and size of image, and orientation.

Messages and notes repeat no text of the header but coded values and numbers: any element may hold patient data.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.data.dicom.codestream import coded_image
from jointwrist.data.dicom.elements import element_numbers, element_text
from jointwrist.data.images import check_size
from jointwrist.errors import DataError

if TYPE_CHECKING:
    from pydicom import Dataset

#: Modalities of single projections; OT is what converters of radiograph scans write.
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
#: Attributes without which pixels cannot be decoded.
_PIXELS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation"),
)
#: PresentationLUTShape of MONOCHROME2 and of MONOCHROME1 (PS3.3, C.8.11.3).
_SHAPES = ("IDENTITY", "INVERSE")
#: Directions of rows and columns of a posteroanterior hand with the fingers upwards, left or right: they are those of
#: the standard anatomic position, where the fingers point to the feet and the thumbs outwards (PS3.17, annex A).
_UPWARDS = "L\\H"


#: Functional groups of a multi-frame image, and those of their elements that other images have in the data set itself.
_GROUPS = {
    "PixelMeasuresSequence": ("PixelSpacing",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth", "VOILUTFunction"),
    "FrameAnatomySequence": ("AnatomicRegionSequence",),
}


@contextmanager
def silence_header_warnings() -> Iterator[None]:
    """Silence warnings of pydicom and highdicom: they quote values of the header, which may be patient data."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def check_kind(path: Path, dataset: Dataset) -> list[str]:
    """Refuse what is no single grey projection; return notes on what is doubtful.

    Raises:
        DataError: It is none.
    """
    notes = []
    storage, modality = dataset.get("SOPClassUID"), dataset.get("Modality")
    if storage and storage.keyword not in STORAGE_CLASSES:
        name = storage.name if storage.keyword else "a kind of object that DICOM does not know"
        raise DataError(f"{path}: {name} is not a radiograph (CR, DX or secondary capture)")
    if modality and modality not in MODALITIES:
        raise DataError(f"{path}: modality {_code(modality)} is not a radiograph ({', '.join(MODALITIES)})")
    if not modality:
        notes.append("The header names no modality; taken for a radiograph.")
    if any(name in dataset for name in ("FloatPixelData", "DoubleFloatPixelData")):
        raise DataError(f"{path}: holds floating point pixels; export it with whole numbers (PixelData)")
    if "PixelData" not in dataset:
        raise DataError(f"{path}: holds no pixels; the file is cut short, or a report")
    missing = [name for name in _PIXELS if dataset.get(name) is None]
    if missing:
        raise DataError(f"{path}: no {', '.join(missing)} in the header; export it again")
    frames = element_numbers(dataset, "NumberOfFrames")
    if frames is None:
        raise DataError(f"{path}: its number of frames is no number; export it again")
    if frames and frames[0] not in (0, 1):
        raise DataError(f"{path}: {frames[0]:g} frames; give a single radiograph")
    if dataset.SamplesPerPixel != 1 or dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        kind = _code(dataset.PhotometricInterpretation)
        raise DataError(f"{path}: photometric interpretation {kind}; give a grey radiograph (MONOCHROME1 or 2)")
    shape = element_text(dataset, "PresentationLUTShape").upper()
    if shape in _SHAPES and shape != _SHAPES[dataset.PhotometricInterpretation == "MONOCHROME1"]:
        notes.append(
            f"PresentationLUTShape {shape} contradicts {dataset.PhotometricInterpretation}, which stands: look at the"
            " overlay."
        )
    if dataset.get("PresentationIntentType") == "FOR PROCESSING":
        notes.append("Raw detector data (FOR PROCESSING): the grey scale differs from that of a finished radiograph.")
    return notes


def _code(value: object) -> str:
    """Return a coded value in quotes; what is none is not repeated."""
    text = str(value)
    return repr(text) if re.fullmatch("[A-Z0-9_ ]{1,16}", text) else "(no code)"


def lift_frame(dataset: Dataset) -> None:
    """Put what the functional groups of a single frame say (PS3.3, C.7.6.16) where other images have it."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in list(dataset.get(groups) or ())[:1]:
            for sequence, names in _GROUPS.items():
                for item in list(group.get(sequence) or ())[:1]:
                    for name in names:
                        if name in item and name not in dataset:
                            dataset.add(item[name])


def check_pixels(path: Path, dataset: Dataset) -> list[str]:
    """Refuse sizes out of bounds, before a decoder reserves memory, and what no installed decoder takes.

    Returns notes on what is doubtful.

    Raises:
        DataError: The pixels cannot be decoded safely.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEGLSTransferSyntaxes

    rows, columns = int(dataset.Rows), int(dataset.Columns)
    if rows < 1 or columns < 1:
        raise DataError(f"{path}: an image of {columns} x {rows} pixels; export it again")
    check_size(path, columns, rows)
    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return []
    try:
        available = get_decoder(syntax).is_available
    except NotImplementedError:  # pydicom knows no decoder for this syntax, installed or not
        available = False
    if not available:
        raise DataError(
            f"{path}: no decoder for {syntax.name}; pip install 'jointwrist[dicom]' has JPEG-LS and JPEG 2000,"
            " 'jointwrist[gpl-codecs]' has lossless JPEG and JPEG of 12 bits under the GPL; or convert it to an"
            " uncompressed one (dcmdjpeg of DCMTK)"
        )
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    # without an end of image marker CharLS searches on for half a minute before it gives up
    if syntax in JPEGLSTransferSyntaxes and not frame.rstrip(b"\0").endswith(b"\xff\xd9"):
        raise DataError(f"{path}: JPEG-LS image cut short; copy or export it again")
    coded = coded_image(frame)
    if coded is not None and coded[:3] != (rows, columns, 1):
        stated = f"header of {(rows, columns, 1)} (rows, columns, colours)"
        raise DataError(f"{path}: compressed image of {coded[:3]}, {stated}; export it again")
    if coded is not None and coded.precision < int(dataset.BitsStored):
        note = f"The compressed image has {coded.precision} bits, its header says {dataset.BitsStored}: a stored window"
        return [f"{note} may not fit, look at the overlay."]
    return []


def orientation_notes(dataset: Dataset) -> list[str]:
    """Say where the header speaks of another orientation than that of a posteroanterior hand with the fingers upwards.

    Pixels are left as they are: some devices write one that is not that of a hand.
    """
    notes = []
    directions = element_text(dataset, "PatientOrientation").upper()
    if re.fullmatch(r"[ARLPHF]{1,3}\\[ARLPHF]{1,3}", directions):
        if re.sub("([A-Z])[A-Z]*", r"\1", directions) != _UPWARDS:
            notes.append(
                f"PatientOrientation {directions} is not that of a posteroanterior hand with the fingers upwards"
                f" ({_UPWARDS}): the radiograph may be turned or mirrored, look at the overlay."
            )
    elif element_text(dataset, "FieldOfViewHorizontalFlip") == "YES" or _turned(
        element_text(dataset, "FieldOfViewRotation")
    ):
        notes.append(
            "The header says that the image was turned or mirrored after exposure, not how the hand lies on it: look"
            " at the overlay."
        )
    return notes


def _turned(degrees: str) -> bool:
    return bool(re.fullmatch(r"\d+(\.\d*)?", degrees)) and float(degrees) % 360 != 0
