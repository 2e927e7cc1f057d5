"""Search folders for radiographs, and report skipped files."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from jointwrist.data.dataset.layout import holds_labels, images_read_instead, list_images
from jointwrist.data.dicom.file import is_dicom, may_be_image
from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.result_files import is_result
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: How many skipped files a message names.
_NAMED = 8


def find_radiographs(
    paths: Iterable[str | Path],
    exclude: str | Path | None = None,
    left_out: Callable[[Path, list[Path]], None] | None = None,
) -> Iterator[Path]:
    """Yield files, and all radiographs within folders and their subfolders.

    Hidden files are ignored, except that hidden pictures and DICOM files are reported as skipped. Directories of discs
    (`DICOMDIR`) are ignored. Results of a prediction are skipped: an overlay looks like another radiograph. So are the
    masks and crops of a dataset in the released layout, and the second copy of a radiograph that it holds twice. Links
    to files that do not exist are yielded, so that reading them reports it.

    Args:
        paths: Files, which are yielded unless they are results, and folders.
        exclude: Folder within them that is not searched, such as the folder of the results.
        left_out: Called with each folder and the paths in it that were skipped: files of other kinds, results of
            predictions, links to folders, unreadable folders, and folders of labels.

    Raises:
        DataError: A path does not exist, or a folder holds no radiographs.
    """
    for path in map(Path, paths):
        if not path.is_dir():
            if not path.is_file():
                raise DataError(f"{path}: {why_unreadable(path)}")
            if not is_result(path):
                yield path
            elif left_out is not None:
                left_out(path.parent, [path])
            continue
        radiographs, others = _sort_files(path, exclude and Path(exclude).resolve())
        if not radiographs:
            raise DataError(f"{path}: holds no radiographs (BMP, PNG, JPEG, TIFF or DICOM)")
        if others and left_out is not None:
            left_out(path, others)
        yield from radiographs


def describe_left_out(folder: Path, others: list[Path], name: str | None = None) -> str:
    """Describe in one line what was skipped in a folder; if the folder is given a name, without file names."""
    summary = (
        f"{name or folder}: left out {len(others)} (not BMP, PNG, JPEG, TIFF or DICOM images, results of predictions,"
        " labels of a dataset, or folders that cannot be entered)"
    )
    if name is not None:
        return summary
    names = [str(other.relative_to(folder)) for other in others[:_NAMED]]
    more = f" and {len(others) - _NAMED} more" if len(others) > _NAMED else ""
    return f"{summary}: {', '.join(names)}{more}"


def _sort_files(folder: Path, exclude: Path | None) -> tuple[list[Path], list[Path]]:
    """Return the radiographs of a folder, and the other paths in it."""
    radiographs: list[Path] = []
    others: list[Path] = []
    closed: list[OSError] = []
    for place, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(place, name).resolve() != exclude]
        labels = [name for name in folders if holds_labels(Path(place, name).absolute())]
        others += [Path(place, name) for name in folders if name in labels or Path(place, name).is_symlink()]
        folders[:] = [name for name in folders if name not in labels]
        copies = _read_elsewhere(Path(place), folder)
        for file in (Path(place, name) for name in names if Path(name).stem not in copies):
            if file.name.startswith("."):
                others += [file] if file.suffix.lower() in IMAGE_SUFFIXES or is_dicom(file) else []
            elif file.name.upper() != "DICOMDIR":
                (radiographs if _may_be_radiograph(file) else others).append(file)
    return sorted(radiographs), sorted([*others, *(Path(error.filename) for error in closed)])


def _read_elsewhere(place: Path, folder: Path) -> Collection[str]:
    """Return the stems of images that another folder below `folder` holds as well, which is read instead."""
    first = images_read_instead(place.absolute())
    return list_images(first, lambda _: None) if first and first.is_relative_to(folder.absolute()) else ()


def _may_be_radiograph(file: Path) -> bool:
    if file.suffix.lower() in IMAGE_SUFFIXES:
        return (file.is_file() or file.is_symlink()) and not is_result(file)
    return is_dicom(file) and not is_result(file) and may_be_image(file)
