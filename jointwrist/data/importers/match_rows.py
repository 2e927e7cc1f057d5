"""Match rows of a table to radiographs by file name."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.importers.clean_file_names import without_decoration
from jointwrist.data.importers.patient_table import Row
from jointwrist.errors import DataError

_SUFFIXES = IMAGE_SUFFIXES | {".dcm", ".dicom", ".json"}


def match_rows(images: Sequence[Path], rows: Sequence[Row]) -> list[Row | None]:
    """Find the row of every image, or None.

    Names match exactly, in another case, with another extension, or without the additions of annotation tools. Where
    several match, their folders decide, from the innermost outwards. Rows may omit folders or name others.

    Raises:
        DataError: A row matches several images equally well, or an image several rows.
    """
    by_stem: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        by_stem[_stem(_parts(row.file)[-1])].append(index)
    pairs = defaultdict(list)
    for image, path in enumerate(images):
        for row in by_stem[_stem(path.name)]:
            pairs[_agreement(path.as_posix(), rows[row].file)].append((image, row))
    found: list[Row | None] = [None] * len(images)
    free = set(range(len(rows)))
    for agreement in sorted(pairs, reverse=True):
        level = [(image, row) for image, row in pairs[agreement] if found[image] is None and row in free]
        of_row, of_image = Counter(row for _, row in level), Counter(image for image, _ in level)
        for image, row in level:
            if of_row[row] > 1:
                some = ", ".join(str(images[other]) for other, same in level if same == row)
                raise DataError(f"{rows[row].where}: fits {of_row[row]} radiographs: {some}; write their folders too")
            if of_image[image] > 1:
                some = ", ".join(rows[other].file for same, other in level if same == image)
                raise DataError(f"{images[image]}: {of_image[image]} rows of the table fit it: {some}; keep one")
            found[image] = rows[row]
            free.discard(row)
    return found


def _parts(path: str) -> tuple[str, ...]:
    return PurePosixPath(unicodedata.normalize("NFC", path)).parts


def _base(name: str) -> str:
    """Return a name without the extension of an image."""
    path = PurePosixPath(name)
    return path.stem if path.suffix.lower() in _SUFFIXES else path.name


def _stem(name: str) -> str:
    return without_decoration(_base(unicodedata.normalize("NFC", name))).strip().casefold()  # as cells are


def _agreement(image: str, row: str) -> tuple[int, int, int]:
    """Return how well two paths match: name, number of folders, number of parts in the same case."""
    ours, theirs = _parts(image)[::-1], _parts(row)[::-1]
    folded = [part.casefold() for part in ours], [part.casefold() for part in theirs]
    name = 2 if folded[0][0] == folded[1][0] else 1 if _base(folded[0][0]) == _base(folded[1][0]) else 0
    folders = 0
    for mine, other in zip(folded[0][1:], folded[1][1:], strict=False):
        if mine != other:
            break
        folders += 1
    same_case = sum(a == b for a, b in zip(ours[: folders + 1], theirs[: folders + 1], strict=True))
    return name, folders, same_case
