"""Find the results of `jointwrist predict` and `jointwrist compare` in folders."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from jointwrist.data.result_files import JSON_ERRORS, describes_comparison, describes_result
from jointwrist.errors import DataError


@dataclass(frozen=True)
class FoundResults:
    """Results and what lies beside them.

    Attributes:
        results: Content of each result's JSON file, by its path within the folder that was searched.
        comparisons: The same of comparisons.
        damaged: Files that hold no JSON.
        others: Number of JSON files that are neither.
    """

    results: dict[str, dict[str, Any]]
    comparisons: dict[str, dict[str, Any]]
    damaged: tuple[Path, ...]
    others: int


def find_results(places: Sequence[Path], progress: bool = False) -> FoundResults:
    """Read the results in folders and their subfolders, except hidden ones.

    Args:
        places: Folders, or JSON files. With several, names of results begin with the place; a file is read once.
        progress: Show a progress bar.

    Raises:
        DataError: A place does not exist, or there is neither a result nor a comparison.
    """
    results: dict[str, dict[str, Any]] = {}
    comparisons: dict[str, dict[str, Any]] = {}
    damaged, others = [], 0
    files: dict[Path, tuple[Path, Path]] = {}  # places may lie in each other
    for place in places:
        for file in _json_files(place):
            files.setdefault(file.resolve(), (place, file))
    for place, file in tqdm(files.values(), "results", disable=None if progress else True):
        try:
            content = json.loads(file.read_text("utf-8"))
        except JSON_ERRORS:
            damaged.append(file)
            continue
        inside = len(places) == 1 and file != place
        name = (file.relative_to(place) if inside else file).as_posix()
        if describes_result(content):
            results[name] = content
        elif describes_comparison(content):
            comparisons[name] = content
        else:
            others += 1
    if not results and not comparisons:
        where = ", ".join(map(str, places))
        cut = f" ({len(damaged)} damaged, such as {damaged[0]})" if damaged else ""
        raise DataError(
            f"{where}: no result of `jointwrist predict` or `jointwrist compare`{cut}; give a folder that one of them"
            " wrote"
        )
    return FoundResults(results, comparisons, tuple(damaged), others)


def _json_files(place: Path) -> list[Path]:
    if place.is_dir():
        found = (file for file in place.rglob("*.json") if file.is_file())
        return sorted(file for file in found if not any(p.startswith(".") for p in file.relative_to(place).parts))
    if not place.is_file():
        raise DataError(f"{place}: no such file or folder; give a folder that `jointwrist predict` wrote with --out")
    return [place]
