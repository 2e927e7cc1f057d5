"""Benchmark jobs: train a model, evaluate it, write per-case results; killed jobs resume through `engine.loop`."""

from __future__ import annotations

import json
import sys
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from accelerate import Accelerator

from jointwrist.anatomy import anatomy_info
from jointwrist.benchmark.machine import environment
from jointwrist.benchmark.profile_step import advice, fitting_batch, out_of_memory
from jointwrist.benchmark.records import RECORD, read_record
from jointwrist.benchmark.tables.results import GRIDS
from jointwrist.config import ConfigError, digest, to_dict
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig, hashed_values
from jointwrist.engine.loop.build import build_model
from jointwrist.engine.loop.calibration import calibrate
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.trainer import BEST, STATE, Trainer
from jointwrist.engine.processes.distributed import all_failed
from jointwrist.engine.processes.session import tracked
from jointwrist.engine.results.case_results import CaseResults, epoch_table
from jointwrist.engine.run_data.datasets import RunData, load_run_data
from jointwrist.engine.tasks import Task, build_task
from jointwrist.engine.train import HISTORY
from jointwrist.errors import StorageError
from jointwrist.files import write_frame, write_text
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.registry import latest_versions
from jointwrist.weights.checkpoint import save_weights

Run = TypeVar("Run")


@dataclass(frozen=True)
class Job:
    """One model, trained by one protocol from one seed.

    Attributes:
        config: Resolved configuration.
        data: Hash of the dataset's cases, splits and scores.
        folder: Folder of its files.
    """

    config: RunConfig
    data: str
    folder: Path

    @property
    def record(self) -> dict[str, Any] | None:
        """Record that `run_job` wrote at the end; None before that."""
        return read_record(self.folder) if (self.folder / RECORD).is_file() else None

    @property
    def done(self) -> bool:
        """Whether the job's per-case results are complete."""
        return (self.record or {}).get("status") == "ok"


def dataset_digest(dataset: RamW600) -> str:
    """Return a hash of a dataset's cases, splits and scores; it does not depend on the folder."""
    return digest(
        [
            [
                c.identifier,
                c.segmentation_split,
                c.erosion_split,
                c.mask is not None,
                list(c.scores) if c.scores else None,
                *map(list, c.further_scores),
            ]
            for c in dataset.cases
        ]
    )


def make_job(config: RunConfig, data: str, results: Path) -> Job:
    """Return a job whose folder is named after model, seed, and the hash of configuration and data.

    A finished job is recognised by this folder; an interrupted one resumes from the state saved in it. The
    configuration states the versions of the network's parts, so that results of an earlier release are not taken for
    those of its successor. A run that starts from weights has their versions.
    """
    if not config.start:
        config = replace(config, options={**latest_versions(config.model), **config.options})
    key = digest({"config": hashed_values(config), "data": data})
    return Job(config, data, Path(results) / "jobs" / f"{config.model}-seed{config.seed}-{key}")


def shard(runs: list[Run], text: str) -> list[Run]:
    """Return every N-th run, from the I-th.

    Args:
        runs: All runs, in the same order on every machine.
        text: "I/N".

    Raises:
        ConfigError: The text is not I/N with 1 <= I <= N.
    """
    first, separator, count = text.partition("/")
    if not (separator and first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count)):
        raise ConfigError(f"--shard {text!r} is not I/N with 1 <= I <= N")
    return runs[int(first) - 1 :: int(count)]


def run_job(accelerator: Accelerator, job: Job, dataset: RamW600) -> dict[str, Any]:
    """Train, evaluate and write per-case results. An error is recorded, so that the other jobs can continue.

    A full disk is not an error of the job: it ends the run, which the same command resumes.

    Returns:
        The record: status "ok" or "error", seconds, versions, machine, use of pixel truth, notes, and the traceback of
        an error.

    Raises:
        SystemExit: One of several processes failed alone, for example out of memory. The others would wait for it
            forever, so it writes the record and ends the run.
    """
    start, alone = time.monotonic(), False
    record: dict[str, Any] = {
        "model": job.config.model,
        "seed": job.config.seed,
        "protocol": job.config.protocol,
        "data": dataset.name,
        "data_digest": job.data,
        "config": to_dict(job.config),
        **anatomy_info(dataset.anatomy),
        **environment(accelerator),
    }
    try:
        record |= {"status": "ok", **_train_and_test(accelerator, job, dataset)}
    except (KeyboardInterrupt, SystemExit, StorageError):
        raise
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
        record |= {"status": "error", "error": message, "traceback": traceback.format_exc()}
        alone = not all_failed(accelerator)
        if out_of_memory(error):
            error.__traceback__ = None  # it holds the network that did not fit
            record["error"] = f"out of memory: {_what_fits(accelerator, job, dataset)}"
    record["seconds"] = round(time.monotonic() - start, 1)
    if accelerator.is_main_process or alone:
        write_text(job.folder / RECORD, json.dumps(record, indent=1, sort_keys=True))
        if record["status"] == "ok":
            (job.folder / STATE).unlink(missing_ok=True)
    if alone:
        print(
            f"{job.folder.name}: process {accelerator.process_index} failed alone ({record['error']}); the run ends"
            " here, and the same command continues with the remaining jobs",
            file=sys.stderr,
        )
        raise SystemExit(1)
    accelerator.free_memory()
    accelerator.wait_for_everyone()
    return record


