"""Forecast the time and memory that unfinished jobs will take."""

from __future__ import annotations

from accelerate import Accelerator

from jointwrist.benchmark.jobs import Job
from jointwrist.benchmark.profile_step import advice, fitting_batch, out_of_memory, profile_step
from jointwrist.benchmark.run_jobs import say
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.text import duration


def forecast(accelerator: Accelerator, jobs: list[Job], dataset: RamW600) -> None:
    """Print how long the unfinished jobs will take, and the memory of a training step.

    If another job of the model is finished, its time is used. Otherwise a training step is measured; validation, test
    and early stopping are then not part of the forecast.

    Args:
        accelerator: Device and processes of the jobs.
        jobs: All jobs.
        dataset: Data of all jobs.
    """
    finished = {job.config.model: job.record["seconds"] for job in jobs if job.done}
    measured: dict[str, tuple[float, str]] = {}
    total = 0.0
    for job in jobs:
        config = job.config
        if job.done or config.task == "foundation":
            continue
        if config.model in finished:
            measured[config.model] = (finished[config.model], "as long as its finished job")
        elif config.model not in measured:
            data = load_run_data(config, dataset)
            try:
                step = profile_step(accelerator, config, data)
            except Exception as error:
                if not out_of_memory(error):
                    raise
                measured[config.model] = (0.0, advice(config, fitting_batch(accelerator, config, data)))
            else:
                steps = len(data.batches) * config.optim.epochs
                reason = f"{steps} steps of {step.seconds:.2f} s, {step.megabytes:.0f} MB"
                measured[config.model] = (steps * step.seconds, reason)
        seconds, reason = measured[config.model]
        total += seconds
        say(accelerator, f"  {job.folder.name}: {seconds / 60:.1f} minutes ({reason})")
    say(accelerator, f"in all about {duration(total)}, validation and test not counted")
