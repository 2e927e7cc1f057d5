"""Training state in one file, from which an interrupted training resumes; other runs cannot use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from jointwrist.engine.run_config import RunConfig, config_hash
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
    save_state(path, {"config": config_hash(config), "processes": processes, "versions": versions, **state})


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
        raise DataError(f"{path}: belongs to another configuration; choose another folder or remove it")
    begun = unstated_versions(config.model) | state.get("versions", {})
    if others := [f"options.{name}={version}" for name, version in begun.items() if options[name] != version]:
        raise DataError(f"{path}: was begun with {' '.join(others)}; set that to continue it, or remove it")
    if state["processes"] != processes:
        raise DataError(
            f"{path}: was saved by {number_of(state['processes'], 'process')} and cannot be continued by {processes};"
            " start as many again, or remove it"
        )
    return state


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
