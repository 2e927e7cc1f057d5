"""Peak memory of prediction, a training step and evaluation, each in a process of its own and compared with a bound.

The command ends with 1 where a bound is exceeded. Models have random weights; evaluation also runs with a network of
one convolution on few and many wrists, to show that it keeps rows and no images.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
from torch import nn

from benchmarks.speed_parts.loading import masked_cases
from benchmarks.speed_parts.measurements import Measurements
from benchmarks.speed_parts.training import open_trainer
from jointwrist.anatomy import NUM_BONES
from jointwrist.benchmark.peak_memory import peak_memory
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.engine.config.run_config import OptimConfig, RunConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.tasks import build_task
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.sources import read_radiograph
from jointwrist.phantom.phantom_dataset import write_phantom
from jointwrist.registry import create_model

#: Megabytes on a CPU at 512 px with joint crops cut from 1024 px, one image at a time, that must not be exceeded.
BOUNDS = {
    ("jointwrist_tiny", "predict"): 1800.0,
    ("jointwrist_tiny", "training step"): 3000.0,
    ("jointwrist_tiny", "evaluation"): 2200.0,
    ("jointwrist_base", "predict"): 2500.0,
    ("jointwrist_base", "training step"): 8000.0,
    ("jointwrist_base", "evaluation"): 2500.0,
}
#: Megabytes that a further wrist may add to the peak of an evaluation: its rows, and what the allocator loses between
#: them. A kept image would add 1.
GROWTH_BOUND = 0.5


def prediction(model: str, size: int, root: str) -> Callable[[], object]:
    """Predict one radiograph of 2000 x 2000 pixels."""
    predictor = Predictor(create_model(model), image_size=size, detail_size=2 * size, name=model, device="cpu")
    radiograph = read_radiograph(np.random.default_rng(0).random((2000, 2000), dtype=np.float32), "R")
    return lambda: predictor.predict([Placement(radiograph)])


def training_step(model: str, size: int, root: str) -> Callable[[], object]:
    """Take one training step with one image."""
    trainer = open_trainer(model, size, 1, root, tempfile.mkdtemp())
    batch = next(iter(trainer.loader))
    trainer.model.train()
    return lambda: trainer._step(batch, 0)


def evaluation(model: str, size: int, root: str) -> Callable[[], object]:
    """Evaluate two wrists, one at a time, as the trainer does."""
    trainer = open_trainer(model, size, 1, root, tempfile.mkdtemp())
    cases = WristDataset(masked_cases(root, 2), 2 * size, cache=False)
    return lambda: evaluate_model(trainer.accelerator, trainer.unwrapped, cases, trainer.task, losses=True)


WORK = {"predict": prediction, "training step": training_step, "evaluation": evaluation}


def many_wrists(number: int, size: int, root: str) -> Callable[[], object]:
    """Evaluate this many wrists with a network of one convolution."""
    accelerator = open_accelerator()
    config = RunConfig("unetpp", "segmentation", image_size=size, optim=OptimConfig(batch_size=4))
    model, task = nn.Conv2d(1, NUM_BONES, 1), build_task(config)
    evaluate_model(accelerator, model, WristDataset(masked_cases(root, 4), size, cache=False), task)
    cases = WristDataset(masked_cases(root, number), size, cache=False)
    return lambda: evaluate_model(accelerator, model, cases, task)


def growth(few: int, many: int, size: int, root: str) -> tuple[float, float, float]:
    """Peak megabytes of an evaluation of few and of many wrists, and what each further one adds."""
    peaks = [peak_memory(many_wrists, number, size, root).total for number in (few, many)]
    return peaks[0], peaks[1], (peaks[1] - peaks[0]) / (many - few)


def benchmark_memory(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print peaks beside their bounds; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py memory", description=__doc__)
    parser.add_argument("--models", nargs="+", default=["jointwrist_tiny", "jointwrist_base"], help="registry names")
    parser.add_argument("--size", type=int, default=512, help="side of the image in pixels (default: %(default)s)")
    parser.add_argument(
        "--wrists", type=int, nargs=2, default=[64, 256], help="few and many wrists of an evaluation (default: 64 256)"
    )
    arguments = parser.parse_args(argv)
    measured = Measurements()
    with tempfile.TemporaryDirectory() as root:
        write_phantom(root, 24, size=256, seed=3, workers=1)
        for model in arguments.models:
            for name, work in WORK.items():
                peak = peak_memory(work, model, arguments.size, root).total
                measured.add(f"{model} {arguments.size} px, {name}", peak, "MB", bound=BOUNDS.get((model, name)))
        few, many = arguments.wrists
        *peaks, each = growth(few, many, arguments.size, root)
        for number, peak in zip((few, many), peaks, strict=True):
            measured.add(f"evaluation of {number} wrists, one convolution", peak, "MB")
        measured.add("evaluation, memory of a further wrist", each, "MB", bound=GROWTH_BOUND)
    return measured.rows
