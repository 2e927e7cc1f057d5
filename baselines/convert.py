"""Checkpoints of the RAM-W600 authors' code as weight files of this package."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from baselines.official import load_official_state
from jointwrist.engine.checkpoint import save_weights
from jointwrist.engine.config import RunConfig, SegmentationConfig
from jointwrist.engine.trainer import model_options, weight_info
from jointwrist.errors import DataError
from jointwrist.registry import create_model, model_spec

#: Keys under which a checkpoint may hold the state dict; the authors' trainer writes the first.
STATE_KEYS = ("model", "state_dict", "model_state_dict")


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], int]:
    """Read a state dict without unpickling anything but tensors and plain values.

    Args:
        path: File of `torch.save`: a state dict, or a dict that holds one (see `STATE_KEYS`) and perhaps the epoch.

    Returns:
        State dict, without the prefix of `DataParallel`, and the number of epochs trained, 0 where it is not told.

    Raises:
        DataError: The file is missing, damaged, holds objects other than tensors, or no state dict.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise DataError(
            f"{path}: not a checkpoint of plain tensors ({reason}); save the state dict alone with"
            " torch.save(model.state_dict(), ...) where it was trained"
        ) from error
    epochs = 0
    if isinstance(content, dict):
        epochs = content["epoch"] + 1 if isinstance(content.get("epoch"), int) else 0
        content = next((content[key] for key in STATE_KEYS if isinstance(content.get(key), dict)), content)
    if not isinstance(content, dict) or not content or not all(isinstance(value, Tensor) for value in content.values()):
        raise DataError(f"{path}: holds no state dict, neither alone nor under {', '.join(STATE_KEYS)}")
    return {str(name).removeprefix("module."): value for name, value in content.items()}, epochs


def convert_checkpoint(source: str | Path, target: str | Path, model_name: str) -> list[str]:
    """Write a checkpoint of the authors' code as a weight file that `load_weights` builds the model from.

    The file says that the network was trained as the authors did: on 512 x 512 images, Dice on raw outputs.

    Args:
        source: Checkpoint; see `read_checkpoint`.
        target: Safetensors file; an existing one is replaced, and left as it was if the conversion fails.
        model_name: Registry name of a segmentation or erosion baseline.

    Returns:
        Keys of the checkpoint that have no place in the model and were left out.

    Raises:
        DataError: The checkpoint cannot be read, does not fit, or leaves a parameter unset; or the model is none of
            the authors' code.
    """
    source, spec = Path(source), model_spec(model_name)
    if spec.task not in ("segmentation", "erosion"):
        raise DataError(f"{model_name} is no network that the authors' code trains; there is nothing to convert")
    state, epochs = read_checkpoint(source)
    config = RunConfig(
        model=model_name,
        task=spec.task,
        protocol="official",
        segmentation=SegmentationConfig(raw_output=True, squared=True, bce=0.0),
    )
    model = create_model(model_name, **model_options(config))
    try:
        unplaced = load_official_state(model, state)
    except DataError as error:
        raise DataError(f"{source}: no checkpoint of {model_name}: {error}") from error
    save_weights(Path(target), model, {**weight_info(config, epochs), "source": source.name})
    return unplaced
