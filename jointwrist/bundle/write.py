"""Write weights as a MONAI bundle: configurations, weights, metadata and usage instructions.

The layout is that of the MONAI Bundle Specification. `run` reads `model.safetensors`, which carries sizes, thresholds
and options. The specification also asks for `model.pt`, a pickled state dict, and tools such as MONAI Label look for no
other name. It holds only tensors, so that `torch.load(weights_only=True)` can read it; this package never loads it.
"""

from __future__ import annotations

import io
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from jointwrist import __version__
from jointwrist.anatomy import info_anatomy
from jointwrist.bundle.network import WristNetwork
from jointwrist.errors import DataError, require
from jointwrist.files import refuse_filled, whole_folder, write_text
from jointwrist.inference.predictor import Predictor
from jointwrist.registry import model_spec
from jointwrist.text import NOTICE
from jointwrist.weights.checkpoint import read_weights
from jointwrist.weights.find import SHIPPED
from jointwrist.weights.model_card import file_card

#: JSON schema that `python -m monai.bundle verify_metadata` downloads, unless it is given a copy with `--filepath`.
SCHEMA = "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/meta_schema_20240725.json"
WEIGHTS = "models/model.safetensors"
_TRANSFORMS = "jointwrist.bundle.transforms"
_LOGGING = """[loggers]
keys=root

[handlers]
keys=console

[formatters]
keys=plain

[logger_root]
level=INFO
handlers=console

[handler_console]
class=StreamHandler
level=INFO
formatter=plain
args=(sys.stdout,)

[formatter_plain]
format=%(asctime)s - %(levelname)s - %(message)s
"""


def write_bundle(weights: Path, folder: Path) -> None:
    """Write a weight file of a joint or a segmentation network as a MONAI bundle.

    Args:
        weights: Weight file.
        folder: Folder to write, missing or empty; its name is that of the bundle.

    Raises:
        DataError: The weights cannot be read or are not for whole radiographs, the folder holds something, or the
            bundle's network answers otherwise than the weights; then nothing is written.
        MissingExtraError: MONAI is not installed.
    """
    require("monai", "monai")
    folder = Path(folder)
    refuse_filled(folder)
    _, info = read_weights(weights)
    network = WristNetwork(Predictor.from_pretrained(weights, "cpu", localise=False))
    side = network.predictor.detail_size
    example = torch.rand(1, 1, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = network(example)
    with whole_folder(folder) as root:
        (root / "models").mkdir()
        shutil.copyfile(weights, root / WEIGHTS)
        (root / "models" / "model.pt").write_bytes(_state_dict(network))
        write_text(root / "configs" / "inference.json", _json(inference_config()))
        write_text(root / "configs" / "metadata.json", _json(metadata(weights, info, example, outputs)))
        write_text(root / "configs" / "logging.conf", _LOGGING)
        write_text(root / "docs" / "README.md", _readme(folder.name, weights))
        _check(root, example, outputs)


def inference_config() -> dict[str, Any]:
    """Return `inference.json`: what MONAI builds and runs."""
    return {
        "imports": ["$import torch"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/images'",
        "output_dir": "$@bundle_root + '/predictions'",
        "device": "$torch.device('cuda' if torch.cuda.is_available() else 'cpu')",
        "batch_size": 4,
        "field": "auto",
        "rotation": None,
        "predictor": {
            "_target_": "jointwrist.Predictor.from_pretrained",
            "source": f"$@bundle_root + '/{WEIGHTS}'",
            "device": "@device",
            "localise": "$@field == 'auto'",
            "rotation": "@rotation",
        },
        "network_def": {"_target_": "jointwrist.bundle.network.WristNetwork", "predictor": "@predictor"},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": f"{_TRANSFORMS}.LoadRadiographd", "keys": "image", "predictor": "@predictor"},
            ],
        },
        "dataset": {
            "_target_": "Dataset",
            "data": {"_target_": f"{_TRANSFORMS}.list_radiographs", "folder": "@dataset_dir"},
            "transform": "@preprocessing",
        },
        "dataloader": {
            "_target_": "DataLoader",
            "dataset": "@dataset",
            "batch_size": "@batch_size",
            "shuffle": False,
            "num_workers": 0,
            "collate_fn": {"_target_": f"{_TRANSFORMS}.collate_wrists", "_mode_": "callable"},
        },
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": f"{_TRANSFORMS}.RestoreResultd", "keys": "pred", "predictor": "@predictor"},
                {"_target_": f"{_TRANSFORMS}.SaveResultd", "keys": "wrist", "folder": "@output_dir"},
            ],
        },
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network_def",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
        },
        "run": ["$@evaluator.run()"],
    }


