"""The hand on a radiograph according to its DICOM header: coded laterality, then descriptions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from jointwrist.data.dicom.elements import code_meaning, element_text
from jointwrist.data.side_from_text import ABBREVIATIONS, ASKED, NAME, agree, side_of_name, side_of_text

if TYPE_CHECKING:
    from pydicom import Dataset

#: Codes of the concepts left, right, and right and left: SNOMED CT, and SNOMED RT as older files have it.
_CODED_SIDES = {
    "7771000": "L", "24028007": "R", "51440002": "B", "G-A101": "L", "G-A100": "R", "G-A102": "B",
}  # fmt: skip
#: Elements whose text may name the hand, the most specific first; those of a study may refer to both of its
#: radiographs.
_TEXTS = (
    ("the body part in the header", ("BodyPartExamined",)),
    (
        "the series description",
        (
            *("SeriesDescription", "ProtocolName", "AcquisitionProtocolDescription"),
            "AcquisitionDeviceProcessingDescription",
        ),
    ),
    (
        "the study description",
        ("PerformedProcedureStepDescription", "RequestedProcedureDescription", "StudyDescription"),
    ),
)
#: Sequences of codes whose meaning may name the hand.
_CODES = (
    *("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence", "SeriesDescriptionCodeSequence"),
    *("PerformedProtocolCodeSequence", "ProcedureCodeSequence"),
)
#: Texts of the order of a radiograph, in the items of RequestAttributesSequence.
_ORDERED = ("ScheduledProcedureStepDescription", "RequestedProcedureDescription")


def stated_laterality(dataset: Dataset) -> str:
    """Return the hand that a coded element of the header names: "L", "R", "B" for both, or an empty string.

    In order: ImageLaterality, Laterality, FrameLaterality, then the modifiers of anatomic region and structure.
    """
    return next((side for _, side in _coded_sides(dataset)), "")


def find_side(dataset: Dataset, asked: str | None, name: str = "") -> tuple[str | None, tuple[str, ...]]:
    """Return the hand on a radiograph, "L", "R" or None, and cautions on sources that contradict each other.

    A coded element overrides the requested side, which overrides descriptions and the file name.

    Args:
        dataset: Header.
        asked: Side given by the user.
        name: File name.
    """
    coded = [(f"the header's {name}", side) for name, side in _coded_sides(dataset)]
    if coded and coded[0][1] == "B":
        return agree([(ASKED, asked)])
    return agree([*coded, (ASKED, asked), *_described_sides(dataset), (NAME, side_of_name(name))])


def _coded_sides(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Yield the name of each coded element that names a hand, and the hand: "L", "R" or "B"."""
    for name in ("ImageLaterality", "Laterality"):
        yield from ((name, side) for side in _side_code(element_text(dataset, name)))
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in dataset.get(groups) or ():
            for item in group.get("FrameAnatomySequence") or ():
                yield from (("FrameLaterality", side) for side in _side_code(element_text(item, "FrameLaterality")))
    for region, modifiers in (
        ("AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
        ("PrimaryAnatomicStructureSequence", "PrimaryAnatomicStructureModifierSequence"),
    ):
        for item in dataset.get(region) or ():
            for code in item.get(modifiers) or ():
                known = _CODED_SIDES.get(element_text(code, "CodeValue"))
                side = known or side_of_text(element_text(code, "CodeMeaning"))
                if side:
                    yield modifiers, side


def _side_code(value: str) -> Iterator[str]:
    """Yield "L", "R" or "B" for a laterality code or word; U, for unpaired organs, yields nothing."""
    side = "B" if value.upper() == "B" else ABBREVIATIONS.get(value.lower()) or side_of_text(value)
    if side:
        yield side


def _described_sides(dataset: Dataset) -> Iterator[tuple[str, str | None]]:
    for source, names in _TEXTS:
        yield from ((source, side_of_text(element_text(dataset, name))) for name in names)
        if source == _TEXTS[0][0]:
            for name in _CODES:
                yield "the anatomic region in the header", side_of_text(code_meaning(dataset, name))
    orders = dataset.get("RequestAttributesSequence") or ()
    yield "the order in the header", side_of_text(" ".join(element_text(item, n) for item in orders for n in _ORDERED))
