"""Tables of the numbers of label maps: ITK-SNAP's and 3D Slicer's, JSON of nnU-Net and MONAI, and two columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jointwrist.config import read_yaml
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Largest table.
_MAX_BYTES = 2**20
#: ITK-SNAP: number, red, green, blue, opacity, visible, mesh visible, "name".
_SNAP = re.compile(r'\s*(\d+)(?:\s+[\d.]+){6}\s+"(.*)"\s*')
#: 3D Slicer and FreeSurfer: number, name, red, green, blue, opacity.
_COLOURS = re.compile(r"\s*(\d+)\s+(\S.*?)(?:\s+\d+){4}\s*")
_NUMBER = re.compile(r"0*\d{1,9}(?:\.0+)?")
_BACKGROUND = frozenset(("background", "clear label", "ignore", "unlabeled", "unlabelled", "none", "bg"))
#: Keys of one label in a list of JSON.
_NUMBER_KEYS, _NAME_KEYS = ("value", "number", "index", "id", "label_id", "label"), ("name", "label", "title")
_REMEDY = "give a number and a name a line, as in `1,Lunate`"


def read_label_table(path: Path) -> dict[str, str | None]:
    """Return the name of each number, as text; None for a background or what is to be ignored; without 0.

    Args:
        path: Label descriptions of ITK-SNAP, a colour table of 3D Slicer, JSON (`dataset.json` of nnU-Net, `labels` or
            `channel_def` of MONAI, a mapping in either direction, or a list of objects), YAML, or a text file of two
            columns in either order, with or without a first line of names.

    Raises:
        DataError: The file is missing or no such table, a number has two names, or a name two numbers.
    """
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes are no table of labels; {_REMEDY}")
    text = _text(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        pairs = _of_mapping(read_yaml(path, names=True), path)
    elif text.lstrip().startswith(("{", "[")):
        pairs = _of_json(text, path)
    else:
        pairs = _of_lines(text, path)
    return _checked(pairs, path)


def _text(path: Path) -> str:
    content = path.read_bytes()
    if b"\0" in content[:4096] and not content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: is no text; {_REMEDY}")
    for encoding in ("utf-16",) if content.startswith((b"\xff\xfe", b"\xfe\xff")) else ("utf-8-sig", "cp1252"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise DataError(f"{path}: its encoding is unknown; save it as UTF-8")


def _of_json(text: str, path: Path) -> list[tuple[Any, Any]]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); {_REMEDY}") from None
    labels = _labels_in(content)
    if isinstance(labels, dict):
        return list(_of_mapping(labels, path))
    if isinstance(labels, list) and labels and all(isinstance(label, dict) for label in labels):
        return [(_first(label, _NUMBER_KEYS, True), _first(label, _NAME_KEYS, False)) for label in labels]
    raise DataError(f'{path}: states no numbers of labels; write a mapping, as in {{"Lunate": 1}}')


def _labels_in(content: Any) -> Any:
    """Return the labels in the description of a dataset, of a MONAI bundle, or of a server, or the content itself."""
    places = [content]
    for key in ("network_data_format", "outputs", "pred"):
        places.append(places[-1].get(key) if isinstance(places[-1], dict) else None)
    for place in filter(None, (places[0], places[-1])):
        for key in ("labels", "channel_def"):
            if isinstance(place, dict) and isinstance(place.get(key), dict | list):
                return place[key]
    return content


def _first(label: dict[str, Any], keys: Iterable[str], number: bool) -> Any:
    """Return the first of the keys' values that is, or is not, a number."""
    return next((label[key] for key in keys if key in label and _is_number(label[key]) == number), None)


def _of_mapping(labels: dict[Any, Any], path: Path) -> Iterator[tuple[Any, Any]]:
    """Yield number and name of a mapping from names to numbers, or from numbers to names."""
    by_number = all(_is_number(key) for key in labels) and not all(_is_number(value) for value in labels.values())
    for key, value in labels.items():
        name, number = (value, key) if by_number else (key, value)
        if isinstance(name, dict):  # {"1": {"name": "Lunate", "color": ...}}
            name = _first(name, _NAME_KEYS, False)
        if not _is_number(number):
            raise DataError(f"{path}: the label {name} is {json.dumps(number, default=str)}, not a number; {_REMEDY}")
        yield number, name


def _of_lines(text: str, path: Path) -> Iterator[tuple[Any, Any]]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not line.lstrip().startswith(("#", "//"))]
    if lines and lines[0][1].strip().lower().startswith("sep="):
        del lines[0]
    for index, (number, line) in enumerate(lines):
        if found := _SNAP.fullmatch(line) or _COLOURS.fullmatch(line):
            yield found[1], found[2]
            continue
        fields = _fields(line)
        if len(fields) == 2 and _is_number(fields[0]) != _is_number(fields[1]):
            yield (fields[0], fields[1]) if _is_number(fields[0]) else (fields[1], fields[0])
        elif index or any(map(_is_number, fields)):  # the first line may name the columns
            raise DataError(f"{path}: line {number} is no number and name; {_REMEDY}")


def _fields(line: str) -> list[str]:
    """Split a line at tabs, semicolons or commas, or else at its first space or colon."""
    mark = next((mark for mark in "\t;," if mark in line), None)
    if mark:
        return [field.strip() for field in next(csv.reader([line], delimiter=mark))]
    found = re.fullmatch(r"\s*(\d+)\s*[:= ]\s*(\S.*?)\s*|\s*(\S.*?)\s*[:= ]\s*(\d+)\s*", line)
    return [part.strip("\"'") for part in found.groups() if part] if found else [line.strip()]


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and bool(_NUMBER.fullmatch(str(value).strip()))


def _checked(pairs: Iterable[tuple[Any, Any]], path: Path) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    numbers: dict[str, str] = {}
    for value, text in pairs:
        if not _is_number(value) or (text is not None and _is_number(text)):
            raise DataError(f"{path}: the label {text!r} has no number, or no name; {_REMEDY}")
        number, name = str(int(float(str(value)))), str(text or "").strip()
        if names.setdefault(number, name) != name:
            raise DataError(f"{path}: the number {number} is {names[number]!r} and {name!r}; keep one of them")
        if name and numbers.setdefault(name, number) != number:
            raise DataError(f"{path}: {name!r} has the numbers {numbers[name]} and {number}; keep one of them")
    named = {number: None if not name or name.lower() in _BACKGROUND else name for number, name in names.items()}
    named.pop("0", None)
    if not named:
        raise DataError(f"{path}: names no label besides the background; {_REMEDY}")
    return named
