"""Training state in one file, from which an interrupted training resumes; other runs cannot use it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jointwrist.config import to_dict
from jointwrist.engine.config.run_config import EXECUTION_KEYS, RunConfig, config_hash
from jointwrist.errors import DataError
from jointwrist.registry import latest_versions, unstated_versions
from jointwrist.text import number_of
from jointwrist.weights.checkpoint import load_state, save_state


def save_run(
    path: Path, config: RunConfig, options: Mapping[str, Any], processes: int, state: Mapping[str, Any]
) -> None:
    """Save the state of a training, with what it belongs to.

    Args:
        path: File, replaced as a whole.
        config: Configuration of the run.
        options: Options that its model was built with.
        processes: Number of processes that train.
        state: Numbers, lists and state dicts.
    """
    versions = {name: options[name] for name in latest_versions(config.model)}
    belongs = {"config": config_hash(config), "values": to_dict(config), "processes": processes, "versions": versions}
    save_state(path, {**belongs, **state})


def load_run(path: Path, config: RunConfig, options: Mapping[str, Any], processes: int) -> dict[str, Any] | None:
    """Load the state of a training; None if nothing was saved yet.

    Raises:
        DataError: The state belongs to another configuration, to a network with parts of another version, or to
            another number of processes.
    """
    if not path.is_file():
        return None
    state = load_state(path)
    if state["config"] != config_hash(config):
        others = _differing(state.get("values", {}), to_dict(config))
        begun_with = f"; it was begun with {' '.join(others)}" if others else ""
        raise DataError(f"{path}: belongs to another configuration; choose another folder or remove it{begun_with}")
    begun = unstated_versions(config.model) | state.get("versions", {})
    if others := [f"options.{name}={version}" for name, version in begun.items() if options[name] != version]:
        raise DataError(f"{path}: was begun with {' '.join(others)}; set that to continue it, or remove it")
    if state["processes"] != processes:
        raise DataError(
            f"{path}: was saved by {number_of(state['processes'], 'process')} and cannot be continued by {processes};"
            " start as many again, or remove it"
        )
    return state


def _differing(begun: Mapping[str, Any], wanted: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Return the values of `begun` that are others in `wanted`, as KEY=VALUE; those of the execution are left out."""
    differing = []
    for key, value in begun.items():
        name, other = f"{prefix}{key}", wanted.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            differing += _differing({**dict.fromkeys(other), **value}, other, f"{name}.")
        elif value != other and name not in EXECUTION_KEYS:
            differing.append(f"{name}={json.dumps(value)}")
    return differing


def resume_optimizer(optimizer: torch.optim.Optimizer, state: dict[str, Any], path: Path) -> None:
    """Load the state of an optimiser, from a training state in `path`.

    Raises:
        DataError: An earlier version saved it, which applied weight decay to other parameters.
    """
    try:
        optimizer.load_state_dict(state)
    except ValueError as error:
        raise DataError(
            f"{path}: was saved by an earlier version, which applied weight decay to other parameters ({error});"
            " finish the run with that version, or remove the file to start again"
        ) from None
