"""What the processes of test_kill.py and test_faults.py run; imported once, before any of them starts."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import monai.networks.nets  # noqa: F401 - `resnet` imports it in every process, for longer than it trains
import openpyxl  # noqa: F401 - reads the metadata
import torch
from accelerate import Accelerator
from torch.utils.data._utils import worker

import jointwrist.ops.scan.cpu  # noqa: F401 - registers operators, for which PyTorch looks at every module's file
from benchmarks import run_all
from jointwrist.config import build
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.trainer import Trainer
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task

#: Seconds between two looks of a loader process at its parent, where PyTorch waits five.
LOOK = 0.5

gc.freeze()  # the processes collect the garbage of their own work alone


def check_imported(names: list[str]) -> None:
    """Exit with an error in a process that has not inherited all of these modules."""
    if missing := [name for name in names if name not in sys.modules]:
        sys.exit(f"not imported beforehand: {', '.join(missing)}")


def run(
    arguments: list[str], output: Path | None = None, largest_file: int | None = None, session: bool = False
) -> None:
    """Run the benchmark as a process of its own, without tables and pictures, which take longer than the jobs.

    Args:
        arguments: Command line.
        output: File for what it prints; None leaves that where it goes.
        largest_file: Bytes beyond which no file grows, as on a disk that is full; None sets no limit.
        session: Lead a session and group of processes, as what a terminal or a scheduler starts; its loader processes
            look at their parent every `LOOK` seconds.
    """
    if session:
        os.setsid()
        worker.MP_STATUS_CHECK_INTERVAL = LOOK
    torch.set_num_threads(1)
    if output is not None:
        sys.stdout = sys.stderr = output.open("w", buffering=1)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    run_all.finish = lambda *_: None
    sys.exit(run_all.main(arguments))


def train(root: Path, folder: Path, values: dict[str, Any], kill_at: int | None = None) -> None:
    """Train a network as a process of its own, which kills itself before a step; a finished one writes its weights."""
    torch.set_num_threads(1)
    config = build(RunConfig, values)
    data = load_run_data(config, RamW600.open(root), ("train", "val"))
    trainer = Trainer(Accelerator(cpu=True), config, data, build_task(config, data.prior), folder)
    original = trainer._step

    def step(batch: dict[str, Any], number: int) -> None:
        if number == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        original(batch, number)

    trainer._step = step
    trainer.fit()
    torch.save(trainer.unwrapped.state_dict(), folder / "weights.pt")
