"""Check the kind of image that a DICOM header describes: single grey projections are accepted, all others refused.

Messages and notes quote only coded values and numbers from the header: any other element may hold patient data.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jointwrist.data.dicom.elements import element_numbers, element_text
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
    "MultiFrameTrueColorSecondaryCaptureImageStorage",
)
#: Attributes without which pixels cannot be decoded.
_PIXELS = (
    *("Rows", "Columns", "SamplesPerPixel", "PhotometricInterpretation"),
    *("BitsAllocated", "BitsStored", "PixelRepresentation"),
)
#: Samples per pixel by photometric interpretation. Colour is accepted where all pixels are grey.
SAMPLES = {
    **dict.fromkeys(("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR"), 1),
    **dict.fromkeys(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"), 3),
}
#: PresentationLUTShape of MONOCHROME2 and of MONOCHROME1 (PS3.3, C.8.11.3).
_SHAPES = ("IDENTITY", "INVERSE")
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
    """Refuse images other than single grey projections.

    Returns:
        Notes on doubtful statements of the header.

    Raises:
        DataError: It is another kind of image, or attributes that describe its pixels are missing.
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
        raise DataError(f"{path}: its number of frames is not a number; export it again")
    if frames and frames[0] not in (0, 1):
        raise DataError(f"{path}: {frames[0]:g} frames; give a single radiograph")
    if SAMPLES.get(dataset.PhotometricInterpretation) != dataset.SamplesPerPixel:
        kind, samples = _code(dataset.PhotometricInterpretation), dataset.SamplesPerPixel
        raise DataError(
            f"{path}: photometric interpretation {kind} with {samples} samples a pixel; give a grey radiograph"
            " (MONOCHROME1 or 2)"
        )
    shape = element_text(dataset, "PresentationLUTShape").upper()
    monochrome = str(dataset.PhotometricInterpretation).startswith("MONOCHROME")
    if monochrome and shape in _SHAPES and shape != _SHAPES[dataset.PhotometricInterpretation == "MONOCHROME1"]:
        notes.append(
            f"PresentationLUTShape {shape} contradicts {dataset.PhotometricInterpretation}, which was used: look at"
            " the overlay."
        )
    if dataset.get("PresentationIntentType") == "FOR PROCESSING":
        notes.append("Raw detector data (FOR PROCESSING): the grey scale differs from that of a finished radiograph.")
    return notes


def _code(value: object) -> str:
    """Return a coded value in quotes; other text is not repeated."""
    text = str(value)
    return repr(text) if re.fullmatch("[A-Z0-9_ ]{1,16}", text) else "(no code)"


def flatten_functional_groups(dataset: Dataset) -> None:
    """Copy the functional groups of a single frame (PS3.3, C.7.6.16) to the top level, where other images have them."""
    for groups in ("PerFrameFunctionalGroupsSequence", "SharedFunctionalGroupsSequence"):
        for group in list(dataset.get(groups) or ())[:1]:
            for sequence, names in _GROUPS.items():
                for item in list(group.get(sequence) or ())[:1]:
                    for name in names:
                        if name in item and name not in dataset:
                            dataset.add(item[name])
