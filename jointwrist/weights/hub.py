"""Where weights come from and how they are published: files, folders, names and repositories of the Hugging Face hub.

A published model is a folder with `model.safetensors`, which holds all that builds it again, and a model card. Nothing
in it is ever unpickled or run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

from huggingface_hub import ModelCard, ModelCardData, ModelHubMixin
from torch import nn

from jointwrist.errors import DataError
from jointwrist.registry import ModelSpec, model_spec
from jointwrist.weights.checkpoint import load_weights, save_weights

#: Weights that come with the package, if any.
SHIPPED = Path(__file__).parent
#: Weight files of a published model and of a training run.
WEIGHT_FILES = ("model.safetensors", "best.safetensors")
#: The hub's names of licences that it knows.
_LICENCES = {"Apache-2.0": "apache-2.0", "BSD-2-Clause": "bsd-2-clause", "MIT": "mit"}
_PIPELINES = {"joint": "image-segmentation", "segmentation": "image-segmentation", "erosion": "image-classification"}


class PretrainedMixin(ModelHubMixin):
    """`huggingface_hub.ModelHubMixin` on this package's weight files; its options work as they do there.

    Attributes:
        info: What a weight file says of the network: at least `model`, its registry name, and `options`; sizes and
            thresholds where it was trained. `create_model` and `from_pretrained` set it; of a network built otherwise
            nobody knows how to build it again.
    """

    info: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Make an instance without the mixin's record of its arguments: the weight file holds `info` instead."""
        return object.__new__(cls)

    @classmethod
    def from_pretrained(cls, source: str | Path, **download: Any) -> Self:
        """Load a network, on the CPU and in evaluation mode.

        The mixin's own method would ask the hub for a `config.json` first, whatever the source is.

        Args:
            source: As for `find_weights`.
            **download: `revision`, `token`, `cache_dir`, `force_download` and what else `hf_hub_download` takes.

        Raises:
            DataError: There are no such weights, or they are of another kind of network.
        """
        path = find_weights(source, **download)
        model, info = load_weights(path)
        if not isinstance(model, cls):
            raise DataError(f"{path}: {info['model']} is not a {cls.__name__}; `jointwrist.Predictor` takes it")
        model.info = info
        return model

    def push_to_hub(self, repo_id: str, *, model_card_kwargs: dict[str, Any] | None = None, **options: Any) -> str:
        """Publish weights and a model card that names the repository; return the address of the commit.

        Args:
            repo_id: Such as "someone/wrist"; made if it is missing.
            model_card_kwargs: As for `generate_model_card`.
            **options: Those of `huggingface_hub.ModelHubMixin.push_to_hub`, such as `private`, `token` and `branch`.
        """
        return super().push_to_hub(repo_id, model_card_kwargs={"name": repo_id} | (model_card_kwargs or {}), **options)

    def generate_model_card(self, name: str = "path/to/this/folder") -> ModelCard:
        """Return the model card of weights that `Predictor.from_pretrained` finds under a name."""
        return ModelCard(model_card(self._known(), name))

    def _save_pretrained(self, save_directory: Path) -> None:
        save_weights(save_directory / WEIGHT_FILES[0], self, self._known())

    def _known(self) -> dict[str, Any]:
        if self.info is None:
            raise ValueError("build the network with `jointwrist.create_model`, or set its `info`, to save it")
        return {"image_size": model_spec(self.info["model"]).input_size, **self.info}


class Published(PretrainedMixin):
    """Any network of the registry, to call `save_pretrained` and `push_to_hub` on.

    Args:
        model: Network.
        info: What its weight file says of it; at least `model` and `options`.
    """

    def __init__(self, model: nn.Module, info: dict[str, Any]):
        self.state_dict, self.info = model.state_dict, info


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
    """Find a file of weights that somebody else trained.

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


def model_card(info: dict[str, Any], name: str) -> str:
    """Write the model card of a weight file that `Predictor.from_pretrained` finds under a name."""
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
decides how far it carries: look at the masks before you believe a score, and test it on your own radiographs.
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
