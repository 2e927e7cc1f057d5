"""Fine-tune trained weights on a small dataset: the function behind `jointwrist finetune`.

Patient-wise cross-validation measures the effect of fine-tuning: every wrist is tested by a network that never saw its
patient. The final weights come from one more training, with the same settings, on all patients.
"""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import Accelerator
from torch import nn

from jointwrist.anatomy import info_anatomy
from jointwrist.config import build, merge_trees
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.drawn_bones import undrawn_notes
from jointwrist.data.dataset.layout import SPLITS, refuse_dataset_as_output
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.inherited_config import inherited_config
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.config.run_config import RunConfig, StreamConfig, config_hash
from jointwrist.engine.loop.calibration import calibrate_on
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.trainer import BEST, Trainer
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.processes.stop import graceful_stop
from jointwrist.engine.results.case_results import CASE_KEYS, case_keys, epoch_table, read_case_results
from jointwrist.engine.results.changes import Change, measure_changes
from jointwrist.engine.results.learning_curves import CURVES, save_curves
from jointwrist.engine.run_data.datasets import RunData, load_run_data
from jointwrist.engine.run_data.patient_folds import patient_folds, with_splits
from jointwrist.engine.run_data.training_record import training_record, validation_record
from jointwrist.engine.tasks import build_task
from jointwrist.engine.train import CARD, HISTORY
from jointwrist.errors import DataError
from jointwrist.files import check_writable, write_frame, write_text
from jointwrist.registry import model_spec
from jointwrist.text import duration, number_of
from jointwrist.weights.checkpoint import load_weights, require_info, save_weights
from jointwrist.weights.find import find_weights, weights_source
from jointwrist.weights.model_card import model_card
from jointwrist.weights.model_from_metadata import refuse_other_anatomy

LOG = logging.getLogger(__name__)
#: Figures before and after, with their intervals.
FIGURES = "figures.csv"
#: What a fold trains and tests on; a folder of other data is refused.
_FOLD = "fold.json"
#: Share of the patients of a training that choose its best epoch instead.
_VALIDATION = 5
#: Fewest patients: one to test on, one who chooses the epoch, and one to train on.
_PATIENTS = 3


@dataclass(frozen=True)
class FineTuned:
    """Result of fine-tuning.

    Attributes:
        weights: Weight file.
        changes: Figures before and after.
    """

    weights: Path
    changes: tuple[Change, ...]