def _what_fits(accelerator: Accelerator, job: Job, dataset: RamW600) -> str:
    """Text that states which batch fits, or why this is unknown."""
    try:
        return advice(job.config, fitting_batch(accelerator, job.config, load_run_data(job.config, dataset)))
    except Exception as error:  # must not hide the first error
        return f"could not determine which batch fits ({type(error).__name__}: {error})"


def _train_and_test(accelerator: Accelerator, job: Job, dataset: RamW600) -> dict[str, Any]:
    config = job.config
    data = load_run_data(config, dataset)
    task = build_task(config, data.prior, data.anatomy)
    if config.task == "foundation":
        return _test_as_it_is(accelerator, job, data, task)
    with tracked(accelerator, job.folder.name, config) as log:
        trainer = Trainer(accelerator, config, data, task, job.folder, log, progress=True)
        parameters = sum(p.numel() for p in trainer.unwrapped.parameters())
        model = trainer.fit()
    thresholds = calibrate(accelerator, model, data.val, task)
    began = time.monotonic()
    _, results = evaluate_model(accelerator, model, data.test, task)
    if accelerator.is_main_process:
        save_weights(job.folder / BEST, model, trainer.info(thresholds))
        write_case_results(job, results, thresholds["erosion"])
        write_frame(job.folder / HISTORY, epoch_table(trainer.epoch_figures))
    return {
        "epochs": trainer.epoch,
        "parameters": parameters,
        "pixel_truth": data.pixel_truth,
        "thresholds": thresholds,
        "history": data.history(trainer.epoch).to_list(),
        "test_seconds": round(time.monotonic() - began, 2),
        "notes": list(data.notes),
    }


def _test_as_it_is(accelerator: Accelerator, job: Job, data: RunData, task: Task) -> dict[str, Any]:
    """Test a foundation model without training, with the weights that its options name."""
    if "weights" not in job.config.options:
        raise ConfigError(
            f"{job.config.model} has no weights: give a folder or hub name as options.weights, as in"
            " jointwrist/benchmark/protocols/clean.yaml"
        )
    model = build_model(job.config, data.anatomy).to(accelerator.device).eval()
    began = time.monotonic()
    _, results = evaluate_model(accelerator, model, data.test, task)
    if accelerator.is_main_process:
        write_case_results(job, results, 0.5)
    return {
        "epochs": 0,
        "pixel_truth": False,
        "parameters": sum(p.numel() for p in model.parameters()),
        "thresholds": {"mask": 0.5, "erosion": 0.5},
        "test_seconds": round(time.monotonic() - began, 2),
        "notes": list(data.notes),
    }


def write_case_results(job: Job, results: CaseResults, threshold: float, grid: str = "network") -> None:
    """Write per-case results as CSV files, one per table, with model, protocol, seed and hash in every row.

    Args:
        job: Job that they belong to.
        results: Per-case results by table.
        threshold: Probability from which a joint counts as eroded.
        grid: Grid of `GRIDS` on which the masks were measured.
    """
    for table, records in results.items():
        frame = pd.DataFrame(records)
        if table == "erosion":
            frame["predicted"] = call_eroded(frame["probability"], threshold).astype(int)
        source = {
            "model": job.config.model,
            "protocol": job.config.protocol,
            "seed": job.config.seed,
            "config": job.folder.name[-12:],
        }
        for column, value in reversed(source.items()):
            frame.insert(0, column, value)
        write_frame(job.folder / GRIDS[grid] / f"{table}.csv", frame)
