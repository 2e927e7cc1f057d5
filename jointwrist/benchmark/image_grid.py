"""Measure the masks of finished jobs on the image grid: the radiographs' own pixels, not the network's."""

from __future__ import annotations

from collections.abc import Iterable

from accelerate import Accelerator

from jointwrist.benchmark.job_lock import job_lock
from jointwrist.benchmark.jobs import Job, write_case_results
from jointwrist.benchmark.run_jobs import say
from jointwrist.benchmark.tables.results import GRIDS
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.loop.trainer import BEST
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.radiograph_evaluation import evaluate_radiographs


def measure_radiographs(accelerator: Accelerator, jobs: Iterable[Job], dataset: RamW600, grid: str) -> None:
    """Write the per-case results on the image grid for every finished job that segments bones and lacks them.

    Args:
        accelerator: Its processes share the radiographs of each job.
        jobs: Jobs of the benchmark.
        dataset: Dataset that they were tested on.
        grid: "image", or "image-raw" for masks without postprocessing.

    Raises:
        DataError: A radiograph or its masks cannot be read.
    """
    for job in jobs:
        kept = job.done and job.config.task in ("segmentation", "joint") and (job.folder / BEST).is_file()
        if not kept or (job.folder / GRIDS[grid] / "segmentation.csv").is_file():
            continue
        with job_lock(accelerator, job) as locked:
            if locked:
                say(accelerator, f"{job.folder.name}: test radiographs on their own pixels")
                _measure(accelerator, job, dataset, grid)


def _measure(accelerator: Accelerator, job: Job, dataset: RamW600, grid: str) -> None:
    """Measure a job's network on its test radiographs, used whole since each shows one wrist."""
    predictor = Predictor.from_pretrained(
        job.folder / BEST, accelerator.device, localise=False, postprocess=grid == "image"
    )
    cases = load_run_data(job.config, dataset, ("test",)).test.cases
    results = evaluate_radiographs(accelerator, predictor, cases, job.config.optim.batch_size)
    if accelerator.is_main_process:
        write_case_results(job, results, predictor.threshold, grid)
    accelerator.wait_for_everyone()
