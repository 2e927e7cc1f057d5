"""Records in a weight file: training data and validation figures."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jointwrist.anatomy import NOT_SCORED
from jointwrist.data.dataset.case import Case
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.insertion.prepared_radiograph import list_prepared
from jointwrist.weights.checkpoint import read_info
from jointwrist.weights.find import find_checkpoint, find_weights
from jointwrist.weights.training_history import TrainingData, TrainingHistory


def inherited_info(config: RunConfig) -> list[dict[str, Any]]:
    """Return the metadata of the networks that a run builds on: `joint.pretrained`, `joint.segmenter` and `start`.

    Encoder weights of other programs, such as ImageNet's, have none and are left out.

    Raises:
        DataError: A weight file cannot be read or fetched.
    """
    files = [find_checkpoint(source) for source in config.joint.pretrained]
    files += [find_weights(source) for source in (config.joint.segmenter, config.start) if source]
    return [info for info in map(read_info, files) if info is not None]


def inherited_history(config: RunConfig) -> tuple[TrainingData, ...]:
    """Return the training data of the networks that a run builds on.

    Raises:
        DataError: A weight file cannot be read or fetched.
    """
    return tuple(data for info in inherited_info(config) for data in TrainingHistory.of(info).data)


def run_history(config: RunConfig, cases: Sequence[Case], phantom: bool, epochs: int) -> tuple[TrainingData, ...]:
    """Return the training data of the run itself.

    Args:
        config: Configuration of the run.
        cases: Its training cases; none where phantoms are made on the fly.
        phantom: Whether the cases are phantoms.
        epochs: Finished epochs.
    """
    masked = config.task != "erosion" and config.joint.trained == "all"
    scored = config.task == "erosion" or (config.task == "joint" and config.erosion.weight > 0)
    if config.stream.wrists:
        wrists = config.stream.wrists * epochs
        masks, scores, phantom = wrists, wrists, True
    else:
        counts = training_record(cases, phantom)
        wrists, masks, scores = (counts[key] for key in ("wrists", "masks", "scores"))
    scores *= scored
    erosions = ("phantom" if phantom else "scored") if scores else "none"
    data = (TrainingData("phantoms" if phantom else "radiographs", wrists, masks * masked, scores, erosions),)
    if config.radiographs.folder:
        prepared = len(list_prepared(Path(config.radiographs.folder)))
        data += (TrainingData("radiographs", prepared, 0, prepared, "inserted"),)
    if config.radiographs.own and not phantom:
        masked = sum(case.mask is not None for case in cases)
        data += (TrainingData("radiographs", masked, 0, masked, "inserted"),)
    return data


def training_record(cases: Sequence[Case], phantom: bool) -> dict[str, Any]:
    """Count the training data.

    Args:
        cases: Training cases of the run.
        phantom: Whether they were made by `jointwrist data phantom`.

    Returns:
        `phantom`; the numbers of `wrists`, of those with `masks` and with `scores`, and of `patients`; and of scored
        `joints` and the `eroded` ones among them.
    """
    scores = [score for case in cases for score in case.scores or () if score != NOT_SCORED]
    return {
        "phantom": phantom,
        "wrists": len(cases),
        "masks": sum(case.mask is not None for case in cases),
        "scores": sum(any(score != NOT_SCORED for score in case.scores or ()) for case in cases),
        "patients": len({case.patient for case in cases}),
        "joints": len(scores),
        "eroded": sum(score > 0 for score in scores),
    }


def validation_record(epoch_figures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of the epoch whose weights a run keeps, with 1 for the first epoch.

    Args:
        epoch_figures: Figures by epoch, `selected_by` among them.

    Returns:
        `epoch`; where masks were measured, `dsc` and `nsd`, means over bones and wrists; where joints were scored,
        `auroc`; and `loss`.
    """
    chosen = min(epoch_figures, key=lambda figures: figures["selected_by"])
    names = ("dsc", "nsd", "auroc", "loss")
    figures = {name: chosen[f"val_{name}"] for name in names if not math.isnan(chosen.get(f"val_{name}", math.nan))}
    return {"epoch": chosen["epoch"] + 1, **figures}
