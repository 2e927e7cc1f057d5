"""Weight files in safetensors format with metadata, resumable training states, and checkpoints of other programs."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from pickle import UnpicklingError
from textwrap import shorten
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor, nn

from jointwrist.errors import DataError
from jointwrist.files import write_bytes
from jointwrist.readable import why_unreadable
from jointwrist.registry import latest_versions
from jointwrist.weights.model_from_metadata import build_described, parse_info
from jointwrist.weights.other_files import why_no_weights
from jointwrist.weights.skip_init import SkipInit

# Files are written by Python, as the libraries' own writers report a full disk as a format error.

#: Keys under which a checkpoint may hold the state dict.
STATE_KEYS = ("model", "state_dict", "model_state_dict")


def save_weights(path: Path, model: nn.Module, info: dict[str, Any]) -> None:
    """Write the weights of a model with the metadata needed to build and use it.

    Args:
        path: Safetensors file.
        model: Model whose state dict is written.
        info: Metadata, JSON values; at least `model` (registry name) and `options` (of the builder). The versions of
            the model's parts are added to the options if these do not state them.
    """
    own = (getattr(model, "info", None) or {}).get("options", {})
    versions = {name: own[name] for name in latest_versions(info["model"]) if name in own}
    info = {**info, "options": versions | info.get("options", {})}
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    _write(path, tensors, info)


def _write(path: Path, tensors: dict[str, Tensor], info: dict[str, Any]) -> None:
    write_bytes(path, save(tensors, metadata={"jointwrist": json.dumps(info, sort_keys=True)}))


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors and metadata of a weight file.

    Raises:
        DataError: The file is missing or damaged, was not written by `save_weights`, or has invalid metadata (see
            `parse_info`).
    """
    path = Path(path)
    with _opened(path) as file:
        info = _description(path, file)
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if info is None:
        raise DataError(f"{path}: {why_no_weights(path)}")
    return tensors, info


def read_info(path: Path) -> dict[str, Any] | None:
    """Read the metadata of a weight file without its tensors; None for a file not written by `save_weights`.

    Raises:
        DataError: A safetensors file is missing or damaged, or has invalid metadata.
    """
    if path.suffix != ".safetensors":
        return None
    with _opened(path) as file:
        return _description(path, file)


def require_info(path: Path) -> dict[str, Any]:
    """Read the metadata of a weight file of this package without its tensors.

    Raises:
        DataError: The file is missing or damaged, was not written by `save_weights`, or has invalid metadata.
    """
    info = read_info(path)
    if info is None:
        raise DataError(f"{path}: {why_no_weights(path)}")
    return info


def write_info(path: Path, info: dict[str, Any]) -> None:
    """Replace the metadata of a weight file; its tensors are unchanged.

    Raises:
        DataError: The file cannot be read.
    """
    with _opened(path) as file:
        tensors = {name: file.get_tensor(name).clone() for name in file.keys()}
    _write(path, tensors, info)


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    if not path.is_file():
        raise DataError(f"{path}: no such weight file; check the name")
    if problem := why_unreadable(path):
        raise DataError(f"{path}: {problem}")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        damage = f"not a complete safetensors file ({error}); copy or train it again"
        other = why_no_weights(path) if path.suffix == ".onnx" or zipfile.is_zipfile(path) else damage
        raise DataError(f"{path}: {other}") from None


def _description(path: Path, file: safe_open) -> dict[str, Any] | None:
    text = (file.metadata() or {}).get("jointwrist")
    return None if text is None else parse_info(path, text)


@contextmanager
def _plain_defaults() -> Iterator[None]:
    """Make tensors in float32 and on the CPU, whatever a program has set as defaults."""
    before = torch.get_default_dtype()
    if before != torch.float32:
        torch.set_default_dtype(torch.float32)
    try:
        with torch.device("cpu"):
            yield
    finally:
        if before != torch.float32:
            torch.set_default_dtype(before)


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build the model of a weight file and load its weights, on the CPU and in evaluation mode.

    Raises:
        DataError: The file cannot be read, holds an encoder alone, or its tensors do not fit its model.
    """
    tensors, info = read_weights(path)
    if info.get("config", {}).get("task") == "pretraining":
        remedy = "train a network from it with --set joint.pretrained=[encoder.safetensors]"
        raise DataError(f"{path}: holds a pretrained encoder, not a whole network; {remedy}")
    with _plain_defaults(), SkipInit():
        model = build_described(path, info, tensors)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        reason = shorten(str(error), 400, placeholder=" ...")  # PyTorch lists every tensor
        raise DataError(
            f"{path}: the weights do not fit {info['model']}: {reason}; export them again with the version that trained"
            " them"
        ) from None
    return model.eval(), info


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable training state: tensors, numbers, strings and containers of them."""
    content = io.BytesIO()
    torch.save(state, content)
    write_bytes(path, content.getbuffer())


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state without unpickling anything but tensors and plain values.

    Raises:
        DataError: The file is damaged or holds something else.
    """
    try:
        return _load_plain(path)
    except _Unreadable as error:
        raise DataError(f"{path}: not a readable training state ({error}); remove it to start the run again") from None


class _Unreadable(Exception):
    """A damaged file, or one with objects other than tensors and plain values."""


def _load_plain(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    except UnpicklingError as error:  # PyTorch advises to load such a file without its check
        raise _Unreadable("damaged, no file of torch.save, or with other objects") from error
    except Exception as error:  # unpickling a damaged file can raise any exception
        raise _Unreadable(str(error).partition("\n")[0] or type(error).__name__) from error


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], int]:
    """Read a state dict without unpickling anything but tensors and plain values.

    Args:
        path: Safetensors file, or file of `torch.save`: a state dict, or a dict that holds one (see `STATE_KEYS`) and
            perhaps the epoch.

    Returns:
        State dict, without the prefix of `DataParallel`, and the number of trained epochs, 0 if unknown.

    Raises:
        DataError: The file is missing, damaged, holds objects other than tensors, or no state dict.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint; check the name")
    try:
        if path.suffix == ".safetensors":
            content = load_file(path)
        else:
            content = _load_plain(path)
    except (SafetensorError, _Unreadable) as error:
        raise DataError(
            f"{path}: not a checkpoint of plain tensors ({error}); save the state dict alone with"
            " torch.save(model.state_dict(), ...) where it was trained"
        ) from error
    epochs = 0
    if isinstance(content, dict):
        epochs = content["epoch"] + 1 if isinstance(content.get("epoch"), int) else 0
        content = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(
            f"{path}: holds no state dict, neither alone nor under {', '.join(STATE_KEYS)}; save model.state_dict()"
        )
    return {str(name).removeprefix("module."): value for name, value in content.items()}, epochs
