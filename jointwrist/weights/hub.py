"""Finding, loading and publishing of weights: files, folders, shipped names and Hugging Face hub repositories.

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
from jointwrist.weights.model_card import model_card

Network = TypeVar("Network", bound=PretrainedMixin)

#: Folder of the weights that are shipped with the package.
SHIPPED = Path(__file__).parent
#: Weight files of a published model and of a training run.
WEIGHT_FILES = ("model.safetensors", "best.safetensors")


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


def find_weights(source: str | Path, **download: Any) -> Path:
    """Find a weight file.

    Args:
        source: File; folder of a training run or a published model; name of a model whose weights come with the
            package; or repository on the Hugging Face hub.
        **download: Options of `hf_hub_download` for a repository.

    Raises:
        DataError: There is none; the message says where one could come from.
    """
    path = Path(source)
    candidates = (path, *(path / name for name in WEIGHT_FILES), SHIPPED / f"{source}.safetensors")
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is not None:
        return found
    if path.suffix not in (".safetensors", ".onnx") and len(path.parts) == 2 and not path.parent.exists():
        return _download(str(source), **download)
    shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.safetensors"))) or "none"
    raise DataError(
        f"{source}: no weights here; give a .safetensors file or a folder with best.safetensors (`make run` trains"
        f" one), or a name that comes with the package: {shipped}"
    )


def find_checkpoint(source: str | Path) -> Path:
    """Find a weight file of another program.

    Args:
        source: File; repository on the Hugging Face hub with `model.safetensors`, such as
            `timm/swin_tiny_patch4_window7_224.ms_in1k`; or a file of one, `owner/repository/file`.

    Raises:
        DataError: It is neither a file nor in a repository that can be reached.
    """
    path = Path(source)
    if path.is_file() or len(path.parts) < 2 or Path(path.parts[0]).exists():
        return path
    return _download("/".join(path.parts[:2]), "/".join(path.parts[2:]) or WEIGHT_FILES[0])


def _download(repository: str, file: str = WEIGHT_FILES[0], **options: Any) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, file, **options))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise DataError(
            f"{repository}: neither a file nor a reachable hub repository with {file}; check the name and the network,"
            " or copy the file here"
        ) from error
