"""Evaluate trained weights on a dataset: the function behind `jointwrist evaluate`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from accelerate import Accelerator
from accelerate.utils import find_executable_batch_size
from torch import nn
from torch.utils.data import ConcatDataset

from jointwrist.anatomy import JOINT_NAMES, info_anatomy
from jointwrist.config import ConfigError, build, merge_trees
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.label_files import read_families
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.patient_records import recorded_patients
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.config.run_config import RunConfig, StreamConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.processes.session import open_accelerator
from jointwrist.engine.results.case_results import CaseResults
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.run_data.leaks import name_trained, records
from jointwrist.engine.tasks import Task, build_task
from jointwrist.errors import DataError
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.weights.checkpoint import load_weights
from jointwrist.weights.find import find_weights
from jointwrist.weights.model_from_metadata import refuse_other_anatomy

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evaluation:
    """Trained weights and the cases to evaluate them on.

    Attributes:
        accelerator: Processes share the cases.
        path: Weight file.
        model: Network with the weights.
        threshold: Probability from which a joint is called eroded.
        task: Computes per-case results.
        dataset: Items of the task.
        cases: Cases of the dataset that the items come from.
        truths: File with the truth of each phantom, by case.
    """

    accelerator: Accelerator
    path: Path
    model: nn.Module
    threshold: float
    task: Task
    dataset: ConcatDataset
    cases: list[Case]
    truths: Mapping[str, Path]

    def frames(
        self, results: CaseResults, refused: Callable[[DataError], None] | None = None
    ) -> dict[str, pd.DataFrame]:
        """Return per-case results as tables.

        Joints get the column `predicted`, 1 if they are called eroded, and of phantoms whose truth names it, `family`.

        Args:
            results: Results by table.
            refused: Called with the error of a truth that cannot be read, in place of which there is no `family`; None
                raises it.

        Raises:
            DataError: The truth of a phantom cannot be read.
        """
        tables = {name: pd.DataFrame(entries) for name, entries in results.items()}
        if "erosion" in tables:
            erosion = tables["erosion"]
            erosion["predicted"] = call_eroded(erosion["probability"], self.threshold).astype(int)
            families = {}
            for case in sorted(set(erosion["case"]) & set(self.truths)):
                try:
                    families[case] = read_families(self.truths[case])
                except DataError as error:
                    if refused is None:
                        raise
                    refused(error)
            if len(erosion) and erosion["case"].map(families.get).notna().all():
                at = zip(erosion["case"], erosion["joint"], strict=True)
                erosion["family"] = [families[case][JOINT_NAMES.index(joint)] for case, joint in at]
        return tables


def evaluate(
    weights: str | Path,
    data: str | Path,
    split: str = "test",
    config: Mapping[str, Any] | None = None,
    *,
    progress: bool = False,
    refused: Callable[[DataError], None] | None = None,
) -> dict[str, pd.DataFrame]:
    """Evaluate trained weights at the network's own image size, as the paper does.

    A batch that does not fit into memory is made smaller until it does (on a single process).

    Args:
        weights: Weight file, folder of a training run, name of shipped weights, or hub repository.
        data: Folder in the released layout.
        split: "train", "val", "test" or "all".
        config: Values in place of those of the training, such as `{"image_size": 256}`.
        progress: Show a progress bar.
        refused: Called with the error of each radiograph, or joint crop, that cannot be read, which then has no
            results; None raises it.

    Returns:
        Per-case results by table: "segmentation" with a row per case and region, "erosion" with a row per case and
        joint surface; see the page on file formats for the columns. Every process returns all of them.

    Raises:
        ConfigError: A value of the configuration, or the split, is unknown.
        DataError: Weights or data cannot be read, or the weights do not say how they were trained; with `refused`,
            all of the data cannot be read.
    """
    evaluation = open_evaluation(weights, data, split, config)
    accelerator, model = evaluation.accelerator, evaluation.model.to(evaluation.accelerator.device)

    def run(batch_size: int) -> CaseResults:
        return evaluate_model(
            accelerator,
            model,
            evaluation.dataset,
            evaluation.task,
            batch_size=batch_size,
            progress=progress,
            refused=refused,
        )[1]

    batch_size = evaluation.task.config.optim.batch_size
    if accelerator.num_processes == 1:  # several would have to agree on the size
        results = find_executable_batch_size(run, starting_batch_size=batch_size)()
    else:
        results = run(batch_size)
    if not results:
        raise DataError(
            f"{data}: nothing of the split {split} can be read; `jointwrist data check {data}` says what is wrong"
        )
    return evaluation.frames(results, refused)


def open_evaluation(
    weights: str | Path, data: str | Path, split: str = "test", config: Mapping[str, Any] | None = None
) -> Evaluation:
    """Load weights and the cases of a split; warn if the network was trained on patients of the split.

    Args:
        weights: As for `evaluate`.
        data: As for `evaluate`.
        split: As for `evaluate`.
        config: As for `evaluate`.

    Raises:
        ConfigError: A value of the configuration, or the split, is unknown.
        DataError: Weights or data cannot be read, or the weights do not say how they were trained.
    """
    if split not in (*SPLITS, "all"):
        raise ConfigError(f"unknown split {split!r}; choose one of {', '.join(SPLITS)}, all")
    path = find_weights(str(weights))
    model, info = load_weights(path)
    if "config" not in info:
        raise DataError(f"{path}: does not state how it was trained; files of `jointwrist train` and the benchmark do")
    run = build(RunConfig, merge_trees(current_keys(info["config"]), current_keys(config or {})))
    accelerator = open_accelerator(run.precision)
    # the folder is evaluated even if the model was trained on phantoms made on the fly; what training started from is
    # part of the weights and may be absent here
    joint = replace(run.joint, pretrained=())
    run = replace(run, start="", joint=joint, stream=StreamConfig(), cache=False)
    splits = SPLITS if split == "all" else (split,)
    dataset = RamW600.open(Path(data), splits=splits, anatomy=info_anatomy(info) if run.anatomy else None)
    refuse_other_anatomy(path, info, dataset.anatomy)
    run_data = load_run_data(run, dataset, splits, augmented=False)
    tested = {patient for name in splits for patient in run_data.patients[name]}
    trained = recorded_patients([*records(info), *run_data.inherited], tested, run_data.prints)
    if accelerator.is_main_process and trained:
        LOG.warning(name_trained(trained, len(tested)))
    datasets = [getattr(run_data, name) for name in splits]
    return Evaluation(
        accelerator,
        path,
        model,
        info.get("thresholds", {}).get("erosion", 0.5),
        build_task(run, run_data.prior, dataset.anatomy),
        ConcatDataset(datasets),
        [case for dataset in datasets for case in getattr(dataset, "cases", ())],
        {case.identifier: case.truth for case in dataset.cases if case.truth is not None},
    )
