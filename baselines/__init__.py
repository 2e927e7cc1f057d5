"""The models of the RAM-W600 benchmark; importing this package enters them into the registry."""

from __future__ import annotations

import importlib

MODULES = (
    "segmentation.monai_nets",
    "segmentation.umamba",
    "segmentation.swin_umamba",
    "classification.medmamba",
    "classification.timm_nets",
    "foundation.sam",
)

for _module in MODULES:
    importlib.import_module(f"baselines.{_module}")
