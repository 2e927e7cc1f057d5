"""Run the jobs of a protocol, one for each model and seed: finished jobs are skipped, killed ones resumed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from jointwrist.benchmark.job_lock import job_lock
from jointwrist.benchmark.jobs import Job, dataset_digest, make_job, run_job
from jointwrist.benchmark.protocol import Protocol
from jointwrist.config import ConfigError
from jointwrist.data.batches.samplers import check_processes
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.text import number_of


def make_jobs(
    protocol: Protocol,
    models: Iterable[str],
    seeds: Iterable[int],
    overrides: dict[str, Any],
    dataset: RamW600,
    folder: Path,
) -> list[Job]:
    """List the jobs of a results folder, all models of one seed before the next seed.

    Args:
        protocol: Settings of training and evaluation of each model.
        models: Registry names.
        seeds: Seeds of every model.
        overrides: Configuration values that replace the protocol's.
        dataset: Data of all jobs.
        folder: Results folder.
    """
    data, models = dataset_digest(dataset), list(models)
    return [make_job(protocol.run_config(model, seed, overrides), data, folder) for seed in seeds for model in models]


def run_jobs(accelerator: Accelerator, jobs: Sequence[Job], dataset: RamW600, retry: bool = False) -> list[Job]:
    """Run the jobs that are not done, one after the other.

    Args:
        accelerator: Its processes share each job.
        jobs: Jobs in their order.
        dataset: Data of all jobs.
        retry: Run failed jobs again.

    Returns:
        Jobs that are skipped because another process has locked them.
    """
    elsewhere: list[Job] = []
    for number, job in enumerate(jobs, 1):
        with job_lock(accelerator, job) as locked:
            if not locked:
                say(accelerator, f"{job.folder.name}: another process is training it; skipped")
                elsewhere.append(job)
                continue
            record = job.record
            if record and (record["status"] == "ok" or not retry):
                continue
            set_seed(job.config.seed)
            optim = job.config.optim
            settings = f"at most {number_of(optim.epochs, 'epoch')}, learning rate {optim.lr:g}"
            say(accelerator, f"job {number} of {len(jobs)}: {job.config.model}, seed {job.config.seed}, {settings}")
            record = run_job(accelerator, job, dataset)
        end = f"{record['status']} after {record['seconds']:.0f} s {record.get('error', '')}"
        say(accelerator, f"{job.folder.name}: {end}")
    return elsewhere


def check_shares(jobs: Iterable[Job], processes: int) -> None:
    """Check, before anything is trained, that every process gets a part of every batch.

    Raises:
        ConfigError: The batches of a job that is not done are too small.
    """
    for job in jobs:
        config = job.config
        if job.done or config.task == "foundation":
            continue
        try:
            check_processes(config.optim.batch_size, processes, bool(config.options.get("other_hand")))
        except ConfigError as error:
            raise ConfigError(f"{config.model}: {error}") from None


def runnable_precision(wanted: str) -> str:
    """Return the autocast type of a run: `no` in place of fp16 where there is no GPU."""
    return "no" if wanted == "fp16" and not torch.cuda.is_available() else wanted


def say(accelerator: Accelerator, text: str) -> None:
    """Print on the main process."""
    if accelerator.is_main_process:
        print(text, flush=True)
