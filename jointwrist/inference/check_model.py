"""Checks that a newly registered model must pass: `jointwrist models check`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from jointwrist.anatomy import NUM_BONES, NUM_JOINTS, WRIST
from jointwrist.registry import ModelSpec, create_model, model_spec
from jointwrist.weights.checkpoint import load_weights, save_weights


class Fault(Exception):
    """Failure of a check."""


@dataclass(frozen=True)
class Check:
    """Result of one check.

    Attributes:
        name: Name of the check.
        passed: Whether the model passed.
        said: Result in words.
    """

    name: str
    passed: bool
    said: str


def check_model(name: str, size: int = 64) -> Iterator[Check]:
    """Check a model of the registry, for masks, erosions or both; yield the results one by one.

    Args:
        name: Registry name.
        size: Side of the images in pixels; some networks need more than 64.

    Raises:
        ValueError: The name is unknown, or a foundation model's.
    """
    spec = model_spec(name)
    if spec.task == "foundation":
        raise ValueError(f"{name} is a foundation model, which needs prompts and is tested as it is")
    torch.manual_seed(0)
    images = torch.rand(2, 1, size, size)
    options = {"img_size": size} if spec.size_dependent else {}
    built: list[nn.Module] = []

    def build() -> str:
        built.append(create_model(name, **options))
        return f"{type(built[0]).__name__} for {spec.task}"

    yield (first := _run("build", build))
    if not first.passed:
        return
    model = built[0]
    checks: dict[str, Callable[[], str]] = {
        "parameters": lambda: _parameters(model, spec, bool(options)),
        "forward": lambda: _forward(model, spec, images),
        "backward": lambda: _backward(model, spec, images),
        "images of a batch do not mix": lambda: _independent(model, spec, images),
        "sizes": lambda: _sizes(model, spec, size),
        "weight file": lambda: _round_trip(model, spec, images, options),
        "export": lambda: _export(model, spec, images),
    }
    for what, check in checks.items():
        yield _run(what, check)


def _run(name: str, check: Callable[[], str]) -> Check:
    try:
        return Check(name, True, check())
    except Fault as fault:
        return Check(name, False, str(fault))
    except Exception as error:  # a model can fail in any way
        reason = (str(error).strip() or "no message").splitlines()[0]
        return Check(name, False, f"{type(error).__name__}: {reason}")


def _logits(output: object, spec: ModelSpec) -> dict[str, Tensor]:
    """Return the outputs that losses see, by name."""
    if spec.task == "joint":
        return {name: getattr(output, name) for name in ("mask_logits", "erosion_logits")}
    if not isinstance(output, Tensor):
        raise Fault(f"returns {type(output).__name__}; return one tensor of logits")
    return {"logits": output}


def _parameters(model: nn.Module, spec: ModelSpec, resized: bool) -> str:
    count = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    if count != spec.parameters and not resized:
        raise Fault(
            f"has {count:,} trainable parameters, and its ModelSpec states {spec.parameters:,}; state"
            f" parameters={count:_}"
        )
    return f"{count:,} trainable"


def _forward(model: nn.Module, spec: ModelSpec, images: Tensor) -> str:
    batch, _, *size = images.shape
    masks = (batch, NUM_BONES, *size)
    wanted = {
        "segmentation": {"logits": masks},
        "erosion": {"logits": (batch, 2)},
        "joint": {"mask_logits": masks, "erosion_logits": (batch, NUM_JOINTS, WRIST.erosion.levels - 1)},
    }[spec.task]
    with torch.no_grad():
        found = _logits(model.eval()(images), spec)
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise Fault(f"{name} has shape {tuple(found[name].shape)} instead of {shape}")
        if not found[name].isfinite().all():
            raise Fault(f"{name} is not finite")
        if found[name].min() >= 0 and found[name].max() <= 1 and spec.task != "erosion":
            raise Fault(f"{name} lies between 0 and 1; return logits, the sigmoid is applied in evaluation")
    return f"{tuple(images.shape)} to {', '.join(str(shape) for shape in wanted.values())}"


def _backward(model: nn.Module, spec: ModelSpec, images: Tensor) -> str:
    model.train().zero_grad()
    outputs = _logits(model(images), spec)
    sum(output.float().square().mean() for output in outputs.values()).backward()
    trained = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    without = [name for name, parameter in trained if parameter.grad is None]
    wrong = [name for name, p in trained if p.grad is not None and not p.grad.isfinite().all()]
    model.zero_grad()
    if wrong or len(without) == len(trained):
        raise Fault(f"gradients are missing or not finite, of {(wrong or without)[0]} first")
    return f"{len(trained) - len(without)} of {len(trained)} parameters have a gradient" + (
        f"; without: {', '.join(without[:3])}{' ...' if len(without) > 3 else ''}" if without else ""
    )


@torch.no_grad()
def _independent(model: nn.Module, spec: ModelSpec, images: Tensor) -> str:
    model.eval()
    together, alone = (_logits(model(batch), spec) for batch in (images, images[:1]))
    gap = max(float((together[name][:1] - alone[name]).abs().max()) for name in alone)
    if gap > 1e-3:
        raise Fault(f"an image gives different logits alone and in a batch, by {gap:.2g}")
    return f"alone and in a batch within {gap:.1g}"


@torch.no_grad()
def _sizes(model: nn.Module, spec: ModelSpec, size: int) -> str:
    if spec.size_dependent:
        return f"made for {size} px alone (option img_size)"
    larger = size + 32
    found = _logits(model.eval()(torch.rand(1, 1, larger, larger)), spec)
    if spec.task != "erosion" and next(iter(found.values())).shape[-1] != larger:
        raise Fault(f"masks of {larger} px images are {next(iter(found.values())).shape[-1]} px wide")
    return f"{size} and {larger} px"


@torch.no_grad()
def _round_trip(model: nn.Module, spec: ModelSpec, images: Tensor, options: dict[str, int]) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.safetensors"
        save_weights(path, model, {"model": spec.name, "options": options})
        again, _ = load_weights(path)
    first, second = (_logits(network.eval()(images), spec) for network in (model, again))
    if not all(torch.equal(first[name], second[name]) for name in first):
        raise Fault("weights read from their file give different logits; every tensor must be a parameter or a buffer")
    return "the same logits from a file"


@torch.no_grad()
def _export(model: nn.Module, spec: ModelSpec, images: Tensor) -> str:
    model.eval()
    program = torch.export.export(model, (images,), strict=False).module()
    first, second = (_logits(network(images), spec) for network in (model, program))
    gap = max(float((first[name] - second[name]).abs().max()) for name in first)
    if gap > 1e-3:
        raise Fault(f"the exported program differs by {gap:.2g}")
    return f"torch.export agrees within {gap:.1g}"
