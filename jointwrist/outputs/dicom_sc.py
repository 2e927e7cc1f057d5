"""DICOM secondary capture of the overlay, a colour image that every viewer can show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jointwrist.data.dicom.header import silence_header_warnings
from jointwrist.outputs.dicom_instance import mark_deidentified, new_instance
from jointwrist.outputs.dicom_source import orientation, source_dataset
from jointwrist.outputs.overlay import draw_overlay

if TYPE_CHECKING:
    from highdicom.sc import SCImage

    from jointwrist.inference.result import WristResult

SERIES_NUMBER = 7604


@silence_header_warnings()
def build_sc(result: WristResult, deidentify: bool = False) -> SCImage:
    """Make a secondary capture of the overlay with its legend.

    The image is not meant for measurements: it has no pixel spacing, is marked as having burned-in annotations, and
    references the source radiograph.

    Args:
        result: Prediction of a DICOM radiograph.
        deidentify: Leave patient and study empty, and replace the UIDs of study, series and image.

    Raises:
        DataError: The prediction is not of a DICOM image.
        MissingExtraError: highdicom is not installed.
    """
    source = source_dataset(result.radiograph, deidentify)
    import highdicom as hd
    from pydicom import Dataset
    from pydicom.sr.codedict import codes

    capture = hd.sc.SCImage.from_ref_dataset(
        source,
        pixel_array=np.asarray(draw_overlay(result)),
        photometric_interpretation=hd.PhotometricInterpretationValues.RGB,
        bits_allocated=8,
        coordinate_system=hd.CoordinateSystemNames.PATIENT,
        patient_orientation=("L", "H"),  # highdicom takes no empty one; the radiograph's own replaces it below
        laterality=result.radiograph.side,
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        **new_instance(SERIES_NUMBER, f"{result.anatomy.name.capitalize()} overlay"),
    )
    capture.copy_patient_and_study_information(source)  # highdicom copies some of it
    capture.PatientOrientation = orientation(result.radiograph.header)
    capture.BurnedInAnnotation = "YES"
    capture.DerivationDescription = "Overlay of bone masks and erosion scores by research software"
    reference = Dataset()
    reference.ReferencedSOPClassUID = source.SOPClassUID
    reference.ReferencedSOPInstanceUID = source.SOPInstanceUID
    reference.PurposeOfReferenceCodeSequence = [
        hd.sr.CodedConcept.from_code(codes.DCM.SourceImageForImageProcessingOperation)
    ]
    capture.SourceImageSequence = [reference]
    if deidentify:
        mark_deidentified(capture)
    return capture
