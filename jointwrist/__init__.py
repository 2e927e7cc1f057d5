"""Bone segmentation and erosion scoring of wrist radiographs in one network.

The names below are loaded on first use, so that importing the package costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jointwrist.inference.predictor import Predictor, WristResult
    from jointwrist.registry import create_model, list_models, model_spec

__version__ = "0.1.0"

__all__ = ["Predictor", "WristResult", "__version__", "create_model", "list_models", "model_spec"]

_HOMES = {
    "Predictor": "jointwrist.inference.predictor",
    "WristResult": "jointwrist.inference.predictor",
    "create_model": "jointwrist.registry",
    "list_models": "jointwrist.registry",
    "model_spec": "jointwrist.registry",
}


def __getattr__(name: str):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
