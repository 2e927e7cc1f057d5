"""Recognise the files of a prediction, which look like radiographs or masks of their own."""

from __future__ import annotations

import json
from pathlib import Path

#: Endings of the masks of a prediction, the first one written first.
MASKS = ("_masks.npz", "_masks.png", "_masks.seg.nrrd", "_masks.nii.gz")
#: Endings of its pictures and DICOM objects.
_PICTURES = ("_overlay.png", "_masks.png", "_seg.dcm", "_sr.dcm", "_pr.dcm", "_sc.dcm")
#: Endings of all its files but the record, `<stem>.json`.
ENDINGS = tuple(dict.fromkeys((*MASKS, *_PICTURES)))
#: Added to the name of each file of a result that a later run could not make again.
EARLIER = ".earlier"
#: Errors of reading a file that holds no JSON, or JSON nested so deeply that nobody wrote it.
JSON_ERRORS = (OSError, ValueError, RecursionError)
_KEYS = {"source", "bones", "joints"}
_COMPARISON_KEYS = {"baseline", "followup", "registration", "bone_areas"}


def is_result(file: Path) -> bool:
    """Whether a file is a picture or DICOM object of a prediction or an earlier one, whose record lies beside it."""
    name = file.name.removesuffix(EARLIER)
    earlier = file.name[len(name) :]
    for ending in _PICTURES:
        if name.endswith(ending):
            return is_record(file.with_name(f"{name.removesuffix(ending)}.json{earlier}"))
    return False


def is_record(file: Path) -> bool:
    """Whether a file is the JSON file of a prediction; False if it is missing or damaged."""
    try:
        return describes_result(json.loads(file.read_text("utf-8")))
    except JSON_ERRORS:
        return False


def describes_result(content: object) -> bool:
    """Whether the content of a JSON file is that of a prediction: bones and joints by name, each found or not."""
    if not isinstance(content, dict) or not content.keys() >= _KEYS:
        return False
    return all(_are_entries(content[part], {"name", "found"}) for part in ("bones", "joints"))


def describes_comparison(content: object) -> bool:
    """Whether the content of a JSON file is that of a comparison of two visits."""
    if not isinstance(content, dict) or not content.keys() >= _COMPARISON_KEYS:
        return False
    return isinstance(content["registration"], dict) and _are_entries(content["bone_areas"], {"name"})


def _are_entries(values: object, keys: set[str]) -> bool:
    return isinstance(values, list) and all(isinstance(value, dict) and value.keys() >= keys for value in values)
