"""Time of the trainer's steps: the whole step, its parts, and its growth with the image size.

The models are trained by the protocol `clean`, except for the sizes given here; images are kept in memory, as there.
The benefit of keeping freed memory for reuse (by `jointwrist.engine.processes.session.keep_freed_memory`, or by glibc's
environment variables) is measured in separate, alternating processes. Times of one thread are CPU times, which other
programs disturb least.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from benchmarks.speed_parts.measurements import Measurements, threads
from jointwrist.benchmark.protocol import load_protocol
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.loop.trainer import Trainer
from jointwrist.engine.processes.session import keep_freed_memory
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.phantom.phantom_dataset import write_phantom

MODELS = ("jointwrist_tiny", "unetpp", "jointwrist_base", "mobilevit")
PARTS = ("loading", "augmentation", "forward", "backward", "optimiser")
#: What keeps freed memory for reuse: nothing, the trainer by itself, or the environment of the process.
MEMORY = {
    "returned": {},
    "reused": {},
    "reused by the environment": {
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "8589934592",
        "MALLOC_TOP_PAD_": "268435456",
    },
}


def open_trainer(model: str, size: int, batch_size: int, root: str, folder: str, precision: str = "no") -> Trainer:
    """Return a trainer of a model at a size: of the image, or of the crop if it is a classifier."""
    sizes = {"image_size": size, "detail_size": 2 * size, "erosion": {"crop_size": size}}
    values = {**sizes, "precision": precision, "optim": {"batch_size": batch_size}}
    config = load_protocol("clean").run_config(model, 0, values)
    data = load_run_data(config, RamW600.open(root))
    return Trainer(Accelerator(mixed_precision=precision), config, data, build_task(config, data.prior), Path(folder))


def clock(threads: int) -> Callable[[], float]:
    """CPU seconds of this process if it has one thread, else wall-clock seconds."""
    return time.process_time if threads == 1 else time.perf_counter


def step_times(trainer: Trainer, steps: int, seconds: float = 60.0) -> dict[str, float]:
    """Median milliseconds of a whole step with its loading ("step"), and of its parts, after two steps to warm up."""
    spent: dict[str, float] = {}
    now = clock(torch.get_num_threads())

    def timed(part: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            start = now()
            result = function(*args, **kwargs)
            spent[part] = spent.get(part, 0.0) + now() - start
            return result

        return run

    task, accelerator, optimizer = trainer.task, trainer.accelerator, trainer.optimizer
    task.prepare, task.losses = timed("augmentation", task.prepare), timed("forward", task.losses)
    accelerator.backward, optimizer.step = timed("backward", accelerator.backward), timed("optimiser", optimizer.step)
    batches = _endless(trainer)
    load = timed("loading", lambda: next(batches))
    found: list[dict[str, float]] = []
    began = time.perf_counter()
    for step in range(2 + steps):
        spent.clear()
        start = now()
        trainer._step(load(), step)
        found.append({"step": now() - start, **spent})
        if step >= 2 and time.perf_counter() - began > seconds:
            break
    return {name: 1000 * float(np.median([times[name] for times in found[2:]])) for name in ("step", *PARTS)}


def _endless(trainer: Trainer) -> Iterator[dict[str, Any]]:
    """Endless batches, after a first epoch that reads the files."""
    for _ in trainer.loader:
        pass
    trainer.model.train()
    while True:
        yield from trainer.loader


def whole_step(
    memory: str, model: str, size: int, batch_size: int, root: str, steps: int, threads: int, precision: str = "no"
) -> float:
    """Milliseconds of a step under one of `MEMORY`; to be run in a process of its own."""
    torch.set_num_threads(threads)
    if memory == "reused":
        keep_freed_memory()
    with tempfile.TemporaryDirectory() as folder:
        return step_times(open_trainer(model, size, batch_size, root, folder, precision), steps)["step"]


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    yield
    os.environ.clear()
    os.environ.update(before)


def memory_reused(rounds: int, *arguments: Any) -> dict[str, float]:
    """Median milliseconds of a step under each of `MEMORY`, in fresh processes in turns."""
    found: dict[str, list[float]] = {name: [] for name in MEMORY}
    for _ in range(rounds):
        for name, variables in MEMORY.items():
            with (
                _environment(variables),
                ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
            ):
                found[name].append(pool.submit(whole_step, name, *arguments).result())
    return {name: float(np.median(times)) for name, times in found.items()}


def benchmark_training(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print times, shares and ratios; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py training", description=__doc__)
    parser.add_argument("--models", nargs="+", default=MODELS, help="registry names (default: %(default)s)")
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[64, 128, 256],
        help="sides of the image in pixels (default: %(default)s)",
    )
    parser.add_argument("--batch", type=int, default=4, help="images per step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each way of memory; 0 leaves it out")
    arguments = parser.parse_args(argv)
    measured = Measurements()
    with threads(arguments.threads), tempfile.TemporaryDirectory() as root:
        write_phantom(root, 24, size=256, seed=3, workers=1)
        if arguments.rounds:
            sizes = (MODELS[0], 128, arguments.batch, root, arguments.steps, arguments.threads)
            times = memory_reused(arguments.rounds, *sizes)
            for name, value in times.items():
                measured.add(f"{MODELS[0]} 128 px, memory {name}", value, "ms/step")
                measured.add(f"{MODELS[0]} 128 px, memory {name}, to returned", value / times["returned"], "")
        keep_freed_memory()  # as training does
        for model in arguments.models:
            earlier = None
            for size in sorted(arguments.sizes):
                with tempfile.TemporaryDirectory() as folder:
                    times = step_times(open_trainer(model, size, arguments.batch, root, folder), arguments.steps)
                measured.add(f"{model} {size} px", times["step"], "ms/step")
                for part in PARTS:
                    measured.add(f"{model} {size} px, {part}", times[part] / times["step"], "")
                if earlier:
                    measured.add(f"{model} {size} px to {earlier[0]} px", times["step"] / earlier[1], "")
                earlier = (size, times["step"])
    return measured.rows
