"""Train a model on a dataset: the function behind `jointwrist train`."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from jointwrist.anatomy import load_anatomy
from jointwrist.config import ConfigError, build
from jointwrist.data.dataset.layout import refuse_dataset_as_output
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.calibration import calibrate
from jointwrist.engine.loop.trainer import BEST, Trainer
from jointwrist.engine.processes.session import open_accelerator, tracked
from jointwrist.engine.processes.stop import graceful_stop
from jointwrist.engine.results.case_results import epoch_table
from jointwrist.engine.results.learning_curves import CURVES, save_curves
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.run_data.run_cases import choose_cases
from jointwrist.engine.run_data.training_record import training_record, validation_record
from jointwrist.engine.tasks import build_task
from jointwrist.files import check_writable, write_frame, write_text
from jointwrist.registry import model_spec
from jointwrist.weights.checkpoint import save_weights
from jointwrist.weights.model_card import model_card

LOG = logging.getLogger(__name__)
#: Figures of every epoch, in the folder of a run.
HISTORY = "history.csv"
#: Model card of the weights, in the folder of a run; the hub shows a file of this name.
CARD = "README.md"


@dataclass(frozen=True)
class TrainedModel:
    """Result of a training.

    Attributes:
        model: The network with its best weights, in evaluation mode.
        weights: Weight file of the network.
        thresholds: "mask" and "erosion": probabilities from which a pixel or joint is positive; see `calibrate`.
        history: Figures of every epoch, one row each; also in `history.csv` in the folder of the weights.
    """

    model: nn.Module
    weights: Path
    thresholds: dict[str, float]
    history: pd.DataFrame


def train(
    model: str,
    data: str | Path,
    out: str | Path,
    config: Mapping[str, Any] | None = None,
    *,
    tracker: str | None = None,
    deterministic: bool = False,
    progress: bool = False,
) -> TrainedModel:
    """Train a model, choose its best weights, and calibrate it on the validation split.

    Interrupted at any moment, the same call continues where the last state was saved; a finished training returns at
    once. While it runs in the main thread, SIGINT and SIGTERM save the state after the current step, and raise
    `SystemExit`. Started by `accelerate launch`, the processes share every batch.

    Args:
        model: Registry name; `jointwrist.list_models()` names all.
        data: Folder in the released layout; its splits train and val are used.
        out: Folder for weights, model card, state and history.
        config: Values of `RunConfig` that differ from its defaults, such as `{"optim": {"epochs": 5}}`.
        tracker: One of accelerate's trackers ("tensorboard", "wandb", "mlflow", ...), or None.
        deterministic: Make trainings repeatable bit by bit. An operation that cannot be raises a `RuntimeError` with
            its name.
        progress: Show a progress bar.

    Raises:
        ConfigError: A value of the configuration is unknown or out of range, or the model is not trained.
        DataError: The data cannot be read, or the folder holds a run of another configuration.
        TrainingError: The loss is not finite, or a loader process was lost.
    """
    spec = model_spec(model)
    if spec.task == "foundation":
        raise ConfigError(f"{spec.name} is a foundation model and is not trained; `evaluate` measures it as it is")
    values = current_keys(config or {})
    for key, own in (("model", spec.name), ("task", spec.task)):
        if values.get(key, own) != own:
            raise ConfigError(f"{key} is {values[key]} in the configuration; {spec.name} needs {own}")
    run = build(RunConfig, {**values, "model": spec.name, "task": spec.task})
    folder, splits = Path(out), ("train", "val")
    refuse_dataset_as_output(folder)
    check_writable(folder)
    accelerator = open_accelerator(run.precision, tracker, folder, deterministic)
    stated = load_anatomy(run.anatomy) if run.anatomy else None
    dataset = RamW600.open(Path(data), splits=splits, anatomy=stated)
    run_data = load_run_data(run, dataset, splits)
    task = build_task(run, run_data.prior, dataset.anatomy)
    if accelerator.is_main_process:
        for note in run_data.notes:
            LOG.info(note)
    with tracked(accelerator, f"{run.model}-seed{run.seed}", run) as log:
        trainer = Trainer(accelerator, run, run_data, task, folder, progress=progress)

        def epoch_done(figures: dict[str, Any]) -> None:
            write_frame(folder / HISTORY, epoch_table(trainer.epoch_figures))
            if log:
                log(figures)

        trainer.log = epoch_done
        with graceful_stop():
            trained = trainer.fit()
    thresholds = calibrate(accelerator, trained, run_data.val, task)
    history = epoch_table(trainer.epoch_figures)
    if accelerator.is_main_process:
        cases, _ = choose_cases(run, dataset, ("train",))
        info = {
            **trainer.info(thresholds),
            "training": training_record(cases["train"], phantom=dataset.is_phantom),
            "validation": validation_record(trainer.epoch_figures),
        }
        save_weights(folder / BEST, trained, info)
        write_text(folder / CARD, model_card(info, "path/to/this/folder"))
        write_frame(folder / HISTORY, history)
        save_curves(folder / CURVES, {run.model: history})
    accelerator.end_training()
    return TrainedModel(trained, folder / BEST, thresholds, history)
