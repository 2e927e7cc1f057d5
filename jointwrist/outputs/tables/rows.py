"""Rows of the tables from the JSON values of results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pandas as pd

from jointwrist.errors import DataError
from jointwrist.outputs.tables.cells import SEPARATOR, flag, score_range
from jointwrist.outputs.tables.codebook import CODEBOOK, CODEBOOK_COLUMNS
from jointwrist.outputs.tables.comparison_rows import comparison_rows

Rows = Mapping[str, Mapping[str, Any]]
#: Bits of the largest whole number that is also a floating-point number.
_MOST_BITS = 1023
_CORNERS = ("x0", "y0", "x1", "y1")


def make_tables(results: Rows, comparisons: Rows | None = None) -> dict[str, pd.DataFrame]:
    """Make the tables of results and comparisons, and their codebook.

    `wrists` has a row for each result, and besides the columns of the codebook the probability, call and level of each
    joint surface; `joints`, `bones` and `joint_spaces` have a row for each of them. `comparisons`, `joint_changes`,
    `bone_changes` and `joint_space_changes` are the same for two visits. Tables without rows are left out; `codebook`
    explains the columns. Yes and no are 1 and 0.

    Args:
        results: JSON values of results, by file. Values that earlier versions did not write are empty.
        comparisons: JSON values of comparisons, by file.

    Raises:
        DataError: Values are not as jointwrist writes them.
    """
    rows: dict[str, list[dict[str, Any]]] = {name: [] for name in CODEBOOK}
    for make_rows, contents in ((_result_rows, results), (comparison_rows, comparisons or {})):
        for file, content in contents.items():
            try:
                made = make_rows(file, content)
            except (AttributeError, LookupError, TypeError, ValueError) as error:  # of JSON that was changed
                raise DataError(
                    f"{file}: is not as jointwrist wrote it ({error!r}); make it again, or move it elsewhere"
                ) from error
            for name, found in made.items():
                for row in found:
                    _refuse_endless(row, file)
                rows[name] += found
    tables = {name: _table(name, some) for name, some in rows.items() if some}
    explained = [(name, *entry) for name, table in tables.items() for entry in _explained(name, table)]
    return tables | {"codebook": pd.DataFrame(explained, columns=list(CODEBOOK_COLUMNS))}


def _result_rows(file: str, result: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of a result by table."""
    named = {"file": file, "source": result["source"], "side": result.get("side")}
    joints = list(_joints(result))
    return {
        "wrists": [named | _wrist(result, joints)],
        "joints": [named | joint for joint in joints],
        "bones": [named | _bone(bone) for bone in result["bones"]],
        "joint_spaces": [named | _joint_space(space) for space in result.get("joint_spaces") or ()],
    }


def _table(name: str, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Make a table with the columns of the codebook, then any others; whole numbers may be missing."""
    known = list(CODEBOOK[name])
    others = dict.fromkeys(key for row in rows for key in row if key not in CODEBOOK[name])
    table = pd.DataFrame(rows, columns=[*known, *others], dtype=object)
    return table.astype({column: _kind(table[column].dropna()) for column in table.columns})


def _refuse_endless(row: Mapping[str, Any], file: str) -> None:
    """Refuse whole numbers that no floating-point number holds."""
    for column, value in row.items():
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise DataError(
                f"{file}: {column} is a whole number of {value.bit_length()} bits, which jointwrist did not write; make"
                " it again, or move it elsewhere"
            )


def _kind(values: Iterable[Any]) -> str:
    if all(isinstance(value, int) and abs(value) < 2**63 for value in values):
        return "Int64"
    return "float64" if all(isinstance(value, int | float) for value in values) else "object"


def _explained(name: str, table: pd.DataFrame) -> Iterator[tuple[str, str, str]]:
    for column in table.columns:
        if column in CODEBOOK[name]:
            yield column, *CODEBOOK[name][column]
        else:  # of a joint surface, in the wide table
            of_joint, _, joint = str(column).partition("_")
            unit, meaning = CODEBOOK["joints"].get(of_joint, ("", ""))
            yield str(column), unit, f"{joint}: {meaning}" if meaning else ""


def _wrist(result: Mapping[str, Any], joints: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    spacing = result.get("pixel_spacing_mm")
    height, width = spacing if isinstance(spacing, list) else (spacing, spacing)
    weights, scope = result.get("weights") or {}, result.get("scope") or {}
    eroded = [joint for joint in joints if joint["score"] == "erosion"]
    scored = sum(joint["found"] for joint in eroded)
    row = {
        "model": result.get("model"),
        "weights": weights.get("file"),
        "version": result.get("version"),
        "real_erosions": flag(weights.get("real_erosions")),
        "trained_on": weights.get("trained_on"),
        **dict(zip(("height", "width"), result.get("size") or (None, None), strict=True)),
        "pixel_height_mm": height,
        "pixel_width_mm": width,
        "turn": result.get("turn"),
        "pixels_across_wrist": result.get("pixels_across_wrist"),
        "findings": SEPARATOR.join(scope.get("findings", ())),
        "bones_found": sum(bool(bone["found"]) for bone in result["bones"]),
        "joints_scored": scored,
        "joints_withheld": sum(joint["withheld"] or 0 for joint in eroded),
        "joints_eroded": sum(joint["eroded"] or 0 for joint in eroded) if scored else None,
        "erosion_threshold": result.get("erosion_threshold"),
        "notes": SEPARATOR.join(result.get("notes", ())),
        "source_digest": result.get("source_digest"),
    }
    for figure in ("probability", "eroded", "level"):
        row |= {f"{figure}_{joint['joint']}": joint[figure] for joint in eroded}
    return row


def _joints(result: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for score, joints in {"erosion": result["joints"], **(result.get("scores") or {})}.items():
        for joint in joints:
            yield {
                "score": score,
                "joint": joint["name"],
                "found": flag(joint["found"]),
                "withheld": flag(joint.get("withheld")),
                "limits": _limits(joint),
                "probability": joint.get("probability"),
                "eroded": flag(joint.get("eroded")),
                "level": joint.get("score"),
                "score_range": score_range(joint.get("score_label")),
                "probability_sd": joint.get("probability_sd"),
                **(joint.get("extent") or {}),
                **_box(joint),
            }


def _bone(bone: Mapping[str, Any]) -> dict[str, Any]:
    figures = {key: bone.get(key) for key in ("area_mm2", "area_px", "dice_between_views")}
    return {"bone": bone["name"], "found": flag(bone["found"]), "limits": _limits(bone), **figures, **_box(bone)}


def _joint_space(space: Mapping[str, Any]) -> dict[str, Any]:
    bone, other = space["between"]
    figures = {key: value for key, value in space.items() if not isinstance(value, list | dict)}
    return {"site": space["site"], "bone": bone, "other_bone": other} | figures


def _limits(entry: Mapping[str, Any]) -> str:
    return SEPARATOR.join(f"{limit['status']}: {limit['reason']}" for limit in entry.get("scope") or ())


def _box(entry: Mapping[str, Any]) -> dict[str, float]:
    return dict(zip(_CORNERS, entry["box"], strict=True)) if entry.get("box") else {}
