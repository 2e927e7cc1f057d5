"""Identify patient, study, side and split of each radiograph, from a table or else from file names."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.dataset.layout import Identifier, parse_identifier
from jointwrist.data.importers.match_rows import match_rows
from jointwrist.data.importers.parse_file_names import FIRST_STUDY, ParsedName, parse_file_names
from jointwrist.data.importers.patient_table import COLUMNS, Row
from jointwrist.data.shapes.region import Note
from jointwrist.errors import DataError

#: Longest patient or study in a file name; longer ones are replaced by a hash.
_LONGEST = 40
_SHOWN = 10


@dataclass(frozen=True)
class Entry:
    """Patient, study, side and table entries of one radiograph.

    Attributes:
        identifier: Patient, study and side.
        split: "train", "val" or "test", or None to have it drawn.
        spacing_mm: Pixel spacing in mm, or None.
        scores: Erosion score of each joint, `NOT_SCORED` where there is none.
    """

    identifier: Identifier
    split: str | None = None
    spacing_mm: float | None = None
    scores: tuple[int, ...] = WRIST.unscored

    @property
    def name(self) -> str:
        """Return the identifier as it is written in file names."""
        return f"{self.identifier.stem}_{self.identifier.side}"


def identify(
    images: Sequence[Path],
    table: Sequence[Row] | None = None,
    allow_partial: bool = False,
    note: Note = lambda _: None,
    anatomy: Anatomy = WRIST,
) -> list[Entry]:
    """Identify patient, study and side of radiographs.

    Args:
        images: The radiographs' files.
        table: As from `patient_table.read_table`; empty cells are filled from the file names.
        allow_partial: Accept rows without a radiograph, and radiographs without a row.
        note: Called with remarks on contradictions between table and names, and on gaps.
        anatomy: The joints that are scored, and whether there are sides; without, an unstated side becomes R.

    Raises:
        DataError: Table and radiographs do not match, or a patient or side is uncertain.
    """
    rows = match_rows(images, table or ())
    if table is not None:
        _refuse_partial(images, rows, table, allow_partial, note)
    parsed = parse_file_names(images)
    _refuse_half_named(images, rows, parsed)
    texts = [_texts(*each, note, anatomy.sides) for each in zip(images, rows, parsed, strict=True)]
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
        known = {"scores": anatomy.unscored}
        if row is not None:
            known = {"split": row.split or None, "spacing_mm": row.spacing_mm, "scores": row.scores}
        entries.append(Entry(identifier, **known))
    return entries


def _texts(image: Path, row: Row | None, parsed: ParsedName, note: Note, sides: bool) -> tuple[str, str, str]:
    """Return patient, study and side as texts."""
    patient, study, side = (row.patient, row.study, row.side) if row else ("", "", "")
    remedy = f"write a table for --table with the columns {', '.join(COLUMNS)}"
    if not sides:
        side = side or parsed.side or "R"
    if not side and parsed.side is None:
        raise DataError(f"{image}: the name states no side; end it in _L or _R, or {remedy}")
    if not patient and parsed.doubt:
        raise DataError(f"{image}: the patient is not certain from the name: {parsed.doubt}; {remedy}")
    if side and parsed.side not in (None, side):
        note(f"{image}: the name states side {parsed.side}, the table {side}; the table's is used")
    named = "" if parsed.doubt else parsed.study
    return _plain(patient or parsed.patient), _plain(study or named or FIRST_STUDY), side or parsed.side


def _refuse_half_named(images: Sequence[Path], rows: Sequence[Row | None], parsed: Sequence[ParsedName]) -> None:
    """Refuse a patient whom the table names for one radiograph but not for another."""
    named = {
        one.patient: (image, row.patient)
        for image, row, one in zip(images, rows, parsed, strict=True)
        if row and row.patient
    }
    for image, row, one in zip(images, rows, parsed, strict=True):
        other, patient = named.get(one.patient, (image, one.patient))
        if not (row and row.patient) and patient != one.patient:
            raise DataError(
                f"{image}: the table names no patient; by the names it is of the patient of {other}, whom the table"
                f" calls {patient}; write the patient of every radiograph"
            )


def _number_studies(
    images: Sequence[Path], rows: Sequence[Row | None], texts: list[tuple[str, str, str]], note: Note
) -> None:
    """Number the studies of several radiographs of one hand where the table names the patient but no study."""
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
                f"{image}: the table names no study, and {study} of this patient has this hand already; taken for"
                f" study {number:04d}"
            )
        seen.add(texts[index])


def _plain(text: str) -> str:
    """Normalise invisible differences: kinds of spaces, dashes and digits, and composed letters."""
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
            raise DataError(f"{message}; correct the table, or give --allow-partial")
        note(message)


def _refuse_alike(patients: set[str]) -> None:
    """Refuse names that may belong to one person: they differ only in case, leading zeros or a `.0`."""
    seen: dict[str, str] = {}
    for patient in sorted(patients):
        number = re.fullmatch(r"([0-9]+)[.,]0+", patient)
        key = re.sub(r"(?<![0-9])0+(?=[0-9])", "", number[1] if number else patient.lower())
        if seen.setdefault(key, patient) != patient:
            raise DataError(
                f"patients {seen[key]!r} and {patient!r} differ only in case, leading zeros or .0; write one person in"
                " one way, or make two persons clearly different, in a table for --table"
            )


def _slugs(texts: Iterable[str]) -> dict[str, str]:
    """Convert texts to the characters allowed in identifiers; different texts stay different."""
    plain = {text: _slug(text) for text in set(texts)}
    groups = defaultdict(list)
    for text, slug in plain.items():
        groups[slug.lower()].append(text)
    return {
        text: slug if slug and (len(groups[slug.lower()]) == 1 or slug == text) else _numbered(slug, text)
        for text, slug in plain.items()
    }


def _slug(text: str) -> str:
    """Remove accents and replace other characters by hyphens; empty for texts that are too long."""
    body = text.removeprefix("EXT_")
    letters = "".join(c for c in unicodedata.normalize("NFKD", body) if not unicodedata.combining(c))
    slug = "-".join(re.findall(r"[A-Za-z0-9-]+", letters))
    return "" if len(slug) > _LONGEST or not slug else ("EXT_" if body != text else "") + slug


def _numbered(slug: str, text: str) -> str:
    return f"{slug or 'P'}-{sha256(text.encode()).hexdigest()[:8]}"
