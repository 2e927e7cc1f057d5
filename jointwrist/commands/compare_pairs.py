"""`jointwrist compare --pairs`: compare the pairs of visits that a table lists."""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jointwrist.commands.earlier_results import set_aside
from jointwrist.commands.messages import complain
from jointwrist.data.result_files import EARLIER, JSON_ERRORS, describes_comparison
from jointwrist.errors import DataError
from jointwrist.text import number_of

if TYPE_CHECKING:
    from jointwrist.inference.comparison import Comparison

#: Longest name of a folder in bytes that file systems allow.
LONGEST_NAME = 255
#: Record of a comparison.
RECORD = "comparison.json"


class Pair(NamedTuple):
    """Two visits of one wrist.

    Attributes:
        baseline: Earlier radiograph.
        followup: Later radiograph.
        side: "L" or "R", or None if the table does not say.
        name: Folder of the comparison.
    """

    baseline: Path
    followup: Path
    side: str | None
    name: str


def read_pairs(path: Path, numbered: bool = False) -> list[Pair]:
    """Read a CSV file or Excel workbook with the columns `baseline` and `followup`, and optionally `side` and `name`.

    Paths are relative to the folder of the table. Without a name, a comparison is named after both files.

    Args:
        path: The table.
        numbered: Number the comparisons, instead of naming them after files or by the table.

    Raises:
        DataError: The file is missing or not such a table, a cell is empty or wrong, or two pairs have one name.
    """
    from jointwrist.data.importers.spreadsheet import read_sheet

    pairs = []
    for line, row in read_sheet(path, "baseline", complain):
        cells = {column.strip().lower(): text for column, text in row.items()}
        if "followup" not in cells:
            raise DataError(f"{path}: has no column `followup`; name the later radiograph of each pair there")
        files = [cells[visit].replace("\\", "/") for visit in ("baseline", "followup")]
        if not all(files):
            raise DataError(f"{path}: line {line} names only one radiograph; give both visits, or remove it")
        side = cells.get("side", "").upper() or None
        if side not in ("L", "R", None):
            raise DataError(
                f"{path}: line {line}: side {cells['side']!r} is neither L nor R; give one of them, or"
                " leave the cell empty"
            )
        name = cells.get("name") or "_to_".join(Path(file).stem for file in files)
        if numbered:
            name = f"pair_{len(pairs) + 1:04d}"
        if name in (".", "..") or not name.isprintable() or set(name) & set("/\\"):
            raise DataError(f"{path}: line {line}: {name!r} is not the name of a folder; use no slashes or line breaks")
        if len(os.fsencode(name)) > LONGEST_NAME:
            raise DataError(f"{path}: line {line}: {name} is too long for a folder; shorten it in a column `name`")
        pairs.append(Pair(*(path.parent / file for file in files), side, name))
    if not pairs:
        raise DataError(f"{path}: lists no pair of radiographs; give each pair a row")
    name, count = Counter(pair.name.casefold() for pair in pairs).most_common(1)[0]
    if count > 1:
        raise DataError(f"{path}: {count} pairs would be written to {name}; name each in a column `name`")
    return pairs


def compare_pairs(
    arguments: argparse.Namespace, pairs: list[Pair], compare: Callable[[Pair], Comparison], save: Callable
) -> int:
    """Compare pairs one after the other; those that cannot be compared are named and left out.

    Args:
        arguments: Arguments of the command.
        pairs: The pairs.
        compare: Compares two visits.
        save: Writes a comparison into a folder.

    Returns:
        0, or 2 if a pair was left out.
    """
    from tqdm import tqdm

    done = earlier = 0
    for pair in tqdm(pairs, "pairs", disable=None):
        try:
            comparison = compare(pair)
        except DataError as error:
            complain(f"{pair.name}: {error}")
            earlier += set_aside_comparison(arguments.out / pair.name)
            continue
        save(comparison, arguments.out / pair.name)
        if arguments.json:
            tqdm.write(json.dumps({"name": pair.name} | comparison.to_dict()))
        else:
            tqdm.write(f"{pair.name}: {summary(comparison)}")
        done += 1
    if not arguments.json:
        print(f"{done} of {number_of(len(pairs), 'pair')} compared: {arguments.out}")
        if earlier:
            what = number_of(earlier, "comparison")
            print(
                f"{what} of an earlier run, of pairs that failed now, kept as {RECORD}{EARLIER} and left out of tables"
            )
        if done:
            print(f"tables of them: jointwrist table {arguments.out}")
    return 0 if done == len(pairs) else 2


def set_aside_comparison(folder: Path) -> bool:
    """Rename the comparison of an earlier run, so that none takes it for one of this run; say whether there was."""
    from jointwrist.outputs.comparison_picture import NAMES

    try:
        if not describes_comparison(json.loads((folder / RECORD).read_text("utf-8"))):
            return False
    except JSON_ERRORS:
        return False
    set_aside(*(folder / name for name in NAMES))
    return True


def summary(comparison: Comparison) -> str:
    """Summarise a comparison in one line, beginning with its warnings."""
    change = comparison.to_dict()
    levels = [row["level_change"] for row in change["joints"] if "level_change" in row]
    spaces = [row["mean_change"] for row in change["joint_spaces"] if row["mean_change"] is not None]
    parts = [
        *(f"WARNING: {text.removesuffix('.')}" for text in change["warnings"]),
        f"{number_of(len(levels), 'joint surface')} scored at both visits, {sum(step > 0 for step in levels)} higher"
        f" and {sum(step < 0 for step in levels)} lower",
    ]
    if spaces:
        parts.append(f"joint spaces changed by {sum(spaces) / len(spaces):+.2f} {change['unit']} on average")
    return "; ".join(parts)
