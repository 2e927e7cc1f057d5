"""Plots of a results folder: learning curves of every job, and test wrists with masks and erosion scores."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from jointwrist.benchmark.jobs import Job
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.loop.trainer import BEST
from jointwrist.engine.results.learning_curves import save_curves
from jointwrist.engine.train import HISTORY
from jointwrist.files import atomic
from jointwrist.inference.predictor import Predictor


def write_plots(folder: Path, jobs: list[Job], dataset: RamW600, wrists: int = 4) -> None:
    """Write `plots/<job>.png` with curves and `overlays/<job>-<case>.png` for joint networks."""
    for job in jobs:
        if not job.done:
            continue
        history = job.folder / HISTORY
        if history.is_file():  # foundation models were not trained
            save_curves(Path(folder) / "plots" / f"{job.folder.name}.png", {job.config.model: pd.read_csv(history)})
        if job.config.task == "joint":
            predictor = Predictor.from_pretrained(job.folder / BEST, localise=False)
            for case in dataset.segmentation("test")[:wrists]:
                result = predictor(case.image, side=case.side).single()
                path = Path(folder) / "overlays" / f"{job.folder.name}-{case.identifier}.png"
                with atomic(path) as temporary:
                    result.plot().save(temporary, format="png")
