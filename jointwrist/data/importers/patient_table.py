"""The user's table of patients, sides, splits, pixel spacings and scores."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.importers.spreadsheet import read_sheet
from jointwrist.data.shapes.region import Note
from jointwrist.data.side_from_text import ABBREVIATIONS, WORDS, side_of_text
from jointwrist.data.spacing import parse_spacing
from jointwrist.errors import DataError
from jointwrist.text import is_missing, whole_number

#: Long numbers as spreadsheets show them, and placeholders for missing texts.
_NO_PATIENT = re.compile(
    r"[0-9]([.,][0-9]+)?E\+[0-9]+|nan|none|null|nat|n\.?/?a\.?|k\. ?a\.|<na>|unknown|missing|anonym(ous|i[sz]ed)"
    r"|[\W_]+",
    re.IGNORECASE,
)
#: Columns of the table besides one per joint surface, named as the joint; only `file` is required.
COLUMNS = ("file", "patient", "study", "side", "split", "spacing_mm")


@dataclass(frozen=True)
class Row:
    """The row of one radiograph; empty cells are empty texts.

    Attributes:
        where: Table and line, for messages.
        file: Path or name of the image, parts separated by `/`.
        patient: Any text.
        study: Any text.
        side: "L", "R" or "".
        split: "train", "val", "test" or "".
        spacing_mm: Pixel spacing in mm, or None.
        scores: Erosion score of each joint, `NOT_SCORED` where there is none.
    """

    where: str
    file: str
    patient: str = ""
    study: str = ""
    side: str = ""
    split: str = ""
    spacing_mm: float | None = None
    scores: tuple[int, ...] = WRIST.unscored


def read_table(path: Path, note: Note = lambda _: None, anatomy: Anatomy = WRIST) -> list[Row]:
    """Read a CSV file or Excel workbook with the columns `COLUMNS` and, optionally, the joint surfaces.

    Args:
        path: The table.
        note: Called with a remark if the encoding is a guess.
        anatomy: The joints that may have columns.

    Raises:
        DataError: The file is missing, a column or a value is unknown, or a file has two rows.
    """
    rows: dict[str, Row] = {}
    joints: dict[str, int] | None = None
    for line, values in read_sheet(path, "file", note):
        joints = _joint_columns(path, list(values), anatomy) if joints is None else joints
        row = _row(values, joints, f"{path}: line {line}", anatomy)
        if row.file in rows:
            raise DataError(f"{path}: {row.file} has two rows; keep one")
        rows[row.file] = row
    return list(rows.values())


def _column(name: str) -> str:
    return name.lower().replace(" ", "_")


def _joint_columns(path: Path, names: list[str], anatomy: Anatomy) -> dict[str, int]:
    joints = {}
    for name in names:
        if _column(name) in COLUMNS or not name:
            continue
        try:
            joints[name] = anatomy.joint_index(name)
        except KeyError as error:
            raise DataError(
                f"{path}: column {name!r} is neither one of {', '.join(COLUMNS)} nor a joint surface;"
                f" rename it, or remove it from the table ({error.args[0]})"
            ) from None
    if len(set(joints.values())) < len(joints):
        raise DataError(f"{path}: two columns are of one joint surface; keep one")
    return joints


def _row(values: dict[str, str], joints: dict[str, int], where: str, anatomy: Anatomy) -> Row:
    known = {
        column: "" if column not in ("file", "patient") and is_missing(text) else text
        for column, text in ((_column(name), text) for name, text in values.items())
        if column in COLUMNS
    }
    file = re.sub(r"^(\./)+|(?<=/)/+", "", known["file"].replace("\\", "/"))
    if not file:
        raise DataError(f"{where} names no file; write the file name of its radiograph there")
    where = f"{where}, {file}"
    patient = known.get("patient", "")
    if _NO_PATIENT.fullmatch(patient):
        raise DataError(
            f"{where}: {patient!r} names no patient for certain; write every patient's own text, or no text"
        )
    split = known.get("split", "").lower()
    if split and split not in SPLITS:
        raise DataError(
            f"{where}: split {split!r} is not one of {', '.join(SPLITS)}; give one, or leave the cell empty"
        )
    text = re.sub(r"(?<=\d),(?=\d)", ".", known.get("spacing_mm", ""))
    spacing = parse_spacing(text) if text else None
    if text and spacing is None:
        raise DataError(
            f"{where}: {text!r} is not a pixel spacing in mm; give one such as 0.15, or leave the cell empty"
        )
    scores = list(anatomy.unscored)
    for name, joint in joints.items():
        if not is_missing(values[name]):
            scores[joint] = _score(values[name], f"{where}, {name}", joint, anatomy)
    return Row(
        where=where,
        file=file,
        patient=patient,
        study=known.get("study", ""),
        side=_side(known.get("side", ""), where),
        split=split,
        spacing_mm=spacing,
        scores=tuple(scores),
    )


def _side(text: str, where: str) -> str:
    word = text.lower().rstrip(".")
    side = {"": "", "li": "L", "re": "R"}.get(word, WORDS.get(word, ABBREVIATIONS.get(word, side_of_text(text))))
    if side not in ("", "L", "R"):
        raise DataError(f"{where}: side {text!r} is neither L nor R; give one of them, or leave the cell empty")
    return side


def _score(text: str, where: str, joint: int, anatomy: Anatomy) -> int:
    if joint not in anatomy.erosion.joints:
        raise DataError(f"{where}: this joint is not scored for erosion; remove the column")
    score = whole_number(text)
    if score not in anatomy.erosion.values:
        highest = anatomy.erosion.highest
        raise DataError(f"{where}: score {text!r} is not one of 0 to {highest}; leave it empty if it was not read")
    return score
