"""Attributes of the source radiograph that its DICOM results copy."""

from __future__ import annotations

import re
import secrets
from typing import TYPE_CHECKING

from jointwrist.errors import DataError, require

if TYPE_CHECKING:
    from pydicom import Dataset

    from jointwrist.data.radiograph import Radiograph

_REFERENCE = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "Rows", "Columns")
_LOSSY = ("LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod")
_STUDY = ("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID")
#: Part of every new UID, drawn once per process and never stored.
_SECRET = secrets.token_hex(32)
_PATIENT = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")


def source_dataset(radiograph: Radiograph, deidentify: bool) -> Dataset:
    """Return the attributes of a radiograph that are copied into its results.

    This is the reference to the image, whether it was ever compressed with loss, the radiograph's pixel spacing, which
    may be that at the detector, and the attributes of patient and study without which the result is not filed with it
    (types 1 and 2 of the Patient and General Study modules, and the issuer of the identifier); nothing else of the
    header.

    De-identified, the attributes of patient and study are empty, and the UIDs of study, series and image are replaced
    (PS3.15, annex E). All results of one process get the same new UID for the same old one, so that results of one
    study stay together; the old UIDs cannot be computed from the new ones.

    Raises:
        DataError: The radiograph is not a DICOM image, or its header lacks what a reference needs.
        MissingExtraError: highdicom is not installed.
    """
    require("highdicom", "dicom")
    from pydicom import Dataset
    from pydicom.uid import UID, generate_uid
    from pydicom.valuerep import DSfloat

    if radiograph.header is None:
        raise DataError(f"{radiograph.source or 'array'}: not a DICOM radiograph; DICOM results need one to refer to")
    missing = [name for name in _REFERENCE if not radiograph.header.get(name)]
    if missing:
        raise DataError(
            f"{radiograph.source or 'header'}: no {', '.join(missing)}; a DICOM result cannot refer to this image"
        )
    broken = [
        name for name in _REFERENCE if name.endswith("UID") and not UID(str(radiograph.header[name].value)).is_valid
    ]
    if broken:
        raise DataError(
            f"{radiograph.source or 'header'}: {', '.join(broken)} is not a valid UID, and a DICOM result cannot refer"
            " to it; correct it in the archive (dcmodify of DCMTK)"
        )
    if radiograph.header.SOPClassUID.keyword.startswith("MultiFrame"):
        # highdicom requires the functional groups of enhanced images in every multi-frame source
        raise DataError(f"{radiograph.source}: a multi-frame image; convert it to a single-frame one for DICOM results")
    source = Dataset()
    for name in (*_REFERENCE, *(name for name in _LOSSY if radiograph.header.get(name))):
        setattr(source, name, radiograph.header[name].value)
    source.Modality = radiograph.header.get("Modality") or "OT"
    if radiograph.pixel_mm is not None:
        source.PixelSpacing = [DSfloat(side, auto_format=True) for side in radiograph.pixel_mm]
        # a projection has no thickness, but highdicom reads no measures without one
        source.SliceThickness = source.PixelSpacing[1]
    for name in (*_STUDY, *_PATIENT):
        setattr(source, name, "" if deidentify else _text(radiograph.header, name))
    issuer = "" if deidentify else _text(radiograph.header, "IssuerOfPatientID")
    if issuer:  # type 3, without which an identifier may be that of another hospital's patient
        source.IssuerOfPatientID = issuer
    if deidentify:
        for name in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(source, name, generate_uid(entropy_srcs=[_SECRET, source[name].value]))
    return source


def orientation(header: Dataset) -> list[str] | str:
    """Return PatientOrientation of a header, or an empty string if it is missing or invalid."""
    directions = header.get("PatientOrientation") or ()
    valid = len(directions) == 2 and all(re.fullmatch("[ARLPHF]{1,3}", str(direction)) for direction in directions)
    return [str(direction) for direction in directions] if valid else ""


def _text(header: Dataset, name: str) -> str:
    """Return the text of an element; empty if it is missing or violates its value representation."""
    from pydicom.config import RAISE
    from pydicom.datadict import dictionary_VR
    from pydicom.multival import MultiValue
    from pydicom.valuerep import DA, TM, validate_value

    kind = dictionary_VR(name)
    text = str(header.get(name) or "").strip()
    if name == "PatientSex":
        return text if text in ("M", "F", "O") else ""
    try:
        validate_value(kind, text, RAISE)  # length and characters
        {"DA": DA, "TM": TM}.get(kind, str)(text)  # a day and an hour that exist
    except ValueError:
        return ""
    return "" if "\\" in text or isinstance(header.get(name), MultiValue) else text
