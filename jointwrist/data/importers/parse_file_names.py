"""Patient, study and side from file names, with the reason where the patient is uncertain."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from jointwrist.data.importers.clean_file_names import label_studio_prefix, looks_random, without_decoration
from jointwrist.data.side_from_text import HANDS, OTHERS, side_of_name, without_side

#: Study of a patient with a single study.
FIRST_STUDY = "0001"
_PERSON = frozenset("patient patients pat pt case subject subj sub person proband id p".split())
#: A word for a person, with a number.
_CODED = re.compile(
    rf"(?:{'|'.join(sorted(_PERSON, key=len, reverse=True))})[\s._-]*0*(?P<number>[0-9]+)", re.IGNORECASE
)
_PICTURE = HANDS | OTHERS
_SPLITS = frozenset("train training val valid validation test testing".split())
#: Names of GRAZPEDWRI-DX (doi:10.1038/s41597-022-01328-z): patient, visit, side and projection, sex and age.
_GRAZ = re.compile(r"(?P<patient>\d+)_(?P<visit>\d+)_WRI-(?P<side>[LR])(?P<view>\d)_[A-Z]\d{3}")


class ParsedName(NamedTuple):
    """Patient, study and side in a file name.

    Attributes:
        patient: Any text.
        study: Any text, or "" if none is given.
        side: "L", "R", or None if unknown.
        doubt: Why the patient is uncertain, or "".
    """

    patient: str
    study: str
    side: str | None
    doubt: str = ""


def parse_file_names(images: Sequence[Path]) -> list[ParsedName]:
    """Parse patient, study and side from file names: PATIENT_STUDY_SIDE or PATIENT_SIDE.

    Additions of tools are removed. A patient is doubtful if a name has more parts, if a generated part may or may not
    be the patient, or if different patients share a part.
    """
    stems = [unicodedata.normalize("NFC", image.stem) for image in images]
    prefixes = [label_studio_prefix(stem) for stem in stems]
    # where Label Studio renamed the others, a prefix without letters is from it as well
    sure = all(prefixes) and any(without_decoration(stem) != stem for stem in stems)
    parsed = [_parse(prefix[1] if sure and prefix else stem) for stem, prefix in zip(stems, prefixes, strict=True)]
    codes = defaultdict(set)
    for prefix in filter(None, prefixes):
        codes[prefix[0]].add(prefix[1])
    for index, prefix in enumerate(prefixes):
        if prefix and len(codes[prefix[0]]) > 1:
            parsed[index] = parsed[index]._replace(doubt=f"{prefix[0]} may be a patient or a number that a tool added")
        elif prefix and without_decoration(stems[index]) == stems[index] and not sure:
            parsed[index] = parsed[index]._replace(doubt=f"{prefix[0]} may be a patient, or a number of Label Studio")
    if not _are_splits({image.parent for image in images}):
        parsed = [_doubt_folder(one, image) for one, image in zip(parsed, images, strict=True)]
    return _doubt_uploads(_doubt_shared_parts(_doubt_common_word(parsed)))


def _parse(stem: str) -> ParsedName:
    stem = without_decoration(stem)
    if found := _GRAZ.fullmatch(stem):
        return ParsedName(found["patient"], f"{found['visit']}-{found['view']}", found["side"])
    side = side_of_name(stem)
    rest = without_side(stem) if side else stem
    parts = [part.strip(" .-") for part in (rest.split("_") if "_" in rest else rest.split())]
    parts = [part for part in parts if part]
    if parts[:1] == ["EXT"] and len(parts) > 1:
        parts[:2] = [f"EXT_{parts[1]}"]
    named = [part for part in parts if part.casefold() not in _PERSON | _PICTURE] or parts
    if len(named) > 2:
        named = [part for part in named if not looks_random(part)]
    if not named:
        return ParsedName("", "", side, "it names no patient")
    patient, study = named[0], named[1] if len(named) > 1 else ""
    doubt = ""
    if len(named) > 2:
        doubt = f"it has {len(named)} parts besides the side, not a patient and a study"
    elif _CODED.fullmatch(study) and not _CODED.fullmatch(patient):
        doubt = f"{study} may be the patient, and {patient} a study"
    elif study and not re.search("[0-9]", patient + study):
        doubt = f"{patient} and {study} may be the names of one person"
    elif len(named) == 1 and len(parts) > 1 and parts[0].casefold() in _PICTURE:
        doubt = f"{patient} may number the patient or the picture"
    elif "-" in patient and not looks_random(patient) and any(map(looks_random, patient.split("-"))):
        doubt = f"a part of {patient} looks as if a tool added it"
    return ParsedName(patient, study, side, doubt)


def _are_splits(folders: set[Path]) -> bool:
    """Whether all radiographs are in one folder, or in folders of splits (or `images` in these), as Roboflow writes."""
    if {folder.name.casefold() for folder in folders} == {"images"}:
        folders = {folder.parent for folder in folders}
    same = len({folder.parent for folder in folders}) == 1 and {f.name.casefold() for f in folders} <= _SPLITS
    return len(folders) == 1 or same


def _doubt_folder(parsed: ParsedName, image: Path) -> ParsedName:
    """Doubt the patient of a name without study if radiographs are in several folders."""
    alone = not parsed.study and not parsed.doubt
    return parsed._replace(doubt=f"its folder {image.parent.name} may be the patient") if alone else parsed


def _doubt_common_word(parsed: list[ParsedName]) -> list[ParsedName]:
    """Doubt a word that precedes the numbers in all names, as in `frame_000001_L`."""
    words, numbers = {one.patient for one in parsed}, {one.study for one in parsed}
    word = words.pop()
    if words or len(numbers) < 2 or re.search("[0-9]", word) or not all(map(str.isdigit, numbers)):
        return parsed
    return [one._replace(doubt=one.doubt or f"{word} precedes all numbers, and may not be a patient") for one in parsed]


def _doubt_shared_parts(parsed: list[ParsedName]) -> list[ParsedName]:
    """Doubt patients that may be one person: names without a study may contain the visit.

    Examples: `a1-0172` with `b2-0172` or `0172`, since tools add prefixes; `0172-1` with `0172-2`, `12a` with `12b`,
    `Smith-1` with `Smith-2`, or `P12` with `id-12` or `12`. `P-001` and `P-002` are two patients.
    """
    names = {one.patient for one in parsed if not one.patient.startswith("EXT_") and not looks_random(one.patient)}
    sharing = defaultdict(set)
    for name in names:
        for key in _keys(name):
            sharing[key].add(name)
    doubtful = {}
    for group in sharing.values():
        first, *others = sorted(group)
        doubtful |= {first: others[0], **dict.fromkeys(others, first)} if others else {}
    return [
        one._replace(doubt=f"{one.patient} and {doubtful[one.patient]} may be one person")
        if one.patient in doubtful and not one.doubt
        else one
        for one in parsed
    ]


def _keys(patient: str) -> set[str]:
    """Return keys that two names of one person may share: end, number, and beginnings followed by a hyphen."""
    words = re.split(r"[\s._-]+", patient)
    keys = {words[-1], f"{patient}-"}
    if coded := _CODED.fullmatch(patient):
        keys.add(coded["number"])
    elif patient.isdigit():
        keys.add(patient.lstrip("0"))
    for count in range(1, len(words)):
        start, rest = "-".join(words[:count]), words[count:]
        numbered = start.casefold() in _PERSON or (not re.search("[0-9]", start) and re.fullmatch("[0-9]{3,}", rest[0]))
        keys |= set() if numbered else {f"{start}-"}
    if visit := re.fullmatch(r"(.*?[0-9])[^\W\d_]+[0-9]{0,2}", words[0]):
        keys.add(f"{visit[1]}-")
    return keys


def _doubt_uploads(parsed: list[ParsedName]) -> list[ParsedName]:
    """Doubt generated patients with one radiograph each if the next part may be the patient and not a visit."""
    random = [one for one in parsed if looks_random(one.patient) and one.study]
    patients = Counter(one.patient for one in random)
    # numbers of visits repeat for each hand; patients do so only with a few visits
    visits = all(re.fullmatch("0*[0-9]{1,2}", one.study) for one in random)
    repeated = 2 * len({(one.study, one.side) for one in random}) <= len(random)
    if len(random) < 2 or max(patients.values()) > 1 or (visits and repeated):
        return parsed
    return [
        one._replace(doubt=f"{one.patient} may be a patient or an upload's number") if one in random else one
        for one in parsed
    ]
