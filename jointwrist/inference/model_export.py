"""Export of weights to ONNX or torch.export, which run without jointwrist; the result is checked against the model.

A program takes the image of one radiograph as `Placement.image` returns it: square, grey in [0, 1], a right hand. Its
outputs are logits, as everywhere in this package.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.anatomy import info_anatomy
from jointwrist.data.preprocess import normalise, resize_image
from jointwrist.errors import DataError, require
from jointwrist.files import atomic
from jointwrist.inference.engines.runtime import import_onnxruntime
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import load_weights

FORMATS = ("onnx", "torch")
#: Key of the model's information in the metadata of a program.
INFO_KEY = "jointwrist"
OUTPUTS = {
    "joint": (
        "mask_logits", "erosion_logits", "roi_boxes", "roi_valid", "erosion_heat_maps", "erosion_extent",
        "further_logits",
    ),
    "segmentation": ("mask_logits",),
    "erosion": ("logits",),
}  # fmt: skip
#: Largest difference from the model that counts as rounding, as a share of the largest value of an output.
TOLERANCE = 1e-3

Outputs = list[np.ndarray]


def export_weights(
    weights: Path, target: Path, kind: str, more: dict[str, Any] | None = None, optimise: bool = False
) -> float:
    """Write a weight file as a program, and compare both on the same images.

    Args:
        weights: Weight file of a joint, segmentation or erosion network.
        target: File to write: `.onnx` for ONNX, `.pt2` for PyTorch. It carries the information of the weight file and
            the names of bones and joint surfaces as JSON under `jointwrist`.
        kind: One of `FORMATS`.
        more: Further entries of that information.
        optimise: Let onnxruntime fuse operators, into ones that only onnxruntime runs.

    Returns:
        Largest difference between the outputs of model and program, as a share of the largest value of an output.

    Raises:
        DataError: The weights cannot be read or exported, or the outputs of the program differ from those of the model;
            then nothing is written.
        MissingExtraError: ONNX is requested, and the extra `export` is not installed.
    """
    if kind not in FORMATS:
        raise ValueError(f"format {kind!r} is unknown; formats are {', '.join(FORMATS)}")
    if kind == "onnx":
        for module in ("onnx", "onnxscript"):
            require(module, "export")
        import_onnxruntime()
    model, info = load_weights(weights)
    task = model_spec(info["model"]).task
    if task not in OUTPUTS:
        raise DataError(f"{weights}: {info['model']} is a model for {task}; such models are not exported")
    program = _Program(model, task).eval()
    sizes = _input_sizes(info, task)
    anatomy = info_anatomy(info)
    names = {"bones": anatomy.bone_names, "joints": anatomy.joint_names}
    info = {**info, "task": task, **names, **(more or {})}
    with torch.no_grad():
        program.keep_present(*_example(0, sizes))
        exported = torch.export.export(program, _example(0, sizes), strict=False)
        with atomic(target) as temporary:
            write = _write_onnx if kind == "onnx" else _write_torch
            run = write(exported, temporary, info, program.names, optimise)
            difference = max(_difference(program, run, _example(seed, sizes)) for seed in range(2))
            if not difference <= TOLERANCE:
                raise DataError(
                    f"{weights}: exported as {kind}, outputs differ from the model by {difference:.1e}; nothing was"
                    " written, try the other format"
                )
    return difference


class _Program(nn.Module):
    """A model as a function from tensors to a tuple of tensors."""

    def __init__(self, model: nn.Module, task: str):
        super().__init__()
        self.model, self.names = model, OUTPUTS[task]

    def keep_present(self, *images: Tensor) -> None:
        """Remove the outputs that this network does not have, as found by running it."""
        output = self.model(*images)
        if not isinstance(output, Tensor):
            self.names = tuple(name for name in self.names if getattr(output, name, None) is not None)

    def forward(self, *images: Tensor) -> tuple[Tensor, ...]:
        output = self.model(*images)
        return (output,) if isinstance(output, Tensor) else tuple(getattr(output, name) for name in self.names)


def _input_sizes(info: dict[str, Any], task: str) -> tuple[int, ...]:
    """Return the input sizes: the image, and the larger image for joint crops if there is one."""
    if task == "erosion":
        crop = info.get("config", {}).get("erosion", {}).get("crop_size")
        return (crop or model_spec(info["model"]).input_size,)
    size, detail = info["image_size"], info.get("detail_size") or info["image_size"]
    return (size, detail) if task == "joint" and detail != size else (size,)


def _example(seed: int, sizes: tuple[int, ...]) -> tuple[Tensor, ...]:
    """Return test images of bone-sized blotches and grain, one per size."""
    generator = torch.Generator().manual_seed(seed)
    size = max(sizes)
    blotches = torch.rand(1, 1, 7, 7, generator=generator)
    grain = torch.rand(1, 1, size, size, generator=generator)
    image = normalise(F.interpolate(blotches, (size, size), mode="bicubic") + 0.1 * grain)
    return tuple(resize_image(image, side) for side in sizes)


def _difference(program: nn.Module, run: Callable[[tuple[Tensor, ...]], Outputs], images: tuple[Tensor, ...]) -> float:
    expected = [output.float().numpy() for output in program(*images)]
    found = [output.astype(np.float32) for output in run(images)]
    return max(
        float(np.abs(a - b).max() / max(1.0, float(np.abs(a).max()))) for a, b in zip(expected, found, strict=True)
    )


def _write_torch(exported: torch.export.ExportedProgram, path: Path, info: dict[str, Any], *_: Any):
    with path.open("wb") as stream:
        torch.export.save(exported, stream, extra_files={f"{INFO_KEY}.json": json.dumps(info)})
    with path.open("rb") as stream:
        program = torch.export.load(stream).module()
    return lambda images: [output.numpy() for output in program(*images)]


def _write_onnx(
    exported: torch.export.ExportedProgram, path: Path, info: dict[str, Any], names: tuple[str, ...], optimise: bool
):
    from jointwrist.inference.engines.onnx_network import OnnxNetwork

    inputs = ["image", "detail"][: len(exported.graph_signature.user_inputs)]
    with _quiet("onnx_ir", "torch.onnx", "onnxscript"):
        # onnxruntime optimises on loading; optimising here as well takes several times as long as the export
        program = torch.onnx.export(
            exported, dynamo=True, input_names=inputs, output_names=names, optimize=False, verbose=False
        )
    program.model.metadata_props[INFO_KEY] = json.dumps(info)
    program.save(path)
    if optimise:
        _optimise(path)
    network = OnnxNetwork(path, optimised=optimise)
    return lambda images: network.run(*(image.numpy() for image in images))


def _optimise(path: Path) -> None:
    """Replace a program by onnxruntime's optimised one, without processor-specific layouts."""
    runtime = import_onnxruntime()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with atomic(path) as optimised:
        options.optimized_model_filepath = str(optimised)
        runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@contextmanager
def _quiet(*loggers: str) -> Iterator[None]:
    """Silence loggers of libraries below errors."""
    before = {name: logging.getLogger(name).level for name in loggers}
    try:
        for name in loggers:
            logging.getLogger(name).setLevel(logging.ERROR)
        yield
    finally:
        for name, level in before.items():
            logging.getLogger(name).setLevel(level)
