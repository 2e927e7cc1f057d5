"""Tables of the numbers and colours of label maps: ITK-SNAP's, 3D Slicer's, CVAT's, JSON, and columns."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from jointwrist.config import read_yaml
from jointwrist.data.mask_formats.label_colours import colour_name, columns_of, of_fields, of_voc_line, of_words
from jointwrist.errors import DataError
from jointwrist.readable import why_unreadable

#: Largest table.
_MAX_BYTES = 2**20
#: ITK-SNAP: number, red, green, blue, opacity, visible, mesh visible, "name".
_SNAP = re.compile(r'\s*(\d+)\s+(\d+\s+\d+\s+\d+)(?:\s+[\d.]+){3}\s+"(.*)"\s*')
#: 3D Slicer and FreeSurfer: number, name, red, green, blue, opacity.
_COLOURS = re.compile(r"\s*(\d+)\s+(\S.*?)\s+(\d+\s+\d+\s+\d+)\s+\d+\s*")
_COMMENT = re.compile(r"\s*(?:#(?![0-9a-fA-F]{3,8}\s*[,;\t]|[0-9a-fA-F]{6}\s+\S)|//)")
_NUMBER = re.compile(r"0*\d{1,9}(?:\.0+)?")
_BACKGROUND = frozenset(("background", "clear label", "ignore", "unlabeled", "unlabelled", "none", "bg"))
#: Keys of one label in a list of JSON.
_NUMBER_KEYS, _NAME_KEYS = ("value", "number", "index", "id", "label_id", "label"), ("name", "label", "title")
_COLOUR_KEYS = ("color", "colour", "background", "hex")
#: The colour of the background.
_BLACK = "#000000"
_REMEDY = "give a number and a name a line, as in `1,Lunate`, or a name and its colour, as in `Lunate,250,50,83`"
#: Number, name and colour of a label, as written; not all of them need be known.
Row = tuple[Any, Any, Any]


def read_label_table(path: Path) -> dict[str, str | None]:
    """Return the name of each number, as text, and of each colour, as `#rrggbb`, without 0.

    The name is None for a background or what is to be ignored. Colours that several labels share are left out.

    Args:
        path: Label descriptions of ITK-SNAP, a colour table of 3D Slicer, `labelmap.txt` of CVAT, JSON (`dataset.json`
            of nnU-Net, `labels` or `channel_def` of MONAI, a mapping in either direction, or a list of objects), YAML,
            or a text file: two columns in either order, with or without a first line of names, or more with colours
            (a name, red, green and blue, or `#rrggbb`).

    Raises:
        DataError: The file is missing or no such table, a number has two names, a name two numbers, or two labels
            without numbers have one colour.
    """
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    if path.stat().st_size > _MAX_BYTES:
        raise DataError(f"{path}: {path.stat().st_size:,} bytes are no table of labels; {_REMEDY}")
    text = _text(path)
    if path.suffix.lower() in (".yaml", ".yml"):
        rows = list(_of_mapping(read_yaml(path, names=True), path))
    elif text.lstrip().startswith(("{", "[")):
        rows = _of_json(text, path)
    else:
        rows = list(_of_lines(text, path))
    numbered = [row for row in rows if row[0] is not None]
    if numbered and len(numbered) < len(rows):
        raise DataError(
            f"{path}: the label {next(row[1] for row in rows if row[0] is None)!r} has no number; {_REMEDY}"
        )
    named = _checked(numbered, path) if numbered or not rows else {}
    return named | _checked_colours(rows, path, bool(numbered))


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


def _of_json(text: str, path: Path) -> list[Row]:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not valid JSON ({error}); {_REMEDY}") from None
    labels = _labels_in(content)
    if isinstance(labels, dict):
        return list(_of_mapping(labels, path))
    if isinstance(labels, list) and labels and all(isinstance(label, dict) for label in labels):
        return [_of_object(label, path) for label in labels]
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


def _of_object(label: dict[str, Any], path: Path) -> Row:
    number, name = _first(label, _NUMBER_KEYS, True), _first(label, _NAME_KEYS, False)
    colour = next((label[key] for key in _COLOUR_KEYS if key in label), None)
    if number is None and colour_name(colour) is None:
        raise DataError(f"{path}: the label {name!r} has no number and no colour; {_REMEDY}")
    return number, name, colour


def _first(label: dict[str, Any], keys: Iterable[str], number: bool) -> Any:
    """Return the first of the keys' values that is, or is not, a number."""
    return next((label[key] for key in keys if key in label and _is_number(label[key]) == number), None)


