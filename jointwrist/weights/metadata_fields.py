"""Parse the metadata of an untrusted weight file or program, and check types and ranges; needs no registry."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from jointwrist.anatomy import info_anatomy
from jointwrist.config import ConfigError
from jointwrist.errors import DataError
from jointwrist.weights.scope_model import ScopeModel
from jointwrist.weights.training_history import TrainingHistory

#: Upper limits of the input sides in pixels, which determine the memory that a prediction needs.
MAX_SIDES = {"image_size": 2048, "detail_size": 4096}
#: Upper limit of integers among a builder's options.
MAX_OPTION = 4096


def read_description(path: Path, text: str) -> dict[str, Any]:
    """Parse the metadata of a network, and check types and ranges of its values.

    Args:
        path: The file, for error messages.
        text: JSON written by `save_weights`; at least `model`.

    Raises:
        DataError: The text is not valid JSON, names no model, or holds values of a wrong type or out of range.
    """
    try:
        info = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: its metadata are not valid JSON ({error}); copy or export the weights again"
        ) from None
    if fault := _fault(info):
        raise damaged(path, fault)
    return info


def damaged(path: Path, fault: str) -> DataError:
    """Return the error for a file with invalid metadata."""
    return DataError(f"{path}: its metadata are invalid: {fault}; copy or export the weights again")


def _fault(info: Any) -> str | None:
    """Return what is wrong with the metadata, or None."""
    match info:
        case {"model": str()}:
            pass
        case _:
            return "it names no model"
    options = info.get("options", {})
    if not isinstance(options, dict) or not all(map(_option, options.values())):
        return f"options must be names with numbers up to {MAX_OPTION}, words, or lists of these"
    for name, most in MAX_SIDES.items():
        if name in info and not (type(info[name]) is int and 0 < info[name] <= most):
            return f"{name} must be a number of pixels up to {most}"
    config = info.get("config", {})
    if not isinstance(config, dict) or not isinstance(config.get("segmentation", {}), dict):
        return "config must map names to a run's values"
    try:
        info_anatomy(info)
    except ConfigError as error:
        return str(error)
    thresholds = info.get("thresholds", {})
    if not isinstance(thresholds, dict) or not all(map(_finite, thresholds.values())):
        return "thresholds must map names to numbers"
    if not config.get("segmentation", {}).get("raw_output") and not 0 < thresholds.get("mask", 0.5) < 1:
        return "the threshold of masks must lie between 0 and 1"
    try:
        TrainingHistory.of(info)
        ScopeModel.of(info)
    except ValueError as error:
        return str(error)
    inherited = info.get("inherited", [])
    records = [*inherited, info.get("patients", {"salt": "", "hashes": []})] if isinstance(inherited, list) else [None]
    return None if all(map(_is_record, records)) else "the record of its patients must hold a salt and hashes"


def _finite(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _option(value: Any) -> bool:
    return all(map(_plain, value)) if isinstance(value, list) else _plain(value)


def _plain(value: Any) -> bool:
    if type(value) is int:
        return abs(value) <= MAX_OPTION
    return value is None or isinstance(value, (bool, str)) or _finite(value)


def _is_record(record: Any) -> bool:
    match record:
        case {"salt": str(), "hashes": [*hashes]}:
            radiographs = record.get("films", [])
            return isinstance(radiographs, list) and all(isinstance(text, str) for text in [*hashes, *radiographs])
    return False
