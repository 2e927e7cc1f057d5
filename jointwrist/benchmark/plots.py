"""Plots of a results folder: loss curves of every job, and test wrists with masks and erosion scores."""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pandas as pd

from jointwrist.benchmark.jobs import Job
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.trainer import BEST
from jointwrist.files import atomic
from jointwrist.inference.predictor import Predictor


def write_plots(folder: Path, jobs: list[Job], dataset: RamW600, wrists: int = 4) -> None:
    """Write `plots/<job>.png` with curves and `overlays/<job>-<case>.png` for joint networks."""
    for job in jobs:
        if not job.done:
            continue
        history = job.folder / "history.csv"
        if history.is_file():  # foundation models were not trained
            write_curves(Path(folder) / "plots" / f"{job.folder.name}.png", pd.read_csv(history), job.config.model)
        if job.config.task == "joint":
            predictor = Predictor.from_pretrained(job.folder / BEST, localise=False)
            for case in dataset.segmentation("test")[:wrists]:
                result = predictor(case.image, side=case.side).single()
                path = Path(folder) / "overlays" / f"{job.folder.name}-{case.identifier}.png"
                with atomic(path) as temporary:
                    result.plot().save(temporary, format="png")


def write_curves(path: Path, history: pd.DataFrame, title: str) -> None:
    """Plot training and validation losses over epochs, one panel per loss."""
    names = [c.removeprefix("train_") for c in history.columns if c.startswith("train_")]
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 2.8), squeeze=False, layout="constrained")
    for axis, name in zip(axes[0], names, strict=True):
        axis.plot(history["epoch"], history[f"train_{name}"], label="train")
        if f"val_{name}" in history:
            axis.plot(history["epoch"], history[f"val_{name}"], label="validation")
        axis.set(title=f"{title}: {name}" if name == names[0] else name, xlabel="epoch")
    axes[0, 0].legend(frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)
