"""Choose the training, validation and test cases of a run by task and configuration."""

from __future__ import annotations

from collections.abc import Collection

from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.joint_split import joint_split
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig


def choose_cases(
    config: RunConfig, dataset: RamW600, splits: Collection[str]
) -> tuple[dict[str, list[Case]], tuple[str, ...]]:
    """Choose the cases of every split for the task of a run.

    Args:
        config: Configuration of the run; phantoms made on the fly take the place of the training cases.
        dataset: The data.
        splits: Splits that are needed.

    Returns:
        Cases by split, of all splits so that their patients are known, and notes on those that are needed.
    """
    if config.task == "joint":
        joint = {name: joint_split(dataset, name) for name in SPLITS}
        listed = {name: list(split.cases) for name, split in joint.items()}
        if config.joint.doubly_labelled:
            listed["train"] = [case for case in listed["train"] if case.mask is not None and max(case.scores) >= 0]
        notes = tuple(joint[name].summary() for name in SPLITS if name in splits)
    else:
        select = dataset.erosion if config.task == "erosion" else dataset.segmentation
        listed, notes = {name: select(name) for name in SPLITS}, ()
    if config.stream.wrists:
        listed["train"] = []
    return listed, notes
