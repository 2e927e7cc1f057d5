"""Adapt weights to your own unlabelled radiographs by a short training, evaluated on held-out radiographs."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import default_collate

from jointwrist.config import ConfigError, build, merge_trees
from jointwrist.data.dataset.layout import refuse_dataset_as_output
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.inherited_config import inherited_config
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import build_model
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.engine.train import train
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.prepare_radiographs import weights_key
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.phantom_dataset import write_phantom
from jointwrist.renamed_names import former_arguments
from jointwrist.studies.calls import (
    Calls,
    choose_calls,
    phantom_probabilities,
    radiograph_probabilities,
    refuse_unscored,
    write_calls,
)
from jointwrist.studies.detectability import Detectability, detectability
from jointwrist.studies.insertion_study import StudyPlan, run_study
from jointwrist.weights.find import weights_source

#: Phantoms and pairs of radiographs in a batch.
_PHANTOMS, _PAIRS = 1, 2
#: Share of the minutes that training may take; the rest is for the two studies.
_TRAINING = 0.7
#: Smallest and largest number of steps, and epochs that they are divided into.
_STEPS, _EPOCHS = (4, 1500), 4
#: Size of the validation split that every training needs; nothing is chosen on it.
_VALIDATION, _VALIDATION_PX = 9, 96
#: Phantoms without erosions for the threshold of a call, at most one a minute.
_CALL_PHANTOMS = 24


@dataclass(frozen=True)
class AdaptPlan:
    """Settings of an adaptation.

    Attributes:
        minutes: Time limit for training and both studies on this machine, without the search for bones.
        held_out: Share of the patients whose radiographs are used for evaluation only.
        false_calls: Rate of false calls for which the threshold is chosen, and at which sensitivity is measured.
        study: Insertions of the evaluation.
        seed: Seed of the split and of the training.
    """

    minutes: float = 30.0
    held_out: float = 0.3
    false_calls: float = 0.1
    study: StudyPlan = field(default_factory=lambda: StudyPlan(radii=(1.0, 2.0)))
    seed: int = 0

    def __post_init__(self):
        """Check the plan.

        Raises:
            ConfigError: A value is out of range.
        """
        if not 0 < self.minutes <= 24 * 60:
            raise ConfigError(f"minutes {self.minutes:g}: give more than 0 and at most 1440")
        for name in ("held_out", "false_calls"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"{name} {getattr(self, name):g}: give a share between 0 and 1, such as 0.1")


@dataclass(frozen=True)
class Adaptation:
    """Result of an adaptation.

    Attributes:
        weights: The new weight file.
        before: Figures of the weights that it started from, on the radiographs that were held out.
        after: Figures of the new weights on the same radiographs and erosions.
        calls: The threshold of the new weights, chosen on the radiographs that were used.
        used: Number of radiographs that were trained on.
        steps: Steps of the training.
    """

    weights: Path
    before: Detectability
    after: Detectability
    calls: Calls
    used: int
    steps: int


@former_arguments(films="radiographs", place="work_folder")
def adapt(
    radiographs: Sequence[Path], start: Path, out: Path, work_folder: Path, plan: AdaptPlan, progress: bool = False
) -> Adaptation:
    """Continue training the erosion head on pairs of radiographs with and without inserted erosions.

    One phantom for every two pairs preserves what was learned from phantoms. An interrupted call continues where the
    last state was saved.

    Args:
        radiographs: Files of prepared radiographs.
        start: Weights of a joint network.
        out: Folder of the new weights.
        work_folder: Folder for radiographs and studies, outside of that of the weights.
        plan: Settings of the adaptation.
        progress: Show progress bars.

    Raises:
        DataError: The radiographs are of one patient only, or the weights score no erosions of wrists.
    """
    info = refuse_unscored(start)
    refuse_dataset_as_output(Path(out))
    used, held = divide(radiographs, plan.held_out, plan.seed)
    before = _measure(start, held, work_folder, plan, progress)
    validation = write_phantom(
        work_folder / "phantoms", _VALIDATION, _VALIDATION_PX, config=PhantomConfig(size=_VALIDATION_PX), workers=1
    )
    values = _values(info, start, _linked(used, work_folder / "used"), plan)
    steps = _steps(values, info["model"], validation, work_folder / "steps.json", plan)
    wrists = -(-steps * _PHANTOMS // _EPOCHS)
    trained = train(
        info["model"], validation, out, merge_trees(values, {"stream": {"wrists": wrists}}), progress=progress
    )
    predictor = Predictor.from_pretrained(trained.weights, score_out_of_scope=True)
    phantoms = phantom_probabilities(min(_CALL_PHANTOMS, int(plan.minutes)), predictor)
    # training lowers the probabilities of uneroded joints more on its own radiographs than on others
    calls = choose_calls(radiograph_probabilities(held, predictor), phantoms, plan.false_calls)
    write_calls(trained.weights, calls, trained.weights)
    after = _measure(trained.weights, held, work_folder, plan, progress)
    return Adaptation(trained.weights, before, after, calls, len(used), steps)


@former_arguments(films="radiographs")
def divide(radiographs: Sequence[Path], share: float, seed: int) -> tuple[list[Path], list[Path]]:
    """Split prepared radiographs by patient into training and held-out ones.

    Raises:
        DataError: The radiographs are of one patient only.
    """
    patients = {path: PreparedRadiograph.read(path).patient for path in radiographs}
    order = sorted(set(patients.values()), key=lambda patient: hashlib.sha256(f"{seed} {patient}".encode()).digest())
    if len(order) < 2:
        raise DataError(
            "the radiographs belong to one patient; at least two are needed, one of whom is held out for evaluation"
        )
    held = set(order[: min(max(round(share * len(order)), 1), len(order) - 1)])
    return [p for p in radiographs if patients[p] not in held], [p for p in radiographs if patients[p] in held]


def _measure(weights: Path, held: Sequence[Path], work_folder: Path, plan: AdaptPlan, progress: bool) -> Detectability:
    predictor = Predictor.from_pretrained(weights, score_out_of_scope=True)
    rows = run_study(held, predictor, plan.study, work_folder / f"study-{weights_key(weights)}", progress=progress)
    return detectability(rows, plan.false_calls)


def _linked(radiographs: Sequence[Path], folder: Path) -> Path:
    """Return a folder with exactly these radiographs, linked rather than copied where the file system allows it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for radiograph in radiographs:
        try:
            os.link(radiograph, folder / radiograph.name)
        except OSError:
            shutil.copyfile(radiograph, folder / radiograph.name)
    return folder


