"""Whether a DICOM header describes what the network was trained for: wrists of adults in posteroanterior view.

Cautions quote only coded values from the header: any other element may hold patient data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jointwrist.data.dicom.elements import TAKEN, code_meaning, element_date, element_text
from jointwrist.data.side_from_text import (
    HANDS,
    folded_words,
)

if TYPE_CHECKING:
    from pydicom import Dataset

#: Age in years below which bones still grow.
ADULT = 18
_YEARS = {"D": 365.25, "W": 365.25 / 7, "M": 12, "Y": 1}
#: Body parts that say no more than the limb, or nothing in particular.
_LIMBS = frozenset(
    "upper extremity extremities limb skeleton unknown other unspecified undefined default up exm obere extremitat"
    " extremidad superior membre superieur arto superiore".split()
)
#: Parts of words for hand and wrist; the last three are Japanese and Chinese, and Korean.
_HAND = "hand|wrist|carp|finger|thumb|poignet|muneca|polso|scaphoid|手|腕|손"
#: Ways to say posteroanterior; DP is dorsopalmar.
_FRONTAL = frozenset("pa dp dv posteroanterior postero dorsopalmar dorsovolar dorso".split())
_OBLIQUE = frozenset(
    "lat lateral ll rl oblique obl seitl seitlich schrag profil profile ap anteroposterior mediolateral"
    " lateromedial axial tangential ballcatcher norgaard zitherspieler".split()
)


def suitability_cautions(dataset: Dataset) -> tuple[str, ...]:
    """Return a caution each for a child, another part of the body, and another view."""
    cautions = []
    if _is_child(dataset):
        cautions.append("The header gives an age under 18: the network was not trained on growing bones.")
    words = folded_words(element_text(dataset, "BodyPartExamined")) or folded_words(
        code_meaning(dataset, "AnatomicRegionSequence")
    )
    if not set(words) <= _LIMBS and not any(_names_hand(word) for word in words):
        cautions.append("The header names a body part other than hand or wrist.")
    view = element_text(dataset, "ViewPosition")
    views = _view_words(view) or _view_words(code_meaning(dataset, "ViewCodeSequence"))
    of_image = bool(views)
    views = views or {
        word for name in ("SeriesDescription", "ProtocolName") for word in _view_words(element_text(dataset, name))
    }
    if re.fullmatch("[A-Z]{2,3}", view):
        if not views & _FRONTAL:
            cautions.append(f"The header names the view {view}; only posteroanterior views are supported.")
    # the description of a series may name the views of all its radiographs
    elif views & _OBLIQUE and (of_image or not views & _FRONTAL):
        cautions.append("The header names a view other than posteroanterior, the only one supported.")
    return tuple(cautions)


def _view_words(text: str) -> set[str]:
    """Return the words of a view; anterior and posterior in either order are those of a projection."""
    text = re.sub(r"poster\w+[\s-]+anter\w+", "pa", text, flags=re.IGNORECASE)
    return set(folded_words(re.sub(r"anter\w+[\s-]+poster\w+", "ap", text, flags=re.IGNORECASE)))


def _names_hand(word: str) -> bool:
    return word in HANDS - {"forearm"} or bool(re.search(_HAND, word))


def _is_child(dataset: Dataset) -> bool:
    # "018Y" as DICOM writes it, or "18", "6 years", "17,5Y"
    age = re.fullmatch(r"(\d{1,4})(?:[.,]\d+)?\s*([DWMY]?)[A-Z0-9. ]*", element_text(dataset, "PatientAge").upper())
    if age:
        return int(age[1]) / _YEARS[age[2] or "Y"] < ADULT
    born = element_date(dataset, "PatientBirthDate")
    days = (element_date(dataset, name) for name in TAKEN)
    taken = next((day for day in days if day), None)
    if born is None or taken is None or taken < born:
        return False
    return (taken.year - born.year) - ((taken.month, taken.day) < (born.month, born.day)) < ADULT