def _of_mapping(labels: dict[Any, Any], path: Path) -> Iterator[Row]:
    """Yield the labels of a mapping from names to numbers or colours, or from these to names."""
    if any(colour_name(part) for pair in labels.items() for part in pair):
        for key, value in labels.items():
            yield (None, value, key) if colour_name(key) else (None, key, value)
        return
    by_number = all(_is_number(key) for key in labels) and not all(_is_number(value) for value in labels.values())
    for key, value in labels.items():
        name, number = (value, key) if by_number else (key, value)
        colour = None
        if isinstance(name, dict):  # {"1": {"name": "Lunate", "color": ...}}
            colour = next((name[key] for key in _COLOUR_KEYS if key in name), None)
            name = _first(name, _NAME_KEYS, False)
        if not _is_number(number):
            raise DataError(f"{path}: the label {name} is {json.dumps(number, default=str)}, not a number; {_REMEDY}")
        yield number, name, colour


def _of_lines(text: str, path: Path) -> Iterator[Row]:
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    lines = [(number, line) for number, line in lines if not _COMMENT.match(line)]
    if lines and lines[0][1].strip().lower().startswith("sep="):
        del lines[0]
    columns = columns_of(_fields(lines[0][1])) if lines else None
    if columns is not None:
        del lines[0]
    for index, (number, line) in enumerate(lines):
        if found := _SNAP.fullmatch(line):
            yield found[1], found[3], found[2]
            continue
        if found := _COLOURS.fullmatch(line):
            yield found[1], found[2], found[3]
            continue
        if found := of_voc_line(line) or of_words(line):
            yield None, *found
            continue
        fields = _fields(line)
        if columns is None and len(fields) == 2 and _is_number(fields[0]) != _is_number(fields[1]):
            yield (*fields, None) if _is_number(fields[0]) else (fields[1], fields[0], None)
        elif found := of_fields(fields, columns):
            yield found
        elif index or columns or any(map(_is_number, fields)):  # the first line may name the columns
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


def _checked_colours(rows: Iterable[Row], path: Path, numbered: bool) -> dict[str, str | None]:
    """Return the name of each colour that one label has.

    Raises:
        DataError: Labels without numbers have one colour, or none that can be read.
    """
    names: dict[str, set[str]] = {}
    for _, text, value in rows:
        name, colour = str(text or "").strip(), colour_name(value)
        if not numbered and colour is None:
            raise DataError(f"{path}: the label {name!r} has no number and no colour; {_REMEDY}")
        names.setdefault(colour or "", set()).add(name)
    names.pop("", None)
    names.pop(_BLACK, None) if numbered else None
    shared = next((colour for colour, several in names.items() if len(several) > 1), None)
    if shared and not numbered:
        raise DataError(f"{path}: {' and '.join(sorted(names[shared]))} have one colour, {shared}; give each its own")
    named = {colour: next(iter(several)) for colour, several in names.items() if len(several) == 1}
    if not numbered and named.get(_BLACK, "").lower() not in _BACKGROUND | {""}:
        raise DataError(f"{path}: the colour of {named[_BLACK]!r} is black, as the background is; give it another one")
    named = {colour: None if not name or name.lower() in _BACKGROUND else name for colour, name in named.items()}
    named.pop(_BLACK, None)
    if not numbered and not any(named.values()):
        raise DataError(f"{path}: names no label besides the background; {_REMEDY}")
    return named


def _checked(rows: Iterable[Row], path: Path) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    numbers: dict[str, str] = {}
    for value, text, _ in rows:
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
