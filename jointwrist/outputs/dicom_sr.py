"""DICOM structured report of erosion findings (TID 1500, PS3.16) with one measurement group per joint surface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from jointwrist import __version__
from jointwrist.anatomy import NOT_SCORED, JointSurface
from jointwrist.data.dicom.header import silence_header_warnings
from jointwrist.inference.scope.report import COARSE, NOT_SEPARABLE, OUTSIDE, Limit
from jointwrist.outputs.dicom_codes import PRIVATE_SCHEME, bone_code, code, laterality
from jointwrist.outputs.dicom_instance import MANUFACTURER, mark_deidentified, new_instance
from jointwrist.outputs.dicom_source import source_dataset
from jointwrist.text import NOTICE

if TYPE_CHECKING:
    from highdicom.sr import (
        ComprehensiveSR,
        MeasurementReport,
        MeasurementsAndQualitativeEvaluations,
        ObservationContext,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
    )
    from highdicom.sr.coding import CodedConcept
    from pydicom import Dataset

    from jointwrist.inference.joint_scores import JointScores
    from jointwrist.inference.result import WristResult

SERIES_NUMBER = 7602
#: (value, meaning) in the private scheme.
EROSION = ("EROSION", "Bone erosion")
SCORE = "SVH_EROSION"
THRESHOLD = ("THRESHOLD", "Probability from which erosion counts as present")
NOT_ASSESSED = ("NOT_ASSESSED", "Not assessed")
SCOPE = ("SCOPE", "Scope of the weights")
#: Values of it by status, or by finding outside the scope.
LIMITS = {
    NOT_SEPARABLE: ("NOT_SEPARABLE", "Not separable from another bone"),
    COARSE: ("COARSE", "Too few pixels across the wrist for erosion scores"),
    "implant": ("OUT_IMPLANT", "Outside the weights' scope: implant"),
    "cast": ("OUT_CAST", "Outside the weights' scope: cast"),
    "growth plate": ("OUT_GROWTH", "Outside the weights' scope: growth plate"),
    "other projection": ("OUT_PROJECTION", "Outside the weights' scope: other projection"),
}


@silence_header_warnings()
def build_sr(result: WristResult, deidentify: bool = False) -> ComprehensiveSR:
    """Make a structured report of a prediction.

    Each joint surface is a measurement group with its bone and side as the finding site; the probability
    of erosion (0 to 1); erosion as present or absent at the model's threshold; the score level; and the joint box as a
    region of the source image. The probability repeats the box as the region it was inferred from, which Cornerstone
    (OHIF) needs to create a rectangle. Scores other than erosion have separate groups. A surface without a score is
    reported as not assessed, and one that cannot be judged well with the reason. Comments at the end say how far the
    scores can be trusted and that they are not for diagnosis. The report is complete but unverified.

    Args:
        result: Prediction of a DICOM radiograph by a joint network.
        deidentify: Leave patient and study empty, and replace the UIDs of study, series and image.

    Raises:
        DataError: The prediction is not of a DICOM image.
        MissingExtraError: highdicom is not installed.
    """
    source = source_dataset(result.radiograph, deidentify)
    import highdicom as hd
    from highdicom.coding_schemes import CodingSchemeIdentificationItem

    report = hd.sr.ComprehensiveSR(
        evidence=[source],
        content=_report(result, source),
        is_complete=True,
        is_verified=False,
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator=PRIVATE_SCHEME, name="jointwrist", version=__version__, responsible_organization=MANUFACTURER
            )
        ],
        **new_instance(SERIES_NUMBER, f"{result.anatomy.name.capitalize()} erosion"),
    )
    _separate(report)
    if deidentify:
        mark_deidentified(report)
    return report


def _separate(item: Dataset) -> None:
    """Set ContinuityOfContent to SEPARATE: viewers show continuous items without their names."""
    if "ContinuityOfContent" in item:
        item.ContinuityOfContent = "SEPARATE"
    for child in item.get("ContentSequence", ()):
        _separate(child)


def _report(result: WristResult, source: Dataset) -> MeasurementReport:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    report = hd.sr.MeasurementReport(
        observation_context=_observer(),
        procedure_reported=codes.LN.XRUnspecifiedBodyRegion,
        imaging_measurements=[
            *(_group(joint, result, source) for joint in result.anatomy.eroded_joints),
            *(
                _further_group(result.anatomy.joints[joint], found, result, source)
                for found in result.further
                for joint in found.score.joints
            ),
        ],
        title=codes.DCM.ImagingMeasurementReport,
    )
    for sentence in (*result.score_warnings, NOTICE):
        comment = hd.sr.TextContentItem(codes.DCM.Comment, sentence, hd.sr.RelationshipTypeValues.CONTAINS)
        report[0].ContentSequence.append(comment)
    return report


def _observer() -> ObservationContext:
    import highdicom as hd
    from pydicom.sr.codedict import codes
    from pydicom.uid import generate_uid

    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=generate_uid(entropy_srcs=["jointwrist", __version__]),
                name="jointwrist",
                manufacturer_name=MANUFACTURER,
                model_name="jointwrist",
            ),
        )
    )


def _group(
    joint: JointSurface, result: WristResult, source: Dataset
) -> PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    erosion = code(PRIVATE_SCHEME, *EROSION)
    common = _common(joint, joint.name, erosion, result)
    limits = _limits(result.limits(joint.index))
    if not result.scored[joint.index]:
        not_assessed = hd.sr.QualitativeEvaluation(erosion, code(PRIVATE_SCHEME, *NOT_ASSESSED))
        image = hd.sr.SourceImageForMeasurementGroup.from_source_image(source)
        return hd.sr.MeasurementsAndQualitativeEvaluations(
            qualitative_evaluations=[not_assessed, *limits], source_images=[image], **common
        )
    level, probability = int(result.scores[joint.index]), float(result.probabilities[joint.index])
    score = result.anatomy.erosion
    label = score.labels[level]
    box = _rectangle(result.boxes[joint.index], result.radiograph.pixels.shape)
    group = hd.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        referenced_region=hd.sr.ImageRegion(source_image=hd.sr.SourceImageForRegion.from_source_image(source), **box),
        measurements=[
            hd.sr.Measurement(codes.DCM.Probability, round(probability, 6), codes.UCUM.NoUnits),
            hd.sr.Measurement(code(PRIVATE_SCHEME, *THRESHOLD), float(result.threshold), codes.UCUM.NoUnits),
        ],
        qualitative_evaluations=[
            hd.sr.QualitativeEvaluation(erosion, codes.SCT.Present if result.eroded[joint.index] else codes.SCT.Absent),
            hd.sr.QualitativeEvaluation(
                code(PRIVATE_SCHEME, SCORE, score.display),
                code(PRIVATE_SCHEME, f"SVH_{label.replace('-', '_')}", f"Score {label}"),
            ),
            *limits,
        ],
        **common,
    )
    number = next(item for item in group[0].ContentSequence if item.ValueType == "NUM")
    origin = hd.sr.SourceImageForRegion.from_source_image(source)
    number.ContentSequence = [hd.sr.CoordinatesForMeasurement(source_image=origin, **box)]
    return group


def _further_group(
    joint: JointSurface, found: JointScores, result: WristResult, source: Dataset
) -> MeasurementsAndQualitativeEvaluations:
    """Make the measurement group of a joint in a score other than erosion."""
    import highdicom as hd
    from pydicom.sr.codedict import codes

    score, level = found.score, int(found.levels[joint.index])
    finding = code(PRIVATE_SCHEME, score.name.upper(), score.display)
    measured, said = [], code(PRIVATE_SCHEME, *NOT_ASSESSED)
    if level != NOT_SCORED:
        probability = round(float(found.probabilities[joint.index]), 6)
        measured = [hd.sr.Measurement(codes.DCM.Probability, probability, codes.UCUM.NoUnits)]
        label = score.labels[level]
        said = code(PRIVATE_SCHEME, f"{score.name.upper()}_{label.replace('-', '_')}", f"Score {label}")
    limits = () if result.scope is None else result.scope.of_joint(joint)  # those of coarse pixels concern erosion
    return hd.sr.MeasurementsAndQualitativeEvaluations(
        measurements=measured,
        qualitative_evaluations=[hd.sr.QualitativeEvaluation(finding, said), *_limits(limits)],
        source_images=[hd.sr.SourceImageForMeasurementGroup.from_source_image(source)],
        **_common(joint, f"{joint.name} {score.name}", finding, result),
    )


def _common(joint: JointSurface, name: str, finding: CodedConcept, result: WristResult) -> dict[str, Any]:
    """Return the content that all groups share: joint, finding, side and network."""
    import highdicom as hd

    return {
        "tracking_identifier": hd.sr.TrackingIdentifier(uid=hd.UID(), identifier=name),
        "finding_type": finding,
        "finding_sites": [
            hd.sr.FindingSite(bone_code(result.anatomy.bones[joint.bone]), laterality=laterality(result.radiograph))
        ],
        "algorithm_id": hd.sr.AlgorithmIdentification(
            name=result.model or "jointwrist",
            version=__version__,
            parameters=[
                *([f"Weights: {result.weight_file}"] if result.weight_file else []),
                str(result.history),
                *result.resolution_notes,
            ],
        ),
    }


def _limits(limits: Sequence[Limit]) -> list[QualitativeEvaluation]:
    """Return an evaluation for each limit of a joint surface."""
    import highdicom as hd

    kinds = dict.fromkeys(one.reason if one.status == OUTSIDE else one.status for one in limits)
    name = code(PRIVATE_SCHEME, *SCOPE)
    return [hd.sr.QualitativeEvaluation(name, code(PRIVATE_SCHEME, *LIMITS[kind])) for kind in kinds]


def _rectangle(box: np.ndarray, shape: tuple[int, int]) -> dict[str, Any]:
    """Return a box as a closed polyline within the image; coordinates from 0 at the image's upper left edge."""
    import highdicom as hd

    height, width = shape
    x0, y0, x1, y1 = np.clip(box, 0, [width, height, width, height]).astype(float).tolist()
    return {
        "graphic_type": hd.sr.GraphicTypeValues.POLYLINE,
        "graphic_data": np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]),
    }
