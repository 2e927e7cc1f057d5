"""Load and publish networks as Hugging Face hub repositories.

A published model is a folder with `model.safetensors`, which contains all that is needed to build the model, and a
model card. Nothing in it is ever unpickled or executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

from huggingface_hub import ModelCard
from torch import nn

from jointwrist.errors import DataError
from jointwrist.hub_mixin import PretrainedMixin
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import load_weights, save_weights
from jointwrist.weights.find import WEIGHT_FILES, find_weights
from jointwrist.weights.model_card import model_card

Network = TypeVar("Network", bound=PretrainedMixin)


class Published(PretrainedMixin):
    """Any network of the registry with the methods `save_pretrained` and `push_to_hub`.

    Args:
        model: Network.
        info: Metadata of its weight file; at least `model` and `options`.
    """

    def __init__(self, model: nn.Module, info: dict[str, Any]):
        self.state_dict, self.info = model.state_dict, info


def load_network(source: str | Path, kind: type[Network], **download: Any) -> Network:
    """Load a network of a kind, on the CPU and in evaluation mode.

    Args:
        source: As for `find_weights`.
        kind: Class of the network.
        **download: Options of `hf_hub_download` for a repository.

    Raises:
        DataError: There are no such weights, or they are of another kind of network.
    """
    path = find_weights(source, **download)
    model, info = load_weights(path)
    if not isinstance(model, kind):
        raise DataError(f"{path}: {info['model']} is not a {kind.__name__}; `jointwrist.Predictor` takes it")
    model.info = info
    return model


def save_network(model: nn.Module | Published, info: dict[str, Any] | None, folder: Path) -> None:
    """Write a network as the weight file of a folder that can be published.

    Raises:
        ValueError: There is no metadata.
    """
    save_weights(folder / WEIGHT_FILES[0], model, _completed(info))


def network_card(info: dict[str, Any] | None, name: str) -> ModelCard:
    """Return the model card of weights that `Predictor.from_pretrained` finds under a name.

    Raises:
        ValueError: There is no metadata.
    """
    return ModelCard(model_card(_completed(info), name))


def _completed(info: dict[str, Any] | None) -> dict[str, Any]:
    """Return the metadata of a network, with the published input size where they give none."""
    if info is None:
        raise ValueError("build the network with `jointwrist.create_model`, or set its `info`, to save it")
    return {"image_size": model_spec(info["model"]).input_size, **info}
