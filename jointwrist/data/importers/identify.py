"""Patient, study, side and split of every radiograph: from a table, else from the file names."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jointwrist.anatomy import NOT_SCORED, NUM_JOINTS
from jointwrist.data.dataset.layout import Identifier, parse_identifier
from jointwrist.data.importers.match_rows import match_rows
from jointwrist.data.importers.parse_file_names import FIRST_STUDY, ParsedName, parse_file_names
from jointwrist.data.importers.patient_table import COLUMNS, Row
from jointwrist.data.shapes.region import Note
from jointwrist.errors import DataError

#: Longest patient or study in a file name; what is longer is cut and told apart by a hash.
_LONGEST = 40
_SHOWN = 10


@dataclass(frozen=True)
class Entry:
    """What is known of one radiograph besides its bones.

    Attributes:
        identifier: Patient, study and side.
        split: "train", "val" or "test", or None to have it drawn.
        spacing_mm: Pixel spacing in mm, or None.
        scores: Six erosion scores, `NOT_SCORED` where there is none.
    """

    identifier: Identifier
    split: str | None = None
    spacing_mm: float | None = None
    scores: tuple[int, ...] = (NOT_SCORED,) * NUM_JOINTS

    @property
    def name(self) -> str:
        """Return the identifier as the release writes it."""
        return f"{self.identifier.stem}_{self.identifier.side}"


def identify(
    images: Sequence[Path],
    table: Sequence[Row] | None = None,
    allow_partial: bool = False,
    note: Note = lambda _: None,
) -> list[Entry]:
    """Tell whose radiographs these are.

    Args:
        images: The radiographs' files.
        table: As from `importers.table.read_table`; what it leaves empty is told by the names.
        allow_partial: Accept rows without a radiograph, and radiographs without a row.
        note: Takes a remark on what the table and the names tell differently, or leave out.

    Raises:
        DataError: The table and the radiographs do not fit each other, or a patient or a side is not certain.
    """
    rows = match_rows(images, table or ())
    if table is not None:
        _refuse_partial(images, rows, table, allow_partial, note)
    told = parse_file_names(images)
    _refuse_half_named(images, rows, told)
    texts = [_texts(*each, note) for each in zip(images, rows, told, strict=True)]
    _number_studies(images, rows, texts, note)
    _refuse_alike({patient for patient, _, _ in texts})
    patients = _slugs(patient for patient, _, _ in texts)
    studies = defaultdict(set)
    for patient, study, _ in texts:
        studies[patient].add(study)
    entries = []
    for image, row, (patient, study, side) in zip(images, rows, texts, strict=True):
        name = f"{patients[patient]}_{_slugs(studies[patient])[study]}_{side}"
        try:
            identifier = parse_identifier(name)
        except DataError as error:
            raise DataError(f"{image}: {error}") from None
        known = {} if row is None else {"split": row.split or None, "spacing_mm": row.spacing_mm, "scores": row.scores}
        entries.append(Entry(identifier, **known))
    return entries


def _texts(image: Path, row: Row | None, told: ParsedName, note: Note) -> tuple[str, str, str]:
    """Return patient, study and side as texts."""
    patient, study, side = (row.patient, row.study, row.side) if row else ("", "", "")
    remedy = f"write a table for --table with the columns {', '.join(COLUMNS)}"
    if not side and told.side is None:
        raise DataError(f"{image}: the name tells no side; end it in _L or _R, or {remedy}")
    if not patient and told.doubt:
        raise DataError(f"{image}: the name does not tell the patient for certain: {told.doubt}; {remedy}")
    if side and told.side not in (None, side):
        note(f"{image}: the name tells the side {told.side}, the table {side}; the table's is taken")
    named = "" if told.doubt else told.study
    return _plain(patient or told.patient), _plain(study or named or FIRST_STUDY), side or told.side


def _refuse_half_named(images: Sequence[Path], rows: Sequence[Row | None], told: Sequence[ParsedName]) -> None:
    """Refuse a patient whom the table names for one radiograph and leaves to the names for another one."""
    named = {
        one.patient: (image, row.patient)
        for image, row, one in zip(images, rows, told, strict=True)
        if row and row.patient
    }
    for image, row, one in zip(images, rows, told, strict=True):
        other, patient = named.get(one.patient, (image, one.patient))
        if not (row and row.patient) and patient != one.patient:
            raise DataError(
                f"{image}: the table names no patient; by the names it is of the patient of {other}, whom the table"
                f" calls {patient}; write the patient of every radiograph"
            )


def _number_studies(
    images: Sequence[Path], rows: Sequence[Row | None], texts: list[tuple[str, str, str]], note: Note
) -> None:
    """Give radiographs of one hand studies of their own where the table names the patient but no study."""
    taken = set(texts)
    seen = set()
    for index, (image, row, text) in enumerate(zip(images, rows, texts, strict=True)):
        if text in seen and row is not None and row.patient and not row.study:
            patient, study, side = text
            number = 2
            while any((patient, f"{number:04d}", hand) in taken for hand in "LR"):
                number += 1
            texts[index] = (patient, f"{number:04d}", side)
            taken.add(texts[index])
            note(
                f"{image}: the table names no study, and {study} of this patient has a image of this hand; taken for"
                f" study {number:04d}"
            )
        seen.add(texts[index])


def _plain(text: str) -> str:
    """Return a text without what nobody sees: kinds of spaces, dashes and digits, two ways to write one letter."""
    seen = (c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c) != "Cf")
    return " ".join("".join("-" if unicodedata.category(c) == "Pd" else c for c in seen).split())


def _refuse_partial(
    images: Sequence[Path], rows: Sequence[Row | None], table: Sequence[Row], allow_partial: bool, note: Note
) -> None:
    found = {row.file for row in rows if row is not None}
    for text, names in (
        (
            "radiographs without a row in the table",
            [str(i) for i, row in zip(images, rows, strict=True) if row is None],
        ),
        ("rows of the table without a radiograph", [row.file for row in table if row.file not in found]),
    ):
        if not names:
            continue
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        message = f"{text}: {', '.join(names[:_SHOWN])}{more}"
        if not allow_partial:
            raise DataError(f"{message}; mend the table, or give --allow-partial")
        note(message)


def _refuse_alike(patients: set[str]) -> None:
    """Refuse texts of one person, perhaps: those that differ in case, leading zeros or a `.0` alone."""
    seen: dict[str, str] = {}
    for patient in sorted(patients):
        number = re.fullmatch(r"0*([0-9]+?)(?:\.0+)?", patient)
        key = number[1] if number else patient.lower()
        if seen.setdefault(key, patient) != patient:
            raise DataError(
                f"patients {seen[key]!r} and {patient!r} differ in case, leading zeros or .0 alone; write one person in"
                " one way, and two persons more clearly apart, in a table for --table"
            )


def _slugs(texts: Iterable[str]) -> dict[str, str]:
    """Write texts in the letters that identifiers may have; different texts stay different."""
    plain = {text: _slug(text) for text in set(texts)}
    groups = defaultdict(list)
    for text, slug in plain.items():
        groups[slug.lower()].append(text)
    return {
        text: slug if slug and (len(groups[slug.lower()]) == 1 or slug == text) else _numbered(slug, text)
        for text, slug in plain.items()
    }


def _slug(text: str) -> str:
    """Leave accents out; what is no letter or digit then becomes a hyphen. Long texts are cut, to be numbered."""
    body = text.removeprefix("EXT_")
    letters = "".join(c for c in unicodedata.normalize("NFKD", body) if not unicodedata.combining(c))
    slug = "-".join(re.findall(r"[A-Za-z0-9-]+", letters))
    return "" if len(slug) > _LONGEST or not slug else ("EXT_" if body != text else "") + slug


def _numbered(slug: str, text: str) -> str:
    return f"{slug or 'P'}-{sha256(text.encode()).hexdigest()[:8]}"
