"""Check the metadata of an untrusted weight file against the registry, and build the model that they describe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from jointwrist.anatomy import Anatomy, info_anatomy
from jointwrist.errors import DataError, MissingExtraError
from jointwrist.registry import create_model, current_options, model_spec, unstated_versions
from jointwrist.weights.metadata_fields import damaged, read_description

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
    info = read_description(path, text)
    try:
        model_spec(info["model"])
    except ValueError as error:
        raise DataError(f"{path}: {error}; if the name is damaged, copy or export the weights again") from None
    try:
        options = unstated_versions(info["model"]) | current_options(info["model"], info.get("options", {}))
    except ValueError as error:
        raise damaged(path, str(error)) from None
    return {"image_size": model_spec(info["model"]).input_size, **info, "options": options}


def refuse_other_anatomy(path: Path, info: Mapping[str, Any], anatomy: Anatomy) -> None:
    """Refuse weights trained for another anatomy.

    Args:
        path: The file, for the message.
        info: Metadata of the file, from `parse_info`.
        anatomy: Anatomy of the radiographs, or of the network that builds on the weights.

    Raises:
        DataError: The anatomies differ in bones, joints, overlap pairs or scores.
    """
    own = info_anatomy(info)
    if own.structure != anatomy.structure:
        other = "another form of it" if own.name == anatomy.name else f"{anatomy.name} ({len(anatomy.bones)} bones)"
        raise DataError(
            f"{path}: was trained for the anatomy {own.name} ({len(own.bones)} bones), and cannot be used for {other};"
            " use weights and data of one anatomy"
        )


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
