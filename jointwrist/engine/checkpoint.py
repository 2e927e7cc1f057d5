"""Weights in safetensors with the configuration that made them, and resumable training states."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from jointwrist.errors import DataError
from jointwrist.files import atomic
from jointwrist.registry import create_model


def save_weights(path: Path, model: nn.Module, info: dict[str, Any]) -> None:
    """Write the weights of a model with what is needed to build and use it again.

    Args:
        path: Safetensors file.
        model: Model whose state dict is written.
        info: JSON values; at least `model` (registry name) and `options` (of the builder).
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}
    with atomic(path) as temporary:
        save_file(tensors, temporary, metadata={"jointwrist": json.dumps(info, sort_keys=True)})


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Read tensors and info of a weight file.

    Raises:
        DataError: The file is missing, damaged, or was not written by `save_weights`.
    """
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: no such weight file")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise DataError(f"{path}: not a complete safetensors file ({error}); copy or train it again") from None
    if "jointwrist" not in metadata:
        raise DataError(f"{path}: holds no jointwrist model; convert it with `jointwrist models convert`")
    return tensors, json.loads(metadata["jointwrist"])


def load_weights(path: Path) -> tuple[nn.Module, dict[str, Any]]:
    """Build the model of a weight file and load it, on the CPU and in evaluation mode.

    Raises:
        DataError: The file cannot be read, or does not fit the model that it names.
    """
    tensors, info = read_weights(path)
    model = create_model(info["model"], **info.get("options", {}))
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path}: the weights do not fit {info['model']}: {error}") from None
    return model.eval(), info


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write a resumable training state: tensors, numbers, text and containers of them."""
    with atomic(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path) -> dict[str, Any]:
    """Read a training state without unpickling anything but tensors and plain values.

    Raises:
        DataError: The file is damaged or holds something else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError, ValueError) as error:
        raise DataError(f"{path}: not a readable training state ({error}); remove it to start the run again") from None
