"""Build the model and the optimiser of a run, and the metadata of its weight file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from jointwrist.anatomy import WRIST, Anatomy, anatomy_info, info_anatomy
from jointwrist.config import ConfigError, merge_trees, to_dict
from jointwrist.engine.config.run_config import OptimConfig, RunConfig
from jointwrist.errors import DataError
from jointwrist.models.masked_image import MaskedImageModel
from jointwrist.registry import create_model, latest_versions, model_spec
from jointwrist.weights.checkpoint import read_info, read_weights
from jointwrist.weights.find import find_weights
from jointwrist.weights.model_from_metadata import refuse_other_anatomy


def build_model(config: RunConfig, anatomy: Anatomy = WRIST, options: Mapping[str, Any] | None = None) -> nn.Module:
    """Build the model of a run with random weights; parts that `joint.trained` does not name are frozen.

    For pretraining that is the encoder of the model, with a head that predicts pixels.

    Args:
        config: Resolved configuration of the run.
        anatomy: Bones and joints of the labels.
        options: From `model_options`, if they are known already.

    Raises:
        ConfigError: The anatomy has no joints, which the joint network needs; or the model does not take the options.
    """
    if config.task == "joint" and not anatomy.joints:
        raise ConfigError(f"the anatomy {anatomy.name} has no joints; train a segmentation network, such as unet")
    built_for = {"anatomy": anatomy} if config.task == "joint" and anatomy != WRIST else {}
    options = model_options(config, anatomy) if options is None else options
    try:
        model = create_model(config.model, **options, **built_for)
    except (ValueError, TypeError, RuntimeError) as error:
        if not config.options:  # then the fault is not that of the configuration
            raise
        given = " ".join(f"options.{name}={value}" for name, value in config.options.items())
        raise ConfigError(f"{config.model} cannot be built with {given}: {error}") from error
    if config.task == "pretraining":
        return MaskedImageModel(model.encoder)
    if config.task == "joint" and config.joint.trained == "erosion":
        model.encoder.requires_grad_(False)
        model.decoder.requires_grad_(False)
    return model


def model_options(config: RunConfig, anatomy: Anatomy = WRIST) -> dict[str, Any]:
    """Return the builder options of a run.

    They give the image size for models whose layers depend on it, and the versions of the network's parts: those named
    in the configuration, else those of the weights that the run starts from, else the latest.
    """
    size = config.erosion.crop_size if config.task == "erosion" else config.image_size
    fixed = {"img_size": size} if model_spec(config.model).size_dependent else {}
    if config.task == "segmentation" and anatomy != WRIST:
        fixed["num_classes"] = len(anatomy.bones)
    versions = latest_versions(config.model)
    if versions and config.start:
        options = (read_info(find_weights(config.start)) or {}).get("options", {})
        versions |= {name: options[name] for name in versions if name in options}
    return {**versions, **fixed, **config.options}


def build_optimizer(model: nn.Module, config: OptimConfig) -> torch.optim.Optimizer:
    """Return AdamW without frozen parameters; those of `exempt_from_decay` have no weight decay unless `decay_all`.

    The entry `relative_lr` of a group is the factor of its learning rate, 1 where there is none.
    """
    exempt = set() if config.decay_all else exempt_from_decay(model)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    head = {name for name in trained if name.startswith("erosion.") and config.erosion_lr != 1}
    groups = _decay_groups({name: p for name, p in trained.items() if name not in head}, exempt, config.weight_decay)
    if head:
        own = _decay_groups({name: trained[name] for name in trained if name in head}, exempt, config.weight_decay)
        groups += [{**group, "relative_lr": config.erosion_lr} for group in own]
    return torch.optim.AdamW(groups, lr=config.lr)


def _decay_groups(parameters: dict[str, nn.Parameter], exempt: set[str], decay: float) -> list[dict[str, Any]]:
    decayed = [p for name, p in parameters.items() if name not in exempt]
    rest = [p for name, p in parameters.items() if name in exempt]
    return [{"params": decayed, "weight_decay": decay}, {"params": rest, "weight_decay": 0.0}]


def exempt_from_decay(model: nn.Module) -> set[str]:
    """Return the names of the parameters without weight decay.

    These are vectors (biases, normalisation), parameters with the flag `_no_weight_decay` of mamba-ssm (rates, steps
    and skips of scans, position tables), and what a module's method `no_weight_decay` names, as timm's networks do.
    """
    exempt = {name for name, p in model.named_parameters() if p.ndim <= 1 or getattr(p, "_no_weight_decay", False)}
    for prefix, module in model.named_modules():
        if hasattr(module, "no_weight_decay"):
            exempt |= {f"{prefix}.{name}".lstrip(".") for name in module.no_weight_decay()}
    return exempt


def start_from(model: nn.Module, config: RunConfig, anatomy: Anatomy = WRIST) -> None:
    """Load the initial weights of a run (`config.start`).

    An erosion head of another form, trained on frozen bones, takes over the tensors of equal name and shape.

    Raises:
        DataError: There are none, or they belong to another model, to another anatomy or to other options.
    """
    path = find_weights(config.start)
    tensors, info = read_weights(path)
    if info["model"] != config.model:
        raise DataError(
            f"{path}: holds {info['model']}, and {config.model} cannot start from it; give weights of {config.model}"
        )
    new_head = config.task == "joint" and config.joint.trained == "erosion"
    if not (new_head and info_anatomy(info).bone_names == anatomy.bone_names):
        refuse_other_anatomy(path, info, anatomy)
    if new_head and not _fits(model.erosion, "erosion", tensors):
        own = {f"erosion.{name}": tensor for name, tensor in model.erosion.state_dict().items()}
        alike = {name for name in own if name in tensors and tensors[name].shape == own[name].shape}
        rest = {name: tensor for name, tensor in tensors.items() if not name.startswith("erosion.")}
        tensors = rest | {name: tensors[name] if name in alike else own[name] for name in own}
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        differ = "; ".join(str(error).splitlines()[1:3]).strip()
        raise DataError(
            f"{path}: was trained with options {info['options']}, this run has {model_options(config, anatomy)}; give"
            f" it the same ({differ})"
        ) from None


def _fits(module: nn.Module, name: str, tensors: Mapping[str, Tensor]) -> bool:
    """Whether the tensors under a module's name are exactly those of the module."""
    wanted = {f"{name}.{key}": value.shape for key, value in module.state_dict().items()}
    return wanted == {key: value.shape for key, value in tensors.items() if key.startswith(f"{name}.")}


def weight_info(
    config: RunConfig,
    epochs: int,
    thresholds: dict[str, float] | None = None,
    anatomy: Anatomy = WRIST,
    options: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the metadata of a weight file.

    Args:
        config: Resolved configuration of the run.
        epochs: Finished epochs.
        thresholds: From `calibrate`; None takes 0.5.
        anatomy: Anatomy that the network was trained for; that of the wrist is not written.
        options: From `model_options`, if they are known already.
    """
    return {
        "model": config.model,
        "options": model_options(config, anatomy) if options is None else dict(options),
        "image_size": config.image_size,
        "detail_size": config.detail_size or config.image_size,
        "thresholds": thresholds or {"mask": 0.5, "erosion": 0.5},
        "epochs": epochs,
        # the folder is the user's own
        "config": merge_trees(to_dict(config), {"radiographs": {"folder": ""}}),
        **anatomy_info(anatomy),
    }
