"""Which hand a DICOM header speaks of, and whether it speaks of what the network was made for: adults' wrists, seen PA.

Notes repeat no text of the header but coded values: any element may hold patient data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING

from jointwrist.data.elements import element_text
from jointwrist.data.side import (
    ABBREVIATIONS,
    ASKED,
    HANDS,
    NAME,
    agree,
    folded_words,
    side_of_name,
    side_of_text,
)

if TYPE_CHECKING:
    from pydicom import Dataset

#: Codes of the concepts left, right, and right and left: SNOMED CT, and SNOMED RT as older files have it.
_CODED_SIDES = {
    "7771000": "L", "24028007": "R", "51440002": "B", "G-A101": "L", "G-A100": "R", "G-A102": "B",
}  # fmt: skip
#: Elements whose text may name the hand, the more particular first; those of a study may speak of both radiographs of
#: it.
_TEXTS = (
    ("the body part in the header", ("BodyPartExamined",)),
    ("the series description", ("SeriesDescription", "ProtocolName", "AcquisitionDeviceProcessingDescription")),
    (
        "the study description",
        ("PerformedProcedureStepDescription", "RequestedProcedureDescription", "StudyDescription"),
    ),
)
#: Sequences of codes whose meaning may name the hand.
_CODES = ("AnatomicRegionSequence", "PrimaryAnatomicStructureSequence", "ProcedureCodeSequence")
#: Years below which bones still grow.
ADULT = 18
_YEARS = {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}
#: Elements that say when a radiograph was taken, the nearest to the exposure first.
TAKEN = ("AcquisitionDate", "AcquisitionDateTime", "ContentDate", "SeriesDate", "StudyDate")
#: What a body part may be called besides a hand: the limb that it belongs to, or nothing in particular.
_LIMBS = frozenset(
    "upper extremity extremities limb skeleton unknown other unspecified undefined default up exm obere extremitat"
    " extremidad superior membre superieur arto superiore".split()
)
#: What words for hand and wrist hold, the last of them Japanese and Chinese, and Korean.
_HAND = "hand|wrist|carp|finger|thumb|poignet|muneca|polso|scaphoid|手|腕|손"
#: Ways to say posteroanterior; DP is dorsopalmar.
_FRONTAL = frozenset("pa dp dv posteroanterior postero dorsopalmar dorsovolar dorso".split())
_OBLIQUE = frozenset(
    "lat lateral ll rl oblique obl seitl seitlich schrag profil profile ap anteroposterior mediolateral"
    " lateromedial axial tangential ballcatcher norgaard zitherspieler".split()
)


def stated_laterality(dataset: Dataset) -> str:
    """Return the hand that a coded element of the header names: "L", "R", "B" for both, or an empty string.

    In order: ImageLaterality, Laterality, FrameLaterality, then the modifiers of anatomic region and structure.
    """
    return next(_coded_sides(dataset), "")


def find_side(dataset: Dataset, asked: str | None, name: str = "") -> tuple[str | None, tuple[str, ...]]:
    """Return the hand on a radiograph, "L", "R" or None, and sentences on sources that contradict each other.

    A coded element stands over the side that was asked for, and this over descriptions and the file's name.

    Args:
        dataset: Header.
        asked: Side that the user said.
        name: File's name.
    """
    coded = [("the header's laterality", side) for side in _coded_sides(dataset)]
    if coded and coded[0][1] == "B":
        return agree([(ASKED, asked)])
    return agree([*coded, (ASKED, asked), *_described_sides(dataset), (NAME, side_of_name(name))])


def scope_cautions(dataset: Dataset) -> tuple[str, ...]:
    """Say where the header speaks of a child, of another part of the body, or of another view."""
    cautions = []
    if _is_child(dataset):
        cautions.append("The header gives an age under 18: the network has seen no growing bones.")
    words = folded_words(element_text(dataset, "BodyPartExamined")) or folded_words(
        _meaning(dataset, "AnatomicRegionSequence")
    )
    if not set(words) <= _LIMBS and not any(_names_hand(word) for word in words):
        cautions.append("The header names another part of the body than hand or wrist.")
    view = element_text(dataset, "ViewPosition")
    said = _view_words(view) or _view_words(_meaning(dataset, "ViewCodeSequence"))
    of_radiograph = bool(said)
    said = said or {
        word for name in ("SeriesDescription", "ProtocolName") for word in _view_words(element_text(dataset, name))
    }
    if re.fullmatch("[A-Z]{2,3}", view):
        if not said & _FRONTAL:
            cautions.append(f"The header names the view {view}; posteroanterior views are understood.")
    # the description of a series may name the views of all its radiographs
    elif said & _OBLIQUE and (of_radiograph or not said & _FRONTAL):
        cautions.append("The header names another view than posteroanterior, which alone is understood.")
    return tuple(cautions)


def _view_words(text: str) -> set[str]:
    """Return the words of a view; anterior and posterior in either order are those of a projection."""
    text = re.sub(r"poster\w+[\s-]+anter\w+", "pa", text, flags=re.IGNORECASE)
    return set(folded_words(re.sub(r"anter\w+[\s-]+poster\w+", "ap", text, flags=re.IGNORECASE)))


def header_date(dataset: Dataset, name: str) -> date | None:
    """Return the day that an element names, or None where it is missing or no date."""
    # the dots are those of ACR-NEMA; a time may follow
    text = element_text(dataset, name)
    found = re.match(r"(\d{4})(\.?)(\d{2})\2(\d{2})", text)
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def _coded_sides(dataset: Dataset) -> Iterator[str]:
    for name in ("ImageLaterality", "Laterality"):
        yield from _side_code(element_text(dataset, name))
    for groups in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        for group in dataset.get(groups) or ():
            for item in group.get("FrameAnatomySequence") or ():
                yield from _side_code(element_text(item, "FrameLaterality"))
    for region, modifiers in (
        ("AnatomicRegionSequence", "AnatomicRegionModifierSequence"),
        ("PrimaryAnatomicStructureSequence", "PrimaryAnatomicStructureModifierSequence"),
    ):
        for item in dataset.get(region) or ():
            for code in item.get(modifiers) or ():
                known = _CODED_SIDES.get(element_text(code, "CodeValue"))
                side = known or side_of_text(element_text(code, "CodeMeaning"))
                if side:
                    yield side


def _side_code(value: str) -> Iterator[str]:
    """Yield "L", "R" or "B" of a laterality that is one of them, or a word for it; U is that of unpaired organs."""
    side = "B" if value.upper() == "B" else ABBREVIATIONS.get(value.lower()) or side_of_text(value)
    if side:
        yield side


def _described_sides(dataset: Dataset) -> Iterator[tuple[str, str | None]]:
    for source, names in _TEXTS:
        yield from ((source, side_of_text(element_text(dataset, name))) for name in names)
        if source == _TEXTS[0][0]:
            yield from (("the anatomic region in the header", side_of_text(_meaning(dataset, name))) for name in _CODES)


def _meaning(dataset: Dataset, sequence: str) -> str:
    return " ".join(element_text(item, "CodeMeaning") for item in dataset.get(sequence) or ())


def _names_hand(word: str) -> bool:
    return word in HANDS - {"forearm"} or bool(re.search(_HAND, word))


def _is_child(dataset: Dataset) -> bool:
    # "018Y" as DICOM writes it, or "18", "6 years", "17,5Y"
    age = re.fullmatch(r"(\d{1,4})(?:[.,]\d+)?\s*([DWMY]?)[A-Z0-9. ]*", element_text(dataset, "PatientAge").upper())
    if age:
        return int(age[1]) / _YEARS[age[2] or "Y"] < ADULT
    born = header_date(dataset, "PatientBirthDate")
    days = (header_date(dataset, name) for name in TAKEN)
    taken = next((day for day in days if day), None)
    if born is None or taken is None or taken < born:
        return False
    return (taken.year - born.year) - ((taken.month, taken.day) < (born.month, born.day)) < ADULT
