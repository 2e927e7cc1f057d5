"""The single-task models of the RAM-W600 benchmark, installed as `jointwrist_baselines`.

Importing the package enters them into the registry of jointwrist, which finds it by its entry point in
`pyproject.toml`.
"""

from __future__ import annotations

import importlib

if __name__ != "jointwrist_baselines":
    raise ImportError("import jointwrist_baselines: the folder `baselines` is installed under that name")

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
    importlib.import_module(f".{_module}", __name__)