def metadata(weights: Path, info: dict[str, Any], example: Tensor, outputs: dict[str, Tensor]) -> dict[str, Any]:
    """Return `metadata.json`.

    Args:
        weights: Weight file; those that come with the package are by its authors.
        info: Metadata of the weight file.
        example: (1, 1, D, D) input of the network.
        outputs: Outputs of a `WristNetwork` for it.
    """
    spec = model_spec(info["model"])
    joint = spec.task == "joint"
    whose = (
        "The jointwrist authors" if weights.parent == SHIPPED else "not stated; the software: the jointwrist authors"
    )
    anatomy = info_anatomy(info)
    names = (anatomy.bone_names, anatomy.joint_names)
    bones, joints = ({str(index): name for index, name in enumerate(kind)} for kind in names)
    count, of = len(joints), anatomy.name
    erosion = {
        "erosion": _tensor("probabilities", "classes", (count,), "float32", [0, 1], joints),
        "erosion_score": _tensor(
            "tuples", "classes", (count,), "int64", [-1, anatomy.erosion.levels - 1 if count else -1], joints
        ),
    }
    masks = _tensor("image", "classes", (len(bones), "*", "*"), "uint8", [0, 1], bones)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "changelog": {__version__: f"exported from {weights.name}"},
        "monai_version": version("monai"),
        "pytorch_version": torch.__version__.partition("+")[0],
        "numpy_version": version("numpy"),
        "required_packages_version": {"jointwrist": __version__, "pytorch-ignite": "0.5.0"},
        "supported_apps": [],
        "name": spec.name,
        "task": f"Bone segmentation and erosion scoring of {of} radiographs"
        if joint
        else f"Bone segmentation of {of} radiographs",
        "description": f"{len(bones)} overlapping bone masks of a posteroanterior {of} radiograph"
        + (f", and the Sharp/van der Heijde erosion of {count} joint surfaces." if joint else "."),
        "authors": whose,
        "copyright": whose,
        "intended_use": NOTICE,
        "data_type": "dicom, bmp, png, jpeg or tiff",
        "image_classes": "grey from 0 to 1, bright bone on a dark background, a right hand with the fingers upwards",
        "pred_classes": f"a channel per bone: {', '.join(anatomy.bone_names)}",
        "references": [spec.paper],
        "network_data_format": {
            "inputs": {
                "image": {
                    **_tensor("image", "magnitude", example.shape[1:], "float32", [0, 1], {"0": "radiograph"}),
                    "modality": "DX",
                }
            },
            "outputs": {name: _output(name, output, bones, joints) for name, output in outputs.items()},
            "post_processed_outputs": {"pred": masks} | (erosion if joint else {}),
        },
    }


def _output(name: str, output: Tensor, bones: dict[str, str], joints: dict[str, str]) -> dict[str, Any]:
    kind = "image" if output.ndim == 4 else "tuples"
    channels = bones if name == "pred" else joints
    return _tensor(kind, "classes", output.shape[1:], str(output.dtype).removeprefix("torch."), [], channels)


def _tensor(
    kind: str, form: str, shape: tuple[Any, ...], dtype: str, values: list[float], channels: dict[str, str]
) -> dict[str, Any]:
    """Return the specification of a tensor whose first dimension holds the channels."""
    return {
        "type": kind,
        "format": form,
        "num_channels": shape[0],
        "spatial_shape": list(shape[1:]),
        "dtype": dtype,
        "value_range": values,
        "is_patch_data": False,
        "channel_def": channels,
    }


def _state_dict(network: WristNetwork) -> bytes:
    content = io.BytesIO()
    torch.save(network.state_dict(), content)
    return content.getvalue()


def _check(root: Path, example: Tensor, expected: dict[str, Tensor]) -> None:
    """Build the network as MONAI does, and load `model.pt` into it.

    Raises:
        DataError: Its outputs differ from those of the weights.
    """
    from monai.bundle import ConfigParser

    parser = ConfigParser()
    parser.read_config(root / "configs" / "inference.json")
    parser.update({"bundle_root": str(root), "device": "cpu", "field": "whole"})
    network = parser.get_parsed_content("network_def")
    network.load_state_dict(torch.load(root / "models" / "model.pt", weights_only=True))
    with torch.no_grad():
        found = network.eval()(example)
    if not all(torch.equal(found[name], output) for name, output in expected.items()):
        raise DataError(
            f"{root.name}: the bundle's network gives different results than the weights; nothing was written"
        )


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, indent=4) + "\n"


def _readme(name: str, weights: Path) -> str:
    _, _, card = file_card(weights, f"{name}/{WEIGHTS}").removeprefix("---").partition("\n---\n")
    return f"""# The MONAI bundle {name}

It needs jointwrist {__version__} or later: in its checkout, `pip install -e '.[monai]'`.

```console
$ cd {name}
$ python -m monai.bundle run --config_file configs/inference.json --bundle_root "$PWD" \\
    --dataset_dir RADIOGRAPHS --output_dir OUT
```

`RADIOGRAPHS` is a folder, or one file. `OUT` gets the overlay, the JSON and the masks of every radiograph, as
`jointwrist predict` writes them. `--field whole` uses every radiograph without looking for the wrist on it.

{card.strip()}
"""
