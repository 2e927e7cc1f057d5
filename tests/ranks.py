"""Processes that train together, as torchrun would start them, but from a process that has everything imported."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from contextlib import redirect_stderr
from datetime import timedelta
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import Any

import torch

from benchmarks import run_all
from jointwrist import cli
from jointwrist.config import build
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop import trainer
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.processes import distributed
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.registry import ModelSpec, register_model


def start(processes: BaseContext, count: int, function: Callable[..., None], *arguments: object) -> list[int | None]:
    """Run a function of this module in so many processes; return their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    ranks = [processes.Process(target=_rank, args=(rank, count, port, function, *arguments)) for rank in range(count)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(280)
    for process in ranks:
        process.kill()
    return [process.exitcode for process in ranks]


def _rank(rank: int, count: int, port: int, function: Callable[..., None], *arguments: object) -> None:
    torch.set_num_threads(1)
    if count > 1:
        place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "MASTER_PORT": port}
        os.environ.update({key: str(value) for key, value in place.items()}, MASTER_ADDR="127.0.0.1")
    function(*arguments)


class Probe(torch.nn.Module):
    """A network without batch normalisation: 14 masks, or two logits."""

    def __init__(self, outputs: int):
        super().__init__()
        self.first, self.last = torch.nn.Conv2d(1, 8, 3, padding=1), torch.nn.Conv2d(8, outputs, 3, padding=1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        logits = self.last(torch.tanh(self.first(image)))
        return logits if logits.shape[1] == 14 else logits.mean((-2, -1))


def few_steps(count: int, root: Path, out: Path, runs: dict[str, dict], steps: int) -> None:
    """Train every run for a few steps of plain gradient descent; keep the weights and the sums of the losses.

    AdamW divides gradients by their own size, so that it follows their rounding errors where they are nearly zero.
    """
    for task, outputs in (("segmentation", 14), ("erosion", 2)):
        spec = ModelSpec(f"probe_{task}", task, None, "none", "none", "tests", 1, 32)
        register_model(spec)(lambda outputs=outputs, **_: Probe(outputs))
    trainer.build_optimizer = lambda model, config: torch.optim.SGD(model.parameters(), config.lr)
    accelerator = open_accelerator()
    assert accelerator.num_processes == count
    for name, values in runs.items():
        config = build(RunConfig, values)
        data = load_run_data(config, RamW600.open(root))
        made = trainer.Trainer(accelerator, config, data, build_task(config, data.prior), out / name)
        if hasattr(made.unwrapped, "erosion"):
            made.unwrapped.erosion.jitter = 0.0
        made.model.train()
        for batch, _ in zip(made.loader, range(steps), strict=False):
            made._train_step(batch)
        sums = {
            f"sum of {part}": torch.tensor(value)
            for part, value in distributed.average_over_processes(accelerator, made.sums).items()
        }
        if accelerator.is_main_process:
            torch.save({**made.unwrapped.state_dict(), **sums}, out / f"{name}.pt")


def evaluate_and_train(root: Path, folder: Path, values: dict[str, Any]) -> None:
    """Evaluate an untrained network, then train it; the main process writes what was found."""
    accelerator, config = open_accelerator(), build(RunConfig, values)
    data = load_run_data(config, RamW600.open(root))
    task = build_task(config, data.prior)
    made = trainer.Trainer(accelerator, config, data, task, folder)
    losses, rows = evaluate_model(accelerator, made.eval_model, data.test, task, losses=True)
    made.fit()
    if accelerator.is_main_process:
        result = {"processes": accelerator.num_processes, "losses": losses, "rows": rows}
        (folder / "result.json").write_text(json.dumps(result))


def benchmark(arguments: list[str], fault: str = "") -> None:
    """Run the benchmark, without a report; in the second process something happens in a step of the joint network."""
    distributed.WAIT = timedelta(seconds=6)
    run_all.finish = lambda *_: None
    original, seen = trainer.Trainer._step, []

    def step(self: trainer.Trainer, batch: dict, number: int) -> None:
        seen.append(self.config.model)
        if os.environ["RANK"] == "1" and seen.count("jointwrist_tiny") == 2:
            if fault == "signal":
                os.kill(os.getpid(), signal.SIGTERM)
            if fault == "memory":
                backward = self.accelerator.backward

                def fail(loss: torch.Tensor) -> None:
                    self.accelerator.backward = backward
                    raise torch.OutOfMemoryError("CUDA out of memory")

                self.accelerator.backward = fail
        original(self, batch, number)

    trainer.Trainer._step = step
    raise SystemExit(run_all.main(arguments))


def command(arguments: list[str], messages: Path | None = None) -> None:
    """Run the command line; each process writes its messages into a file of that folder."""
    if messages is None:
        raise SystemExit(cli.main(arguments))
    with open(messages / f"{os.environ['RANK']}.txt", "w", encoding="utf-8") as file, redirect_stderr(file):
        code = cli.main(arguments)
    raise SystemExit(code)
