"""DICOM segmentation of a result: one binary segment per bone on the source's pixel grid; segments may overlap."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from jointwrist import __version__
from jointwrist.anatomy import Bone
from jointwrist.data.dicom.header import silence_header_warnings
from jointwrist.outputs.dicom_codes import bone_code, code, content_label, laterality
from jointwrist.outputs.dicom_instance import mark_deidentified, new_instance
from jointwrist.outputs.dicom_source import orientation, source_dataset

if TYPE_CHECKING:
    from highdicom.seg import Segmentation, SegmentDescription

    from jointwrist.inference.result import WristResult

SERIES_NUMBER = 7601


@silence_header_warnings()
def build_seg(result: WristResult, deidentify: bool = False) -> Segmentation:
    """Make a segmentation object (BINARY) of a prediction.

    It has a frame of the source's rows and columns for each bone, in their order, segment number = channel + 1,
    also for bones that were not found (their frames are empty). A radiograph has no frame of reference, so each frame
    names the source image, on whose pixel grid, spacing and orientation it lies (PS3.3 A.51.5).

    Args:
        result: Prediction of a DICOM radiograph.
        deidentify: Leave patient and study empty, and replace the UIDs of study, series and image.

    Raises:
        DataError: The prediction is not of a DICOM image.
        MissingExtraError: highdicom is not installed.
    """
    source = source_dataset(result.radiograph, deidentify)
    import highdicom as hd

    seg = hd.seg.Segmentation(
        source_images=[source],
        pixel_array=np.moveaxis(result.masks, 0, -1)[None].astype(np.uint8),
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(bone, result) for bone in result.anatomy.bones],
        content_label=content_label(result.anatomy, "_BONES"),
        content_description="Research software, not a medical device",
        omit_empty_frames=False,
        **new_instance(SERIES_NUMBER, f"{result.anatomy.name.capitalize()} bones"),
    )
    seg.PatientOrientation = orientation(result.radiograph.header)  # highdicom leaves it out
    if result.radiograph.pixel_mm is None and result.radiograph.aspect != 1:
        seg.PixelAspectRatio = result.radiograph.header.PixelAspectRatio
    if deidentify:
        mark_deidentified(seg)
    return seg


def _describe(bone: Bone, result: WristResult) -> SegmentDescription:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    region = result.anatomy.region
    item = hd.seg.SegmentDescription(
        segment_number=bone.index + 1,
        segment_label=bone.display,
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=bone_code(bone),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=result.model or "jointwrist",
            version=__version__,
            family=codes.cid7162.ArtificialIntelligence,
            parameters={"weights": result.weight_file} if result.weight_file else None,
        ),
        anatomic_regions=[code(*region)] if region else None,
        primary_anatomic_structures=[code(*part) for part in bone.parts] or None,
        display_color=hd.color.CIELabColor.from_rgb(*bone.colour),
    )
    side = laterality(result.radiograph)
    if side is not None:
        modifier = hd.sr.CodedConcept.from_code(side)
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
        if region:
            item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = [modifier]
    return item
