"""Open the accelerator of a training session, and its experiment trackers."""

from __future__ import annotations

import ctypes
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.tracking import LOGGER_TYPE_TO_CLASS, get_available_trackers
from accelerate.utils import DistributedDataParallelKwargs, InitProcessGroupKwargs

from jointwrist.config import ConfigError, to_dict
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.processes.distributed import TIMEOUT, open_process_groups


def open_accelerator(
    precision: str = "no", tracker: str | None = None, folder: Path = Path("."), deterministic: bool = False
) -> Accelerator:
    """Return an accelerator, configured by `accelerate launch` if that started this process.

    Args:
        precision: "no", "fp16" or "bf16".
        tracker: Name of one of accelerate's trackers ("tensorboard", "wandb", "mlflow", "trackio", ...), or None.
        folder: Folder for trackers that write files.
        deterministic: Make runs repeatable bit by bit. An operation that cannot be raises a `RuntimeError` with its
            name.

    Raises:
        ConfigError: The tracker is unknown, or its package is not installed.
    """
    if tracker is not None:
        _check_tracker(tracker)
    if deterministic:
        # read by cuBLAS when it starts
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    if not torch.cuda.is_available():
        keep_freed_memory()
    accelerator = Accelerator(
        mixed_precision=precision,
        # otherwise accelerate takes each process that a launcher starts without a GPU for the only one
        cpu="LOCAL_RANK" in os.environ and not torch.cuda.is_available(),
        kwargs_handlers=[
            # several of the paper's networks have heads that no loss reaches
            DistributedDataParallelKwargs(find_unused_parameters=True),
            InitProcessGroupKwargs(timeout=TIMEOUT),
        ],
        log_with=tracker,
        project_dir=str(folder),
    )
    open_process_groups(accelerator)
    # of depthwise convolutions: their weights have one input channel, whose stride means nothing
    warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
    return accelerator


def _check_tracker(name: str) -> None:
    known = sorted(str(key) for key in LOGGER_TYPE_TO_CLASS)
    if name not in known:
        raise ConfigError(f"unknown tracker {name!r}; choose one of {', '.join(known)}")
    if name not in {str(kind) for kind in get_available_trackers()}:
        remedy = (
            "install it, in the checkout, with: pip install -e '.[tracking]'"
            if name == "tensorboard"
            else f"install the package {name}"
        )
        raise ConfigError(f"tracker {name!r} is not installed; {remedy}")


def keep_freed_memory() -> None:
    """Make glibc keep freed memory for reuse: new pages would take a sixth of a CPU training step."""
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        no_mapping, trim_threshold, top_pad = -4, -1, -2
        mallopt(no_mapping, 0)
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(top_pad, 64 << 20)


@contextmanager
def tracked(
    accelerator: Accelerator, name: str, config: RunConfig
) -> Iterator[Callable[[dict[str, Any]], None] | None]:
    """Start the trackers; yield a function that logs the figures of an epoch, or None without a tracker.

    Args:
        accelerator: From `open_accelerator`.
        name: Name of the run.
        config: Configuration to log with it.
    """
    if not accelerator.log_with:
        yield None
        return
    accelerator.init_trackers(name, config=_flat(to_dict(config)))
    try:
        yield lambda figures: accelerator.log(
            {key: value for key, value in figures.items() if isinstance(value, Real)}, step=int(figures["epoch"])
        )
    finally:
        # Accelerator.end_training would destroy the process group too
        for tracker in accelerator.trackers:
            tracker.finish()
        accelerator.trackers = []


def _flat(tree: dict[str, Any], prefix: str = "") -> dict[str, str | float | int | bool]:
    """Flatten to dotted keys with values that every tracker accepts."""
    flat: dict[str, str | float | int | bool] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, str | float | int | bool) else str(value)
    return flat
