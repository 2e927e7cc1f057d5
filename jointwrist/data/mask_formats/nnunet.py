"""Labels of nnU-Net: its folders name the numbers of their label maps in a file `dataset.json`.

nnU-Net 2 writes `{"labels": {"background": 0, "Lunate": 1}}`, also beside its predictions; version 1 had
`{"labels": {"0": "background", "1": "Lunate"}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.data.mask_formats.label_map import numbers_of
from jointwrist.data.shapes.annotation_json import read_any_json
from jointwrist.errors import DataError

FILE = "dataset.json"
#: Label of pixels that were not annotated.
_IGNORE = "ignore"


def names_of_numbers(
    folder: Path, mapping: Mapping[str, str | None], anatomy: Anatomy = WRIST
) -> dict[str, str | None]:
    """Return what the numbers of label maps mean: by `dataset.json`, or else b + 1 for bone b.

    Args:
        folder: Folder of the label maps; `dataset.json` is in it, or beside nnU-Net's `labelsTr` and `labelsTs`.
        mapping: As from `shapes.label_names.read_map`; takes precedence, for numbers and for the names of the file.
        anatomy: The bones.

    Returns:
        The mapping, with the numbers added.

    Raises:
        DataError: The file does not give a number to every label.
    """
    return {**(stated_names(folder, mapping) or numbers_of(anatomy)), **mapping}


def stated_names(folder: Path, mapping: Mapping[str, str | None]) -> dict[str, str | None] | None:
    """Return what the numbers mean by `dataset.json`, or None without one; see `names_of_numbers`."""
    places = [folder / FILE, *([folder.parent / FILE] if folder.name.startswith("labels") else [])]
    stated = next((_labels(path) for path in places if path.is_file()), None)
    if stated is None:
        return None
    return {number: mapping.get(name, name) if name else None for number, name in stated.items()}


def _labels(path: Path) -> dict[str, str | None] | None:
    """Return the label's name by number, None for what is to be ignored; None for another tool's file."""
    content = read_any_json(path)
    labels = content.get("labels") if isinstance(content, dict) else None
    if not isinstance(labels, dict):
        return None
    pairs = [(value, key) if isinstance(value, str) else (key, value) for key, value in labels.items()]
    for name, number in pairs:
        if not str(number).isdigit():
            raise DataError(
                f"{path}: the label {name} is {json.dumps(number)}, not a number; take the file away, and name the"
                " numbers with --map"
            )
    return {str(int(number)): None if name == _IGNORE else name for name, number in pairs if int(number)}
