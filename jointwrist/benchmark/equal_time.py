"""Choose each network's number of epochs such that all networks of a protocol train for the same time."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import Accelerator

from jointwrist.benchmark.profile_step import profile_step
from jointwrist.benchmark.protocol import Protocol
from jointwrist.config import merge_trees
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.errors import DataError
from jointwrist.files import write_text


def equal_time(
    accelerator: Accelerator,
    protocol: Protocol,
    models: Sequence[str],
    minutes: float,
    overrides: Mapping[str, Any],
    dataset: RamW600,
    kept: Path,
) -> Protocol:
    """Return the protocol with epochs of equal total training time, estimated from a measured step of each network.

    On a CPU, processor time is used, so that other programs do not matter.

    Args:
        accelerator: Device and processes of the jobs; its main process measures for all.
        protocol: Settings of the trainings.
        models: Registry names.
        minutes: Time of the training steps of one network; at least one epoch is trained.
        overrides: Configuration values that replace the protocol's.
        dataset: Data of all jobs.
        kept: JSON file with the epochs; if it exists, they are read from it, so that a killed run continues.

    Raises:
        DataError: The file was made for other minutes or other models.
    """
    if not kept.is_file() and accelerator.is_main_process:
        epochs = {model: _epochs(accelerator, protocol, model, minutes, overrides, dataset) for model in models}
        write_text(kept, json.dumps({"minutes": minutes, "epochs": epochs}, indent=1) + "\n")
    accelerator.wait_for_everyone()
    found = json.loads(kept.read_text(encoding="utf-8"))
    if found["minutes"] != minutes or set(models) - set(found["epochs"]):
        raise DataError(
            f"{kept}: holds the epochs of {found['minutes']:g} minutes for {', '.join(found['epochs'])}; give the same"
            " minutes and models, or another results folder"
        )
    own = {model: {"optim": {"epochs": found["epochs"][model]}} for model in models}
    return replace(protocol, per_model=merge_trees(protocol.per_model, own))


def _epochs(
    accelerator: Accelerator,
    protocol: Protocol,
    model: str,
    minutes: float,
    overrides: Mapping[str, Any],
    dataset: RamW600,
) -> int:
    config = protocol.run_config(model, 0, dict(overrides))
    data = load_run_data(config, dataset, ("train",))
    clock: Callable[[], float] = time.perf_counter if accelerator.device.type == "cuda" else time.process_time
    seconds = profile_step(accelerator, config, data, clock).seconds
    return max(round(60 * minutes / (seconds * len(data.batches))), 1)