def recipe(wrists: int) -> dict[str, Any]:
    """Return the run configuration for a number of training wrists.

    The number of steps grows with the square root of the number of wrists: a network memorises few wrists long before a
    fixed number of epochs, and many wrists need fewer passes.
    """
    batch = min(4, wrists)
    steps = 27 * math.sqrt(wrists)
    epochs = max(4, round(steps / math.ceil(wrists / batch)))
    return {
        "epochs": epochs,
        "batch_size": batch,
        "accumulate": 1,
        "lr": 1e-3,
        "warmup": 0.1,
        "schedule": "step",
        "frozen": 0.2,
        "ema": 0.9,
        "patience": max(4, epochs // 3),
    }


def finetune(
    data: str | Path,
    out: str | Path,
    weights: str | Path = "jointwrist_tiny",
    config: Mapping[str, Any] | None = None,
    *,
    folds: int | None = None,
    seed: int = 3407,
    progress: bool = False,
) -> FineTuned:
    """Fine-tune weights on all radiographs of a folder, whatever their split, with patient-wise cross-validation.

    Interrupted at any moment, the same call continues; finished folds are not repeated.

    Args:
        data: Folder in the released layout, with masks, scores or both.
        out: Folder for weights, figures, learning curves and states.
        weights: As for `find_weights`: those to start from, of a joint or a segmentation network.
        config: Values of `RunConfig` that replace those of the recipe, such as `{"optim": {"epochs": 5}}`.
        folds: Number of folds; None takes 3 for fewer than 50 wrists and 5 for more.
        seed: Seed of the folds and the trainings.
        progress: Show progress bars.

    Raises:
        ConfigError: A value of the configuration is unknown or out of range.
        DataError: Weights or data cannot be read, there are too few patients, or the folder holds other work.
    """
    folder, path = Path(out), find_weights(str(weights))
    refuse_dataset_as_output(folder)
    check_writable(folder)
    info = _trained_info(path)
    stated = info_anatomy(info) if info["config"].get("anatomy") else None
    dataset = RamW600.open(Path(data), splits=SPLITS, anatomy=stated)
    refuse_other_anatomy(path, info, dataset.anatomy)
    cases = [case for case in dataset.cases if case.mask is not None or case.scored]
    dataset = replace(dataset, cases=tuple(cases))
    folds = folds or (3 if len(cases) < 50 else 5)
    dealt = _deal(dataset, folds, seed)
    for note in undrawn_notes(cases, dataset.anatomy):
        LOG.warning(note)
    trainings = _FineTuning(path, info, dataset, seed, config or {}, folds + 1, progress)
    LOG.info(f"{number_of(folds + 1, 'training')}: one for each of {folds} folds, and one on all patients")
    before = trainings.evaluate(*trainings.load())
    after: dict[str, list[pd.DataFrame]] = {}
    histories = {}
    for number, test in enumerate(dealt, 1):
        name = f"fold {number}"
        place = folder / "folds" / str(number)
        histories[name], tables = trainings.cross(place, f"{name} of {folds}", test)
        for table, frame in tables.items():
            after.setdefault(table, []).append(frame)
    pooled = {table: pd.concat(frames, ignore_index=True) for table, frames in after.items()}
    changes = measure_changes(before, pooled)
    histories["all"] = trainings.final(folder, pooled, changes)
    for moment, tables in (("before", before), ("after", pooled)):
        for table, frame in tables.items():
            write_frame(folder / f"{moment}_{table}.csv", frame.sort_values(list(case_keys(table))))
    write_frame(folder / FIGURES, pd.DataFrame([asdict(change) for change in changes]))
    save_curves(folder / CURVES, histories)
    return FineTuned(folder / BEST, tuple(changes))


def _deal(dataset: RamW600, folds: int, seed: int) -> list[set[str]]:
    """Return the patients of each fold, all others of which can be trained on.

    Raises:
        DataError: There are too few patients.
    """
    patients = len({case.patient for case in dataset.cases})
    if patients < _PATIENTS:
        raise DataError(
            f"{dataset.root}: {number_of(patients, 'patient')} with masks or scores; each fold needs one to test on,"
            " one to choose the epoch and one to train on: add patients, better thirty"
        )
    try:
        dealt = patient_folds(dataset.cases, folds, seed)
    except ValueError as error:
        raise DataError(f"{dataset.root}: {error}; add patients, or give fewer --folds") from None
    if patients - max(map(len, dealt)) < _PATIENTS - 1:
        raise DataError(
            f"{dataset.root}: {patients} patients in {folds} folds leave one fold a single patient, both to train on"
            f" and to choose the epoch; give --folds {patients}, one for each patient, or add patients"
        )
    return dealt


def _trained_info(path: Path) -> dict[str, Any]:
    info = require_info(path)
    if "config" not in info:
        raise DataError(
            f"{path}: does not state how it was trained, so it cannot be trained further; files of `jointwrist train`"
            " and the benchmark do"
        )
    if model_spec(info["model"]).task not in ("joint", "segmentation"):
        raise DataError(
            f"{path}: {info['model']} is neither a joint nor a segmentation network; give weights of one of these"
        )
    return info


@dataclass
class _FineTuning:
    """State that all trainings of a fine-tuning share.

    Attributes:
        start: Weights to start from.
        info: Metadata of these weights.
        dataset: Radiographs with labels.
        seed: Seed of everything.
        values: The user's values of the configuration.
        left: Number of trainings that are not finished.
        progress: Show progress bars.
    """

    start: Path
    info: dict[str, Any]
    dataset: RamW600
    seed: int
    values: Mapping[str, Any]
    left: int
    progress: bool

    def __post_init__(self):
        """Open the accelerator for the precision of the run."""
        self.accelerator: Accelerator = open_accelerator(self._run(self.dataset.cases).precision)

    def load(self) -> tuple[nn.Module, RunConfig]:
        """Return the network to start from, and the configuration to evaluate it with."""
        return load_weights(self.start)[0], self._run(self.dataset.cases)

    def evaluate(self, model: nn.Module, run: RunConfig, test: Sequence[str] | None = None) -> dict[str, pd.DataFrame]:
        """Return per-case results on all patients, or on some."""
        chosen = {case.patient for case in self.dataset.cases} if test is None else set(test)
        placed = with_splits(self.dataset, (), chosen)
        alone = replace(run, start="", cache=False)
        data = load_run_data(alone, placed, ("test",), augmented=False)
        model = model.to(self.accelerator.device)
        task = build_task(alone, None, self.dataset.anatomy)
        results = evaluate_model(self.accelerator, model, data.test, task, progress=self.progress)[1]
        return {table: pd.DataFrame(rows) for table, rows in results.items() if rows}

    def cross(self, place: Path, name: str, test: set[str]) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
        """Train without some patients and test on them; return the history and the per-case results."""
        trainer, _ = self._train(place, name, test)
        further = [score.name for score in self.dataset.anatomy.further_scores]
        files = {table: place / f"{table}.csv" for table in (*CASE_KEYS, *further)}
        done = place / "done"
        if not done.is_file():
            tables = self.evaluate(trainer.eval_model, trainer.config, sorted(test))
            for table, frame in tables.items():
                write_frame(files[table], frame)
            write_text(done, "")
        kept = {table: path for table, path in files.items() if path.is_file()}
        return epoch_table(trainer.epoch_figures), {table: read_case_results(path) for table, path in kept.items()}

    def final(self, folder: Path, pooled: Mapping[str, pd.DataFrame], changes: Sequence[Change]) -> pd.DataFrame:
        """Train on all patients and write the weights; return the history."""
        trainer, data = self._train(folder, "all patients", set())
        model = trainer.eval_model
        thresholds = self.info.get("thresholds")
        if trainer.config.task == "joint" and "erosion" in pooled:
            thresholds = calibrate_on(model, pooled["erosion"], trainer.config) or thresholds
        trained = [case for case in self.dataset.cases if case.patient in data.patients["train"]]
        info = {
            **trainer.info(thresholds),
            "training": training_record(trained, self.dataset.is_phantom),
            "validation": validation_record(trainer.epoch_figures),
            "cross_validation": [asdict(change) for change in changes],
        }
        save_weights(folder / BEST, model, info)
        write_text(folder / CARD, model_card(info, "path/to/this/folder"))
        history = epoch_table(trainer.epoch_figures)
        write_frame(folder / HISTORY, history)
        return history

    def _train(self, place: Path, name: str, test: set[str]) -> tuple[Trainer, RunData]:
        """Train until finished, without the patients of `test`."""
        rest = [case for case in self.dataset.cases if case.patient not in test]
        patients = len({case.patient for case in rest})
        validation = patient_folds(rest, min(_VALIDATION, patients), self.seed)[-1]
        placed = with_splits(self.dataset, validation, test)
        run = self._run([case for case in rest if case.patient not in validation])
        self._check_same(place, run, placed)
        data = load_run_data(run, placed, ("train", "val"))
        task = build_task(run, data.prior, self.dataset.anatomy)
        trainer = Trainer(self.accelerator, run, data, task, place, progress=self.progress)
        first, began = trainer.epoch, time.monotonic()
        if not trainer.finished:
            counts = [len([c for c in placed.cases if s in (c.segmentation_split, c.erosion_split)]) for s in SPLITS]
            tested = f", {counts[2]} for the test" if counts[2] else ""
            LOG.info(
                f"{name}: {number_of(counts[0], 'wrist')} for training, at most"
                f" {number_of(run.optim.epochs, 'epoch')}; {counts[1]} for the choice of the epoch{tested}"
            )
        with graceful_stop():
            trainer.fit()
        self.left -= 1
        if first == 0 and self.left:
            seconds = time.monotonic() - began
            LOG.info(
                f"{name}: trained in {duration(seconds)}; what is left, {number_of(self.left, 'training')}, takes about"
                f" {duration(self.left * seconds)}"
            )
        return trainer, data

    def _run(self, cases: Sequence[Case]) -> RunConfig:
        """Return a training's configuration: that of the weights, overridden by the recipe, then by the user."""
        scored = any(case.scored for case in cases)
        masked = any(case.mask is not None for case in cases)
        values = merge_trees(
            inherited_config(self.info["config"]),
            {
                "protocol": "finetune",
                "seed": self.seed,
                "start": weights_source(self.start),
                "optim": {**recipe(len(cases)), "select": "dsc" if masked else "loss"},
                "joint": {"segmentation_warmup": 0.0, "teacher_forcing": 0.0},
                "radiographs": {"folder": "", "own": False},
                "workers": 0,
            },
            {} if scored else {"erosion": {"weight": 0.0, "heat_map": 0.0, "shapes": 0.0}},
            current_keys(self.values),
        )
        return replace(build(RunConfig, values), stream=StreamConfig())

    def _check_same(self, place: Path, run: RunConfig, placed: RamW600) -> None:
        """Refuse a folder with a training on other radiographs, whose state would be resumed by mistake."""
        splits = {case.identifier: case.segmentation_split or case.erosion_split for case in placed.cases}
        wanted = {"config": config_hash(run), "splits": splits}
        path = place / _FOLD
        if path.is_file() and json.loads(path.read_text(encoding="utf-8")) != wanted:
            raise DataError(f"{path}: belongs to other data or values; choose another --out, or remove the folder")
        write_text(path, json.dumps(wanted))
