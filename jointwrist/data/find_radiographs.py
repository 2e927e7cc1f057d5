"""Radiographs in folders: what is taken, and what is left out and said to be."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jointwrist.data.dicom.file import is_dicom
from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.errors import DataError

#: Names that a message on what is left out gives.
_NAMED = 8


def find_radiographs(
    paths: Iterable[str | Path],
    besides: str | Path | None = None,
    left_out: Callable[[Path, list[Path]], None] | None = None,
) -> Iterator[Path]:
    """Yield files, and the radiographs within folders and their folders.

    Names that begin with a dot are passed over, unless they are those of pictures or DICOM files, and so are the
    directories of discs (`DICOMDIR`).

    Args:
        paths: Files, which are taken as they are, and folders.
        besides: Folder within the folders that is not searched, such as that of the results.
        left_out: Called with each folder and of what in it was not taken: files of other kinds, links to folders, and
            folders that may not be read.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.exists():
                raise DataError(f"{path}: no such file")
            yield path
            continue
        radiographs, others = _sorted_out(path, besides and Path(besides).resolve())
        if not radiographs:
            raise DataError(f"{path}: holds no radiographs (BMP, PNG, JPEG, TIFF or DICOM)")
        if others and left_out is not None:
            left_out(path, others)
        yield from radiographs


def describe_left_out(folder: Path, others: list[Path], name: str | None = None) -> str:
    """Say in a line what of a folder was left out; with a name for the folder, without those of the files."""
    said = f"{name or folder}: left out {len(others)} that are no pictures or DICOM files, or folders not to be entered"
    if name is not None:
        return said
    names = [str(other.relative_to(folder)) for other in others[:_NAMED]]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"{said}: {', '.join(names)}{more}"


def _sorted_out(folder: Path, besides: Path | None) -> tuple[list[Path], list[Path]]:
    """Return the radiographs of a folder, and what in it is none."""
    radiographs: list[Path] = []
    others: list[Path] = []
    closed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(place, name).resolve() != besides]
        others += [Path(place, name) for name in folders if Path(place, name).is_symlink()]
        for file in (Path(place, name) for name in names):
            if file.name.startswith("."):
                others += [file] if file.suffix.lower() in IMAGE_SUFFIXES or is_dicom(file) else []
            elif file.name.upper() != "DICOMDIR":
                (radiographs if _may_be_radiograph(file) else others).append(file)
    return sorted(radiographs), sorted([*others, *(Path(error.filename) for error in closed)])


def _may_be_radiograph(file: Path) -> bool:
    return file.is_file() if file.suffix.lower() in IMAGE_SUFFIXES else is_dicom(file)
