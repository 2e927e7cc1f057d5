"""Label maps in which each colour is a bone, and the tables that name their colours."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jointwrist.errors import DataError

#: VOC and CVAT: `name:red,green,blue:parts:actions`.
_VOC = re.compile(r"\s*([^:]+?)\s*:\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*:[^:]*:[^:]*")
_HEX = re.compile(r"#(?:[0-9a-f]{3}|[0-9a-f]{6}(?:[0-9a-f]{2})?)", re.IGNORECASE)
#: A colour and a name, separated by spaces; the name does not begin with a digit.
_NAME = r"(?P<name>[^\s\d#,;:][^,;:]*?)"
_WORDS = tuple(
    re.compile(rf"\s*{words}\s*")
    for colour in (r"(?P<colour>\d{1,3}\s+\d{1,3}\s+\d{1,3})", r"(?P<colour>#[0-9a-fA-F]{3,8})")
    for words in (rf"{colour}\s+{_NAME}", rf"{_NAME}\s+{colour}")
)
_CODE = re.compile(r"#[0-9a-f]{6}")
#: Names of columns, without case, spaces and underscores.
_COLUMNS = {
    "number": ("number", "value", "labelvalue", "index", "idx", "id", "labelid", "class", "pixelvalue"),
    "name": ("name", "label", "labelname", "bone", "structure", "classname", "class", "title"),
    "colour": ("color", "colour", "hex", "hexcolor", "rgb", "background", "labelcolor"),
    "red": ("r", "red", "colorr", "colourr"),
    "green": ("g", "green", "colorg", "colourg"),
    "blue": ("b", "blue", "colorb", "colourb"),
}
_SHOWN = 4


def colour_name(value: Any) -> str | None:
    """Return a colour as `#rrggbb`, from `#rgb`, `#rrggbb`, or three or four numbers from 0 to 255; else None."""
    if isinstance(value, str):
        text = value.strip()
        if _HEX.fullmatch(text):
            digits = text[1:].lower()
            return "#" + ("".join(2 * digit for digit in digits) if len(digits) == 3 else digits[:6])
        value = re.split(r"[\s,;]+", text.strip("()[] "))
    if not isinstance(value, Sequence) or len(value) not in (3, 4):
        return None
    parts = [str(part).strip() for part in value[:3]]
    if not all(part.isdecimal() and len(part) <= 3 and int(part) <= 255 for part in parts):
        return None
    return f"#{int(parts[0]):02x}{int(parts[1]):02x}{int(parts[2]):02x}"


def colours_in(mapping: Collection[str]) -> frozenset[int]:
    """Return the colours among the names of a mapping, as numbers of 24 bits."""
    return frozenset(int(name[1:], 16) for name in mapping if _CODE.fullmatch(str(name)))


def of_voc_line(line: str) -> tuple[str, str] | None:
    """Return name and colour of a line of `labelmap.txt`, or None."""
    found = _VOC.fullmatch(line)
    colour = colour_name(found.groups()[1:]) if found else None
    return (found[1], colour) if colour else None


def of_words(line: str) -> tuple[str, str] | None:
    """Return name and colour of a line `red green blue name` or `#rrggbb name`, in either order, or None."""
    for pattern in _WORDS:
        if found := pattern.fullmatch(line):
            colour = colour_name(found["colour"])
            return (found["name"], colour) if colour else None
    return None


def columns_of(fields: Sequence[str]) -> dict[str, int] | None:
    """Return the columns of number, name and colour by the first line of a table, or None if it names no colours."""
    plain = [re.sub(r"[\s_-]", "", field).lower() for field in fields]
    found = {
        what: next((plain.index(name) for name in names if name in plain), None) for what, names in _COLUMNS.items()
    }
    if found["number"] == found["name"]:  # one column `class`, which is a name
        found["number"] = None
    columns = {what: index for what, index in found.items() if index is not None}
    coloured = "colour" in columns or {"red", "green", "blue"} <= columns.keys()
    return columns if coloured and "name" in columns else None


def of_fields(fields: Sequence[str], columns: dict[str, int] | None) -> tuple[str | None, str, str] | None:
    """Return number (or None), name and colour of the fields of a line, or None if it has no name or colour.

    Args:
        fields: Texts of the line.
        columns: As of `columns_of`; None for a table without names of columns, whose only text is the name.
    """
    if columns is not None:
        cells = {what: fields[index] for what, index in columns.items() if index < len(fields)}
        colour = colour_name(cells.get("colour", "")) or colour_name(
            [cells.get(p, "") for p in ("red", "green", "blue")]
        )
        name, number = cells.get("name", ""), cells.get("number")
        return (number or None, name, colour) if name and colour else None
    texts = [index for index, field in enumerate(fields) if not field.isdecimal() and not _HEX.fullmatch(field)]
    if len(texts) != 1:
        return None
    name, before, after = fields[texts[0]], fields[: texts[0]], fields[texts[0] + 1 :]
    hexes = [field for field in fields if _HEX.fullmatch(field)]
    if len(hexes) == 1:
        numbers = [field for field in fields if field.isdecimal()]
        return (numbers[0] if len(numbers) == 1 else None, name, colour_name(hexes[0])) if len(numbers) < 2 else None
    for number, values in ((before, after), ([], before), ([], after)):
        colour = colour_name(values)
        if len(number) <= 1 and colour and len(number) + len(values) == len(fields) - 1:
            return (number[0] if number else None, name, colour)
    return None


def codes_of(colours: np.ndarray) -> np.ndarray:
    """Return (H, W) numbers of 24 bits, red first, of (H, W, 3) uint8 colours."""
    return colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])


def named_colours(colours: np.ndarray, named: Collection[int], path: Path, refuse: bool) -> np.ndarray | None:
    """Return the colours of a label map as numbers of 24 bits, 0 for a black ground, if all of them are named.

    Args:
        colours: (H, W, 3) uint8.
        named: Colours of the table.
        path: Of the label map, for the message.
        refuse: Whether colours without a name are refused; else the result is None then.

    Raises:
        DataError: A colour has no name.
    """
    codes = codes_of(colours)
    found, counts = np.unique(codes, return_counts=True)
    unknown = [
        (-count, code) for code, count in zip(found.tolist(), counts.tolist(), strict=True) if code not in {0, *named}
    ]
    if not unknown:
        return codes
    if not refuse:
        return None
    shown = ", ".join(f"#{code:06x} ({-count:,} px)" for count, code in sorted(unknown)[:_SHOWN])
    more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
    remedy = "save the label map without smoothing, as PNG" if len(unknown) > len(named) else "name them in the table"
    raise DataError(f"{path}: colours without a name: {shown}{more}; {remedy}")
