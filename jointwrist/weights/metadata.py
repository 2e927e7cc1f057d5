"""Validation of the metadata of an untrusted weight file before its model is built."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from jointwrist.anatomy import Anatomy, info_anatomy
from jointwrist.config import ConfigError
from jointwrist.errors import DataError, MissingExtraError
from jointwrist.registry import create_model, current_options, model_spec, unstated_versions
from jointwrist.weights.training_history import TrainingHistory

#: Upper limits of the input sides in pixels, which determine the memory that a prediction needs.
MAX_SIDES = {"image_size": 2048, "detail_size": 4096}
#: Upper limit of integers among a builder's options.
MAX_OPTION = 4096
#: Builder options that name other files or downloads to start from; ignored, as the file's own tensors replace them.
STARTS = frozenset({"checkpoint_path", "encoder_weights", "pretrained", "weights"})
#: Largest ratio of the tensors created while a network is built to those in its file; some builders replace parts.
SLACK = 2


def parse_info(path: Path, text: str) -> dict[str, Any]:
    """Parse and validate the metadata of a weight file.

    Args:
        path: The file, for error messages.
        text: JSON written by `save_weights`; at least `model`.

    Returns:
        The metadata, with default options and the published input size where they are missing.

    Raises:
        DataError: The text is not valid JSON, names no known model, or holds values of a wrong type or out of range.
    """
    try:
        info = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: its description is no JSON ({error}); copy or export the weights again") from None
    if fault := _fault(info):
        raise DataError(f"{path}: its description is damaged: {fault}; copy or export the weights again")
    options = unstated_versions(info["model"]) | current_options(info["model"], info.get("options", {}))
    return {"image_size": model_spec(info["model"]).input_size, **info, "options": options}


def _fault(info: Any) -> str | None:
    """Return what is wrong with the metadata, or None."""
    match info:
        case {"model": str(name)}:
            try:
                model_spec(name)
            except ValueError as error:
                return str(error)
        case _:
            return "it names no model"
    options = info.get("options", {})
    if not isinstance(options, dict) or not all(map(_option, options.values())):
        return f"options must be names with numbers up to {MAX_OPTION}, words, or lists of these"
    try:
        current_options(info["model"], options)
    except ValueError as error:
        return str(error)
    for name, most in MAX_SIDES.items():
        if name in info and not (type(info[name]) is int and 0 < info[name] <= most):
            return f"{name} must be a number of pixels up to {most}"
    config = info.get("config", {})
    if not isinstance(config, dict) or not isinstance(config.get("segmentation", {}), dict):
        return "config must hold a run's values by their names"
    try:
        info_anatomy(info)
    except ConfigError as error:
        return str(error)
    thresholds = info.get("thresholds", {})
    if not isinstance(thresholds, dict) or not all(map(_finite, thresholds.values())):
        return "thresholds must be numbers by their names"
    if not config.get("segmentation", {}).get("raw_output") and not 0 < thresholds.get("mask", 0.5) < 1:
        return "the threshold of masks must lie between 0 and 1"
    try:
        TrainingHistory.of(info)
    except ValueError as error:
        return str(error)
    inherited = info.get("inherited", [])
    records = [*inherited, info.get("patients", {"salt": "", "hashes": []})] if isinstance(inherited, list) else [None]
    return None if all(map(_is_record, records)) else "the record of its patients must hold a salt and hashes"


def refuse_other_anatomy(path: Path, info: Mapping[str, Any], anatomy: Anatomy) -> None:
    """Refuse weights of another anatomy.

    Args:
        path: The file, for the message.
        info: Its metadata from `parse_info`.
        anatomy: That of the radiographs, or of the network that builds on the weights.

    Raises:
        DataError: They differ in bones, joints, overlap pairs or scores.
    """
    own = info_anatomy(info)
    if own.structure != anatomy.structure:
        other = "another form of it" if own.name == anatomy.name else f"{anatomy.name} ({len(anatomy.bones)} bones)"
        raise DataError(
            f"{path}: was trained for the anatomy {own.name} ({len(own.bones)} bones), and cannot be used for {other};"
            " use weights and data of one anatomy"
        )


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


def build_described(path: Path, info: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build the model that the metadata describe, with random weights, without downloads or other files.

    Args:
        path: The file, for error messages.
        info: Metadata from `parse_info`.
        tensors: The file's tensors, which limit the size of the model.

    Raises:
        DataError: The model does not accept the options, or would be far larger than the file.
        MissingExtraError: The model needs a library that is not installed.
    """
    options = {name: value for name, value in info["options"].items() if name not in STARTS}
    if "anatomy" in info and model_spec(info["model"]).task == "joint":
        options["anatomy"] = info_anatomy(info)
    try:
        with _bounded(tensors):
            return create_model(info["model"], **options)
    except MissingExtraError:
        raise
    except Exception as error:  # builders fail in many ways on values that they do not expect
        raise DataError(
            f"{path}: {info['model']} cannot be built with the options {info['options']} ({error}); copy or export the"
            " weights again"
        ) from error


@contextmanager
def _bounded(tensors: Mapping[str, Tensor]) -> Iterator[None]:
    """Abort the construction of a network with more parameters than its file holds."""
    tensors_left = SLACK * len(tensors) + 1000
    numbers_left = SLACK * sum(tensor.numel() for tensor in tensors.values()) + 2**20

    def count(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal tensors_left, numbers_left
        if parameter is not None:
            tensors_left, numbers_left = tensors_left - 1, numbers_left - parameter.numel()
        if min(tensors_left, numbers_left) < 0:
            raise ValueError("the network would be far larger than its file")

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()
