"""Tasks turn a batch into named losses in training, and into per-case results in evaluation."""

from __future__ import annotations

from torch import Tensor

from jointwrist.anatomy import WRIST, Anatomy
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.tasks.base import Task
from jointwrist.engine.tasks.crop_classification import ErosionTask
from jointwrist.engine.tasks.joint import JointTask
from jointwrist.engine.tasks.pretraining import PretrainingTask
from jointwrist.engine.tasks.segmentation import FoundationTask, SegmentationTask

__all__ = ["ErosionTask", "FoundationTask", "JointTask", "PretrainingTask", "SegmentationTask", "Task", "build_task"]


def build_task(config: RunConfig, prior: Tensor | None = None, anatomy: Anatomy = WRIST) -> Task:
    """Return the task that a configuration names, for the bones and joints of an anatomy."""
    if config.task == "joint":
        return JointTask(config, prior, anatomy)
    tasks = {
        "segmentation": SegmentationTask,
        "erosion": ErosionTask,
        "foundation": FoundationTask,
        "pretraining": PretrainingTask,
    }
    return tasks[config.task](config, anatomy)
