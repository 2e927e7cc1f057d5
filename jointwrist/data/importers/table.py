"""Whose radiographs these are: from a table that the user writes, or from the file names."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from jointwrist.anatomy import NOT_SCORED, NUM_JOINTS, SCORES, joint_index
from jointwrist.data.layout import SPLITS, Identifier, parse_identifier
from jointwrist.data.tables import parse_spacing
from jointwrist.errors import DataError

#: Columns of the table besides one for each scored joint surface, named as the joint; `file` is needed.
COLUMNS = ("file", "patient", "study", "side", "split", "spacing_mm")
#: Study of a patient with a single one.
FIRST_STUDY = "0001"
_SIDED = re.compile(r"(?P<patient>.+)[_-](?P<side>[LR])")


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


def entry_of(image: Path) -> Entry:
    """Take patient and side from a file name: an identifier of the release, or PATIENT_L and PATIENT_R.

    Raises:
        DataError: The name does not tell the side.
    """
    try:
        return Entry(parse_identifier(image.stem))
    except DataError:
        found = _SIDED.fullmatch(image.stem)
    if not found:
        raise DataError(
            f"{image}: the name tells no patient and side; end it in _L or _R, or write a table for --table with the"
            f" columns {', '.join(COLUMNS)}"
        )
    return Entry(_identifier(found["patient"], FIRST_STUDY, found["side"], str(image)))


def read_table(path: Path) -> dict[str, Entry]:
    """Read a CSV file with the columns `COLUMNS` and, if wanted, the joint surfaces.

    Only `file` is needed; patient and side that are left empty come from the file name.

    Returns:
        Entries by the image's file name.

    Raises:
        DataError: The file is missing, a column or a value is unknown, or a file stands in two rows.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file")
    with path.open(encoding="utf-8-sig", newline="") as stream:
        rows = csv.DictReader(stream)
        joints = _joint_columns(path, rows.fieldnames or ())
        entries: dict[str, Entry] = {}
        for row in rows:
            values = {key: (value or "").strip() for key, value in row.items() if isinstance(key, str)}
            if not values["file"]:
                raise DataError(f"{path}: line {rows.line_num} names no file")
            name = Path(values["file"]).name
            if name in entries:
                raise DataError(f"{path}: {name} stands in two rows; keep one")
            entries[name] = _entry(values, joints, f"{path}: {name}")
    return entries


def _joint_columns(path: Path, names: list[str] | tuple[()]) -> dict[str, int]:
    if "file" not in names:
        raise DataError(f"{path}: has no column `file`; its first line names the columns, separated by commas")
    joints = {}
    for name in names:
        if name in COLUMNS:
            continue
        try:
            joints[name] = joint_index(name)
        except KeyError as error:
            raise DataError(
                f"{path}: column {name!r} is none of {', '.join(COLUMNS)} and no joint surface: {error.args[0]}"
            ) from None
    if len(set(joints.values())) < len(joints):
        raise DataError(f"{path}: two columns are of one joint surface; keep one")
    return joints


def _entry(values: dict[str, str], joints: dict[str, int], where: str) -> Entry:
    patient, side, split = (values.get(key, "") for key in ("patient", "side", "split"))
    if patient and side:
        identifier = _identifier(patient, values.get("study") or FIRST_STUDY, side.upper()[:1], where)
    else:
        named = entry_of(Path(values["file"])).identifier
        identifier = _identifier(
            patient or named.patient, values.get("study") or named.study, side.upper()[:1] or named.side, where
        )
    if split and split not in SPLITS:
        raise DataError(f"{where}: split {split!r} is none of {', '.join(SPLITS)}")
    spacing = parse_spacing(values["spacing_mm"]) if values.get("spacing_mm") else None
    if values.get("spacing_mm") and spacing is None:
        raise DataError(f"{where}: {values['spacing_mm']!r} is no pixel spacing in mm, such as 0.15")
    scores = [NOT_SCORED] * NUM_JOINTS
    for name, joint in joints.items():
        if values[name]:
            scores[joint] = _score(values[name], f"{where}, {name}")
    return Entry(identifier, split or None, spacing, tuple(scores))


def _score(text: str, where: str) -> int:
    if text not in map(str, SCORES):
        raise DataError(f"{where}: score {text!r} is not one of 0 to 5; leave it empty if it was not read")
    return int(text)


def _identifier(patient: str, study: str, side: str, where: str) -> Identifier:
    """Join the parts; what the release does not allow in them becomes a hyphen."""
    parts = ("-".join(re.findall(r"[A-Za-z0-9-]+", part)) for part in (patient.removeprefix("EXT_"), study))
    prefix = "EXT_" if patient.startswith("EXT_") else ""
    try:
        return parse_identifier(prefix + "_".join((*parts, side)))
    except DataError as error:
        raise DataError(f"{where}: {error}") from None
