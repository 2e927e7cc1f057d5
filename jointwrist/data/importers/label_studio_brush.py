"""Brush masks of Label Studio, exported as PNG: a file for each region, named after task, annotation and label.

The names are `task-TASK-annotation-ANNOTATION-by-ANNOTATOR-TAG-LABEL-NUMBER.png`. They do not state the radiograph,
which is in the JSON of the same tasks ("JSON" or "JSON-MIN").
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jointwrist.data.images import IMAGE_SUFFIXES
from jointwrist.data.importers.clean_file_names import without_decoration
from jointwrist.data.importers.picture_names import MaskOf, key
from jointwrist.data.importers.visible_files import visible_files
from jointwrist.data.shapes.annotation_json import read_any_json
from jointwrist.errors import DataError

_NAME = re.compile(r"task-(\d+)-annotation-(\d+)-by-([^-]*)-(.+)-(\d+)")
_TASK = re.compile(r"(?:task)?[-_ ]?0*(\d+)", re.IGNORECASE)


def is_brush_mask(path: Path) -> bool:
    """Whether a file has the name of a brush mask."""
    return path.suffix.lower() == ".png" and bool(_NAME.fullmatch(path.stem))


def read_brush_masks(
    source: Path, paths: Sequence[Path], films: Sequence[Path], known: Callable[[str], bool]
) -> list[MaskOf]:
    """Find label and radiograph of every brush mask.

    Without JSON, a film named after its task (`7.png`, `task-7.png`) is its radiograph, or the only film that of the
    only task.

    Args:
        source: Folder that may hold the JSON.
        paths: Brush masks.
        films: Pictures that may be radiographs.
        known: Whether a label means a bone.

    Raises:
        DataError: A task was annotated twice, or its radiograph is missing or uncertain.
    """
    tasks: dict[int, tuple[str, Path]] = {}
    masks: list[tuple[Path, int, str]] = []
    for path in paths:
        task, annotation, _, rest, _ = _NAME.fullmatch(path.stem).groups()
        other, first = tasks.setdefault(int(task), (annotation, path))
        if other != annotation:
            raise DataError(
                f"{path}: task {task} also has annotation {other} ({first.name}); keep the masks of one of them"
            )
        masks.append((path, int(task), _label(rest, known)))
    named = _films_of_tasks(source)
    radiographs = {}
    for task, (_, path) in tasks.items():
        if task in named:
            radiographs[task] = _film(named[task], films, path)
        else:
            radiographs[task] = _film_of_number(task, films, len(tasks) == 1, path)
    twice: dict[Path, int] = {}
    for task, film in radiographs.items():
        if twice.setdefault(film, task) != task:
            raise DataError(
                f"{film}: is the radiograph of tasks {twice[film]} and {task}; keep the masks of one of them"
            )
    return [MaskOf(path, label, radiographs[task]) for path, task, label in masks]


def _label(rest: str, known: Callable[[str], bool]) -> str:
    """Return the label of `TAG-LABEL`; both may contain hyphens."""
    parts = rest.split("-")
    labels = ["-".join(parts[start:]) for start in range(1, len(parts))]
    return next(filter(known, labels), labels[0] if labels else rest)


def _films_of_tasks(source: Path) -> dict[int, str]:
    """Return the name of the radiograph of each task, by the JSON files of the folder."""
    exports = [path for path in visible_files(source) if path.suffix.lower() == ".json"]
    return {task: name for path in exports for task, name in _tasks(path)}


def _tasks(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the tasks of a file of Label Studio; none of another file.

    Raises:
        DataError: The file is no JSON, or too large.
    """
    content = read_any_json(path)
    for task in content if isinstance(content, list) else [content]:
        if isinstance(task, dict) and isinstance(task.get("id"), int):
            name = _image(task["data"] if isinstance(task.get("data"), dict) else task)
            if name:
                yield task["id"], name


def _image(data: dict[str, Any]) -> str:
    """Return the file name in the first value that is the path or the URL of a picture."""
    for value in data.values():
        if isinstance(value, str):
            for text in (unquote(value), unquote(value.partition("?")[0])):
                name = re.split(r"[/\\]|\?d=", text)[-1]
                if Path(name).suffix.lower() in IMAGE_SUFFIXES:
                    return name
    return ""


def _film(name: str, films: Sequence[Path], mask: Path) -> Path:
    """Find a film by its name, by it with another ending, or without what Label Studio added."""
    stem = Path(name).stem
    for fits in (
        lambda film: film.name == name,
        lambda film: key(film.stem) == key(stem),
        lambda film: key(film.stem) == key(without_decoration(stem)),
    ):
        found = [film for film in films if fits(film)]
        if len(found) == 1:
            return found[0]
        if found:
            raise DataError(f"{mask}: {' and '.join(map(str, found))} may be its radiograph {name}; keep one")
    raise DataError(f"{mask}: its radiograph {name} is not there; name the folder of the radiographs with --images")


def _film_of_number(task: int, films: Sequence[Path], only: bool, mask: Path) -> Path:
    found = [film for film in films if (match := _TASK.fullmatch(film.stem)) and int(match[1]) == task]
    if len(found) == 1 or (only and len(films) == 1):
        return (found or films)[0]
    raise DataError(
        f"{mask}: nothing says which radiograph task {task} is; export the project as JSON, too, and put the file into"
        " this folder"
    )
