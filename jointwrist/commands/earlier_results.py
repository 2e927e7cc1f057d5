"""Results of an earlier run whose radiograph fails now: they are renamed or named, and not taken for new ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jointwrist.commands.output_names import check_unused, digest
from jointwrist.data.result_files import EARLIER, ENDINGS, is_record
from jointwrist.errors import DataError
from jointwrist.text import number_of


class EarlierResults(NamedTuple):
    """Records of earlier results.

    Attributes:
        set_aside: Former names of those that were renamed.
        left: Those that a new result would not have replaced without --overwrite.
    """

    set_aside: Sequence[Path] = ()
    left: Sequence[Path] = ()


def set_aside_results(stems: Iterable[Path], radiograph: Path, overwrite: bool) -> EarlierResults:
    """Rename the earlier results that a result of a refused radiograph would have replaced.

    Args:
        stems: Paths that the results of the radiograph may have, without their endings.
        radiograph: File of the radiograph.
        overwrite: Whether results of other radiographs may be replaced.
    """
    found = EarlierResults([], [])
    for stem in stems:
        record = stem.with_name(f"{stem.name}.json")
        if not is_record(record):
            continue
        try:
            check_unused(record, radiograph, "" if overwrite else digest(radiograph), "", overwrite)
        except (DataError, OSError):  # of another radiograph, or of one that cannot be read and so not compared
            found.left.append(record)
        else:
            set_aside(record, *(stem.with_name(stem.name + ending) for ending in ENDINGS))
            found.set_aside.append(record)
    return found


def set_aside(*files: Path) -> None:
    """Add `EARLIER` to the names of those files that exist; a file of that name is replaced."""
    for file in files:
        if file.exists():
            file.replace(file.with_name(file.name + EARLIER))


def describe_earlier(earlier: Sequence[EarlierResults]) -> list[str]:
    """Describe in a line each how many results were renamed, and how many were left."""
    renamed = [record for found in earlier for record in found.set_aside]
    left = [record for found in earlier for record in found.left]
    lines = []
    if renamed:
        lines.append(
            f"{number_of(len(renamed), 'result')} of an earlier run, of radiographs refused now, kept as"
            f" {renamed[0].name}{EARLIER}{' and so on' if len(renamed) > 1 else ''} and left out of tables"
        )
    if left:
        lines.append(
            f"{number_of(len(left), 'result')} of an earlier run, named as radiographs refused now but of another"
            f" content, left as before ({left[0]}{', ...' if len(left) > 1 else ''}); --overwrite sets them aside"
        )
    return lines
