"""The models of the RAM-W600 benchmark; importing this package enters them into the registry."""

from __future__ import annotations

import importlib

from baselines.official import load_official_state

__all__ = ["load_official_state"]

MODULES = (
    "segmentation.monai_nets",
    "segmentation.smp_nets",
    "segmentation.umamba",
    "segmentation.swin_umamba",
    "segmentation.transunet",
    "segmentation.swin_unet",
    "segmentation.ukan",
    "classification.convkan",
    "classification.medmamba",
    "classification.monai_nets",
    "classification.timm_nets",
    "foundation.sam",
)

for _module in MODULES:
    importlib.import_module(f"baselines.{_module}")
