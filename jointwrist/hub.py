"""Where weights come from and how they are published: files, folders, names and repositories of the Hugging Face hub.

A published model is a folder with `model.safetensors`, which holds all that builds it again, and a model card. Nothing
in it is ever unpickled or run.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Self

from torch import nn

from jointwrist.engine.checkpoint import load_weights, save_weights
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.registry import ModelSpec, model_spec

#: Weights that come with the package, if any.
SHIPPED = Path(__file__).parent / "weights"
#: Weight files of a published model and of a training run.
WEIGHT_FILES = ("model.safetensors", "best.safetensors")
#: The hub's names of licences that it knows.
_LICENCES = {"Apache-2.0": "apache-2.0", "BSD-2-Clause": "bsd-2-clause", "MIT": "mit"}
_PIPELINES = {"joint": "image-segmentation", "segmentation": "image-segmentation", "erosion": "image-classification"}


class PretrainedMixin:
    """The three calls of the Hugging Face hub, on this package's weight files.

    Attributes:
        info: What a weight file says of the network: at least `model`, its registry name, and `options`; sizes and
            thresholds where it was trained. `create_model` and `from_pretrained` set it; of a network built otherwise
            nobody knows how to build it again.
    """

    info: dict[str, Any] | None = None

    @classmethod
    def from_pretrained(cls, source: str | Path) -> Self:
        """Load a network, on the CPU and in evaluation mode.

        Args:
            source: As for `find_weights`.

        Raises:
            DataError: There are no such weights, or they are of another kind of network.
        """
        path = find_weights(source)
        model, info = load_weights(path)
        if not isinstance(model, cls):
            raise DataError(f"{path}: {info['model']} is not a {cls.__name__}; `jointwrist.Predictor` takes it")
        model.info = info
        return model

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write weights and model card into a folder, which is made if it is missing, and return it."""
        return save_pretrained(folder, self, self._known())

    def push_to_hub(self, repository: str, *, private: bool = False, token: str | None = None) -> str:
        """Publish weights and model card; see `push_to_hub`."""
        return push_to_hub(repository, self, self._known(), private=private, token=token)

    def _known(self) -> dict[str, Any]:
        if self.info is None:
            raise ValueError("build the network with `jointwrist.create_model`, or set its `info`, to save it")
        return self.info


def save_pretrained(folder: str | Path, model: nn.Module, info: dict[str, Any]) -> Path:
    """Write `model.safetensors` and its model card, `README.md`, into a folder and return it.

    Args:
        folder: Made if it is missing.
        model: Any network of the registry.
        info: What its weight file says of it; at least `model` and `options`.
    """
    folder = Path(folder)
    _write(folder, model, info, folder.name)
    return folder


def push_to_hub(
    repository: str, model: nn.Module, info: dict[str, Any], *, private: bool = False, token: str | None = None
) -> str:
    """Publish weights and model card on the Hugging Face hub.

    Args:
        repository: Such as "someone/wrist"; made if it is missing.
        model: Any network of the registry.
        info: What its weight file says of it.
        private: Whether a new repository is private.
        token: Access token; None takes the one that `hf auth login` stored.

    Returns:
        Address of the commit.
    """
    from huggingface_hub import HfApi

    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder), model, info, repository)
        api.create_repo(repository, private=private, exist_ok=True)
        return str(api.upload_folder(repo_id=repository, folder_path=folder, commit_message=f"{info['model']} weights"))


def _write(folder: Path, model: nn.Module, info: dict[str, Any], name: str) -> None:
    info = {"image_size": model_spec(info["model"]).input_size, **info}
    save_weights(folder / WEIGHT_FILES[0], model, info)
    write_text(folder / "README.md", model_card(info, name))


def find_weights(source: str | Path) -> Path:
    """Find a weight file.

    Args:
        source: File; folder of a training run or a published model; name of a model whose weights come with the
            package; or repository on the Hugging Face hub.

    Raises:
        DataError: There is none; the message says where one could come from.
    """
    path = Path(source)
    candidates = (path, *(path / name for name in WEIGHT_FILES), SHIPPED / f"{source}.safetensors")
    found = next((candidate for candidate in candidates if candidate.is_file()), None)
    if found is not None:
        return found
    if path.suffix not in (".safetensors", ".onnx") and len(path.parts) == 2 and not path.parent.exists():
        return _download(str(source))
    shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.safetensors"))) or "none"
    raise DataError(
        f"{source}: no weights here; give a .safetensors file or a folder with best.safetensors (`make run` trains"
        f" one), or a name that comes with the package: {shipped}"
    )


def _download(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(hf_hub_download(repository, WEIGHT_FILES[0]))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError) as error:
        raise DataError(
            f"{repository}: neither a file nor a reachable hub repository with model.safetensors"
        ) from error


def model_card(info: dict[str, Any], name: str) -> str:
    """Write the model card of a weight file that `Predictor.from_pretrained` finds under a name."""
    from huggingface_hub import ModelCardData

    from jointwrist import __version__
    from jointwrist.inference.result import NOTICE

    spec = model_spec(info["model"])
    data = ModelCardData(
        license=_LICENCES.get(spec.licence, "other"),
        library_name="jointwrist",
        pipeline_tag=_PIPELINES[spec.task],
        tags=["radiograph", "wrist", "rheumatoid-arthritis", "bone-erosion", spec.name],
    )
    return f"""---
{data.to_yaml()}
---

# {spec.name}

{_purpose(spec)} {NOTICE}

## Use

```python
from jointwrist import Predictor

result = Predictor.from_pretrained("{name}")("radiograph.dcm")
result.plot().show()
```

Written by jointwrist {__version__}.

## The model

{_table(_facts(spec, info))}

## Limits

It knows one projection (posteroanterior) of one hand, whole and in the image, of adults. Whatever it was trained on
decides how far it carries: look at the masks before you believe a score, and test it on your own films.
"""


def _purpose(spec: ModelSpec) -> str:
    return {
        "joint": "14 bone masks and the erosion of six joint surfaces (Sharp/van der Heijde) of a wrist radiograph.",
        "segmentation": "14 overlapping bone masks of a wrist radiograph.",
        "erosion": "Erosion, yes or no, of one joint surface of a wrist radiograph.",
    }[spec.task]


def _facts(spec: ModelSpec, info: dict[str, Any]) -> list[tuple[str, str]]:
    facts = [
        ("Architecture", spec.paper),
        ("Licence of the architecture", spec.licence),
        ("Parameters of the default construction", f"{spec.parameters:,}"),
        (
            "Options",
            ", ".join(f"{key}={value}" for key, value in sorted(info.get("options", {}).items())) or "defaults",
        ),
        ("Input", f"{info.get('image_size', spec.input_size)} px"),
    ]
    if info.get("detail_size", info.get("image_size")) != info.get("image_size"):
        facts.append(("Input of the joint crops", f"{info['detail_size']} px"))
    facts += [(f"Threshold: {name}", f"{value:.4g}") for name, value in sorted(info.get("thresholds", {}).items())]
    if "epochs" in info:
        facts.append(("Epochs", str(info["epochs"])))
    if "seed" in info.get("config", {}):
        facts.append(("Seed", str(info["config"]["seed"])))
    return facts


def _table(rows: list[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {value} |" for key, value in rows)])
