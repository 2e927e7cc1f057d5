"""Masks of finished jobs, measured on the radiographs' own pixels."""

from __future__ import annotations

from collections.abc import Iterable

from accelerate import Accelerator

from jointwrist.benchmark.job_lock import claim
from jointwrist.benchmark.jobs import Job, write_rows
from jointwrist.benchmark.tables.results import GRIDS
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.loaders import load_run_data
from jointwrist.engine.trainer import BEST
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.radiograph_evaluation import evaluate_radiographs


def measure_radiographs(accelerator: Accelerator, jobs: Iterable[Job], dataset: RamW600, grid: str) -> None:
    """Write the rows of the image grid of all jobs that are done, take whole radiographs and have none yet.

    Args:
        accelerator: Its processes share the radiographs of each job.
        jobs: Jobs of the benchmark.
        dataset: What they were tested on.
        grid: "image", or "image-raw" for masks without postprocessing.

    Raises:
        DataError: A radiograph or its masks cannot be read.
    """
    for job in jobs:
        kept = job.done and job.config.task in ("segmentation", "joint") and (job.folder / BEST).is_file()
        if not kept or (job.folder / GRIDS[grid] / "segmentation.csv").is_file():
            continue
        with claim(accelerator, job) as mine_alone:
            if mine_alone:
                if accelerator.is_main_process:
                    print(f"{job.folder.name}: test radiographs on their own pixels", flush=True)
                _measure(accelerator, job, dataset, grid)


def _measure(accelerator: Accelerator, job: Job, dataset: RamW600, grid: str) -> None:
    """Measure one job's network on its test radiographs, which show a wrist each and are taken whole."""
    predictor = Predictor.from_pretrained(job.folder / BEST, accelerator.device, field="whole")
    predictor.tidy = grid == "image"
    cases = load_run_data(job.config, dataset, ("test",)).test.cases
    rows = evaluate_radiographs(accelerator, predictor, cases, job.config.optim.batch_size)
    if accelerator.is_main_process:
        write_rows(job, rows, predictor.threshold, grid)
    accelerator.wait_for_everyone()
