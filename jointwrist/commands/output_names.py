"""Unique file names for the results of a run, so that no radiograph overwrites another's."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from jointwrist.commands.messages import UsageError
from jointwrist.data.result_files import ENDINGS, describes_result
from jointwrist.errors import DataError


def neutral_stems(radiographs: Sequence[Path]) -> list[str]:
    """Number the radiographs in order, because file names often contain a patient's name or number."""
    return [f"film-{number:03d}" for number, _ in enumerate(radiographs, 1)]


def output_stems(radiographs: Sequence[Path]) -> list[str]:
    """Name the output of each radiograph after its file, with as much of the path as is needed to make the name unique.

    Where the paths allow it, names differ in more than case, as some file systems and archives do not tell case apart.

    Raises:
        UsageError: Two radiographs would still have the same name.
    """
    stems = _distinct(radiographs, str.casefold)
    if len(set(map(str.casefold, stems))) < len(stems):
        stems = _distinct(radiographs, str)
    for stem, count in Counter(stems).items():
        if count > 1:
            raise UsageError(
                f"{count} radiographs would be written as {stem}; predict them one by one, each with its own --out"
            )
    return stems


def _distinct(radiographs: Sequence[Path], seen_as: Callable[[str], str]) -> list[str]:
    """Return names with as much of the path as makes them unique as far as possible, compared as `seen_as` gives."""
    stems = [radiograph.stem for radiograph in radiographs]
    for parts in range(1, max((len(radiograph.parts) for radiograph in radiographs), default=0) + 1):
        counts = Counter(map(seen_as, stems))
        if max(counts.values()) == 1:
            break
        stems = [
            "_".join(part.strip("/\\:").replace(".", "_") for part in radiograph.parts[-parts:])
            if counts[seen_as(stem)] > 1
            else stem
            for radiograph, stem in zip(radiographs, stems, strict=True)
        ]
    return stems


def hand_stems(stems: Sequence[str]) -> list[dict[str, str]]:
    """Name the outputs of the two hands on each radiograph by side, distinct from all other outputs."""
    taken = set(stems)
    return [{side: _hand_stem(stem, side, taken) for side in "LR"} for stem in stems]


def _hand_stem(stem: str, side: str, taken: set[str]) -> str:
    while f"{stem}_{side}" in taken:
        stem += "_both"
    taken.add(f"{stem}_{side}")
    return f"{stem}_{side}"


def digest(file: Path) -> str:
    """Return a hash of a file's content, by which its results are recognised."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "blake2b").hexdigest()[:32]


def check_unused(record: Path, radiograph: Path, content: str, name: str, overwrite: bool = False) -> None:
    """Refuse to replace the result of another radiograph, and files that are no results.

    Args:
        record: JSON file that is to be written.
        radiograph: File of the radiograph.
        content: `digest` of that file.
        name: Name of the radiograph in messages.
        overwrite: Accept results of other radiographs, damaged JSON files, and other files without one.

    Raises:
        DataError: The JSON file exists and is not a result of this radiograph, or there are other files without it.
    """
    try:
        before = json.loads(record.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not overwrite:
            _check_no_files(record.with_suffix(""), name)
        return
    except (OSError, ValueError):
        before = None
    if before is not None and not describes_result(before):
        raise DataError(f"{name}: {record} is no result, and may be an annotation; choose another --out")
    if overwrite:
        return
    if before is not None and before.get("source_digest", content) == content:
        if "source_digest" in before or before["source"] == radiograph.name:  # version 0.1 wrote none
            return
    raise DataError(
        f"{name}: the output folder holds another result ({record}); choose another --out, or --overwrite it"
    )


def _check_no_files(stem: Path, name: str) -> None:
    """Refuse to replace radiographs and masks drawn by hand: a prediction, even a killed one, has an npz file."""
    masks, *others = (stem.with_name(stem.name + ending) for ending in ENDINGS)
    found = [] if masks.exists() else [other for other in others if other.exists()]
    if found:
        raise DataError(f"{name}: {found[0]} is no result; choose another --out, or --overwrite it")


def check_no_inputs(stem: Path, radiographs: Collection[str], name: str) -> None:
    """Refuse results, even with --overwrite, that would replace a radiograph.

    Args:
        stem: Path of the results without their endings.
        radiographs: Real paths of all radiographs of the run.
        name: Name of the radiograph in messages.

    Raises:
        DataError: The file of a result is a radiograph.
    """
    for ending in ENDINGS:
        path = stem.with_name(stem.name + ending)
        if os.path.realpath(path) in radiographs:
            raise DataError(f"{name}: its result {path} would replace a radiograph; choose another --out")
