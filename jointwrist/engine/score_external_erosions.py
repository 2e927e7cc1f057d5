"""Score erosion probabilities that another tool wrote to a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jointwrist.anatomy import NOT_SCORED, WRIST, Anatomy, Score
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.layout import identifier_in
from jointwrist.data.importers.spreadsheet import read_sheet
from jointwrist.errors import DataError
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.text import is_missing, whole_number


class Probability(NamedTuple):
    """Prediction of a tool for one joint surface.

    Attributes:
        probability: Probability of erosion.
        level: Erosion level, of which the highest means all higher scores too; None if the tool gives none.
    """

    probability: float
    level: int | None


def read_probabilities(
    path: Path, known: Collection[str], anatomy: Anatomy = WRIST
) -> tuple[dict[tuple[str, int], Probability], tuple[str, ...]]:
    """Read a table with the columns `case`, `joint`, `probability` and optionally `level`; others are ignored.

    Args:
        path: CSV file or Excel workbook. `case` is an identifier or a file name that begins with one, `joint` any
            spelling of a joint surface.
        known: Identifiers of the radiographs.
        anatomy: The joint surfaces and their erosion score.

    Returns:
        Probabilities by identifier and joint index, and the cases of the table that are not known radiographs.

    Raises:
        DataError: The table cannot be read, lacks a column, has a value out of range, or lists a joint twice.
    """
    found: dict[tuple[str, int], Probability] = {}
    extra = []
    for line, texts in read_sheet(path, "case"):
        row, where = {name.lower(): text for name, text in texts.items()}, f"{path}: line {line}"
        if not {"joint", "probability"} <= row.keys():
            raise DataError(f"{path}: needs the columns case, joint and probability; it has {', '.join(row)}")
        case = identifier_in(row["case"].replace("\\", "/").split("/")[-1], known)
        if case is None:
            extra.append(row["case"])
            continue
        try:
            joint = anatomy.joint_index(row["joint"])
        except KeyError as error:
            raise DataError(f"{where}: {error.args[0]}") from None
        if (case, joint) in found:
            raise DataError(f"{where}: {case}, {anatomy.joint_names[joint]} is in two lines; keep one")
        level = _level(row.get("level", ""), where, anatomy.erosion)
        found[case, joint] = Probability(_probability(row["probability"], where), level)
    return found, tuple(dict.fromkeys(extra))


def score_erosions(
    cases: Sequence[Case], found: Mapping[tuple[str, int], Probability], threshold: float
) -> tuple[list[dict[str, Any]], list[str]]:
    """Compare probabilities with the true scores.

    Args:
        cases: Radiographs with scores.
        found: From `read_probabilities`.
        threshold: Probability from which a joint is called eroded; it decides the level (0 or 1) if a tool gives none.

    Returns:
        Results with the columns of our own models, and a sentence for each radiograph with scored joints that have no
        probability.
    """
    results, faults = [], []
    for case in sorted(cases, key=lambda case: case.identifier):
        scored = {joint: score for joint, score in enumerate(case.scores) if score != NOT_SCORED}
        missing = [case.anatomy.joint_names[joint] for joint in scored if (case.identifier, joint) not in found]
        if missing:
            faults.append(f"{case.identifier}: no probability of {', '.join(missing)}")
        for joint, score in scored.items():
            if (case.identifier, joint) not in found:
                continue
            probability, level = found[case.identifier, joint]
            results.append(
                {
                    "case": case.identifier,
                    "patient": case.patient,
                    "side": case.side,
                    "joint": case.anatomy.joint_names[joint],
                    "score": score,
                    "probability": probability,
                    "level": int(call_eroded(probability, threshold)) if level is None else level,
                    "found": True,
                }
            )
    return sorted(results, key=lambda result: (result["case"], result["joint"])), faults


def _probability(text: str, where: str) -> float:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise DataError(f"{where}: {text!r} is not a probability from 0 to 1; leave the line out if there is none")
    return value


def _level(text: str, where: str, score: Score) -> int | None:
    if is_missing(text):
        return None
    highest = score.levels - 1
    level = whole_number(text)
    if level not in range(score.levels):
        means = f"which means the scores {highest} to {score.highest}" if highest < score.highest else "the highest"
        raise DataError(f"{where}: level {text!r} is not one of 0 to {highest}, {means}")
    return level
