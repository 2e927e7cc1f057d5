"""The pictures of a folder of masks: which may be masks, which are radiographs, and what else there is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.importers.picture_names import is_for_radiographs
from jointwrist.data.importers.visible_files import visible_files
from jointwrist.data.result_files import is_result
from jointwrist.errors import DataError

_ENDINGS = IMAGE_SUFFIXES - {".npy"}
#: Endings of files that may hold masks or radiographs, but are not read here.
_OTHER_ENDINGS = tuple(".gif .webp .npy .npz .pgm .pbm .ppm .jp2 .svg .psd .xcf .dcm .nii .nii.gz .nrrd .zip".split())
_SHOWN = 5
#: Folder of Pascal VOC with pictures that number the objects, not their classes.
_OBJECTS = "SegmentationObject"


class PictureFolder(NamedTuple):
    """Pictures of a folder.

    Attributes:
        pictures: Those that may be masks.
        radiographs: Radiographs, if a folder holds them apart.
        notes: Sentences about what was left out.
        results: Number of masks and overlays of predictions that were left out.
    """

    pictures: list[Path]
    radiographs: list[Path] | None
    notes: list[str]
    results: int = 0


def read_folder(source: Path, images: Path | None) -> PictureFolder:
    """Find the pictures below a folder of masks, and the radiographs in a folder of their own, if there is one.

    Raises:
        DataError: A folder does not exist.
    """
    for place in filter(None, (source, images)):
        if not place.is_dir():
            what = "is a file; give the folder that holds the pictures" if place.is_file() else "no such folder"
            raise DataError(f"{place}: {what}")
    paths = list(visible_files(source))
    pictures = [path for path in paths if path.suffix.lower() in _ENDINGS]
    results = {path for path in pictures if is_result(path)}
    notes = []
    if results:
        notes.append(
            f"{source}: masks and overlays of `jointwrist predict` left out: {len(results)}; `predict --for` writes"
            " masks for `data import`"
        )
    objects = [path for path in pictures if _holds_objects(path.relative_to(source).parts)]
    if objects:
        notes.append(f"{source}: pictures of {_OBJECTS}, in which a colour is an object, left out: {len(objects):,}")
        pictures = without(pictures, objects)
    others = [path for path in paths if path.name.lower().endswith(_OTHER_ENDINGS)]
    if others:
        notes.append(f"{source}: files that are not PNG, TIFF, BMP or JPEG left out: {listed(others, source)}")
    pictures = [path for path in pictures if path not in results]
    if images is not None and images.resolve() != source.resolve():
        inside = {path.resolve() for path in pictures} if source.resolve().is_relative_to(images.resolve()) else set()
        films = [path for path in visible_files(images) if path.suffix.lower() in _ENDINGS and not is_result(path)]
        films = [path for path in films if path.resolve() not in inside]
        theirs = {path.resolve() for path in films}
        return PictureFolder([path for path in pictures if path.resolve() not in theirs], films, notes, len(results))
    films = [path for path in pictures if any(map(is_for_radiographs, path.relative_to(source).parts[:-1]))]
    if images is not None or not films:
        return PictureFolder(pictures, None, notes, len(results))
    return PictureFolder(without(pictures, films), films, notes, len(results))


def _holds_objects(parts: Sequence[str]) -> bool:
    """Whether a picture is one of the objects of Pascal VOC, which CVAT writes beside those of the classes."""
    return _OBJECTS in parts[:-1]


def without(paths: Sequence[Path], others: Iterable[Path]) -> list[Path]:
    """Return the paths that are not among the others."""
    left_out = set(others)
    return [path for path in paths if path not in left_out]


def listed(paths: Sequence[Path], source: Path) -> str:
    """List the first of some files of a folder."""
    names = [path.relative_to(source).as_posix() if path.is_relative_to(source) else str(path) for path in paths]
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
