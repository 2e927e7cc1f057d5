"""Bone segmentation and erosion scoring of wrist radiographs in one network.

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from jointwrist.renamed_modules import FormerNames

if TYPE_CHECKING:
    from jointwrist.data.batches.ram_w600_datasets import RamW600Erosion, RamW600Joint, RamW600Segmentation
    from jointwrist.data.dataset.case import Case, load_crop, load_sample
    from jointwrist.data.dataset.ram_w600 import RamW600
    from jointwrist.data.load import load_radiograph
    from jointwrist.engine.evaluate_weights import evaluate
    from jointwrist.engine.train import TrainedModel, train
    from jointwrist.inference.comparison import Comparison, compare
    from jointwrist.inference.predictor import Predictor
    from jointwrist.inference.result import WristResult
    from jointwrist.metrics.erosion import erosion_metrics
    from jointwrist.metrics.segmentation import case_metrics, overlap_metrics
    from jointwrist.ops.scan.dispatch import selective_scan
    from jointwrist.registry import create_model, list_models, model_spec, register_model

__version__ = "0.1.0"

__all__ = [
    "Case",
    "Comparison",
    "Predictor",
    "RamW600",
    "RamW600Erosion",
    "RamW600Joint",
    "RamW600Segmentation",
    "TrainedModel",
    "WristResult",
    "__version__",
    "case_metrics",
    "compare",
    "create_model",
    "erosion_metrics",
    "evaluate",
    "list_models",
    "load_crop",
    "load_radiograph",
    "load_sample",
    "model_spec",
    "overlap_metrics",
    "register_model",
    "selective_scan",
    "train",
]

#: Where the public names are loaded from.
_MODULES = {
    "jointwrist.data.batches.ram_w600_datasets": ("RamW600Erosion", "RamW600Joint", "RamW600Segmentation"),
    "jointwrist.data.dataset.case": ("Case", "load_crop", "load_sample"),
    "jointwrist.data.dataset.ram_w600": ("RamW600",),
    "jointwrist.data.load": ("load_radiograph",),
    "jointwrist.engine.evaluate_weights": ("evaluate",),
    "jointwrist.engine.train": ("TrainedModel", "train"),
    "jointwrist.inference.comparison": ("Comparison", "compare"),
    "jointwrist.inference.predictor": ("Predictor",),
    "jointwrist.inference.result": ("WristResult",),
    "jointwrist.metrics.erosion": ("erosion_metrics",),
    "jointwrist.metrics.segmentation": ("case_metrics", "overlap_metrics"),
    "jointwrist.ops.scan.dispatch": ("selective_scan",),
    "jointwrist.registry": ("create_model", "list_models", "model_spec", "register_model"),
}
sys.meta_path.insert(0, FormerNames())  # first: a submodule of a renamed package is a file of the present one
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
