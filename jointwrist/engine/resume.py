"""Training state in one file, from which an interrupted training resumes; other runs cannot use it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jointwrist.engine.run_config import RunConfig, config_hash
from jointwrist.errors import DataError
from jointwrist.weights.checkpoint import load_state, save_state


def save_run(path: Path, config: RunConfig, processes: int, state: Mapping[str, Any]) -> None:
    """Save the state of a training, with what it belongs to.

    Args:
        path: File, replaced as a whole.
        config: Configuration of the run.
        processes: Number of processes that train.
        state: Numbers, lists and state dicts.
    """
    save_state(path, {"config": config_hash(config), "processes": processes, **state})


def load_run(path: Path, config: RunConfig, processes: int) -> dict[str, Any] | None:
    """Load the state of a training; None if nothing was saved yet.

    Raises:
        DataError: The state belongs to another configuration, or to another number of processes.
    """
    if not path.is_file():
        return None
    state = load_state(path)
    if state["config"] != config_hash(config):
        raise DataError(f"{path}: belongs to another configuration; choose another folder or remove it")
    if state["processes"] != processes:
        raise DataError(
            f"{path}: was saved by {state['processes']} processes and cannot be continued by {processes}; start as many"
            " again, or remove it"
        )
    return state