def _values(info: Mapping[str, Any], start: Path, prepared: Path, plan: AdaptPlan) -> dict[str, Any]:
    """Return the weights' configuration, changed to train the erosion head alone on real radiographs in small steps."""
    known = inherited_config(info.get("config", {}))
    stored = {key: value for key, value in known.items() if key not in ("model", "task", "joint")}
    batch = _PHANTOMS + 2 * _PAIRS
    changed = {
        "protocol": "adapt",
        "seed": plan.seed,
        "start": weights_source(start),
        "options": info["options"],
        "image_size": info["image_size"],
        "detail_size": info.get("detail_size", 0),
        "workers": 1,
        "cache": False,
        "joint": {"trained": "erosion", "segmentation_warmup": 0.0, "teacher_forcing": 0.0},
        # the calibration of the starting weights is kept, and the threshold is chosen on real bone
        "erosion": {"threshold": "argmax", "pixel_truth": True},
        "optim": {
            "epochs": _EPOCHS, "batch_size": batch, "lr": 4e-4, "warmup": 0.1, "schedule": "step", "ema": 0.98,
            "clip_norm": 5.0, "patience": 0, "select": "last", "accumulate": 1, "save_minutes": 2.0,
        },
        "radiographs": {"folder": str(prepared.resolve()), "share": 2 * _PAIRS / batch},
    }  # fmt: skip
    return merge_trees(stored, changed)


def _steps(values: dict[str, Any], model: str, phantoms: Path, record: Path, plan: AdaptPlan) -> int:
    """Return the number of steps that the time limit allows; it is stored for an interrupted run."""
    asked = json.loads(json.dumps(asdict(plan)))
    if record.is_file():
        kept = json.loads(record.read_text(encoding="utf-8"))
        if kept["plan"] == asked:
            return int(kept["steps"])
    config = build(RunConfig, {**values, "model": model, "task": "joint", "workers": 0, "stream": {
        **values.get("stream", {}), "wrists": 2 * _PHANTOMS}})  # fmt: skip
    data = load_run_data(config, RamW600.open(phantoms, splits=("train", "val")), ("train", "val"))
    task, network = build_task(replace(config, start=""), data.prior), build_model(config).train()
    seconds = []
    for batch in data.batches:
        begun = time.monotonic()
        prepared = task.prepare(default_collate([data.train[index] for index in batch]), training=True)
        task.losses(network, prepared, StepContext(0.5))["loss"].backward()
        seconds.append(time.monotonic() - begun)
    torch.manual_seed(plan.seed)
    # the first step also compiles kernels
    steps = int(min(max(_TRAINING * 60 * plan.minutes / min(seconds), _STEPS[0]), _STEPS[1]))
    write_text(record, json.dumps({"plan": asked, "steps": steps}))
    return steps
