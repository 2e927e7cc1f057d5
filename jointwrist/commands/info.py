"""`jointwrist selftest` and `jointwrist info`: check the computations of this machine, and list what is installed."""

from __future__ import annotations

import argparse
import json
from typing import Any

from jointwrist import __version__
from jointwrist.commands.messages import UsageError
from jointwrist.commands.options import add_device
from jointwrist.text import number_of


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the two commands."""
    parser = commands.add_parser(
        "selftest",
        help="check that this machine computes correctly",
        description="Check every scan backend against a reference, the metrics, a short training run, and the stored"
        " results of the weights that come with the package.",
    )
    add_device(parser)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="CHECK",
        help="checks to run, by the names that are printed, such as weights (default: all)",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=selftest)
    info = commands.add_parser(
        "info", help="print versions, devices, installed extras, and the names of bones and joint surfaces"
    )
    info.add_argument("--json", action="store_true", help="print JSON")
    info.set_defaults(run=show_info)


def selftest(arguments: argparse.Namespace) -> int:
    """Check that this machine computes correctly."""
    from jointwrist import selftest

    only = arguments.only or selftest.NAMES
    if unknown := [name for name in only if name not in selftest.NAMES]:
        raise UsageError(f"no check {unknown[0]!r}; choose among {', '.join(selftest.NAMES)}")
    return selftest.run(arguments.device, arguments.json, only)


def show_info(arguments: argparse.Namespace) -> int:
    """Print versions, devices, extras, bones and joint surfaces."""
    facts = collect_info()
    if arguments.json:
        print(json.dumps(facts, indent=1))
        return 0
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name} {item}" for name, item in value.items())
        print(f"{key:10}{', '.join(value) if isinstance(value, list) else value}")
    return 0


def collect_info() -> dict[str, Any]:
    """Return versions, devices, extras, bones and joint surfaces as JSON values."""
    import platform
    from importlib.metadata import version
    from importlib.util import find_spec

    import torch

    from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES

    extras = {
        "baselines": ("monai", "segmentation_models_pytorch", "transformers"),
        "dicom": ("highdicom", "openjpeg", "jpeg_ls"),
        "gpl-codecs": ("libjpeg",),
        "cuda": ("selective_scan_cuda",),
        "export": ("onnx", "onnxruntime", "onnxscript"),
        "tracking": ("tensorboard",),
    }
    gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    return {
        "version": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "torchvision", "timm", "kornia", "accelerate")},
        "devices": [f"CPU, {number_of(torch.get_num_threads(), 'thread')}", *gpus],
        "extras": {
            extra: "installed" if all(find_spec(module) for module in modules) else "missing"
            for extra, modules in extras.items()
        },
        "bones": list(BONE_NAMES),
        "joints": list(JOINT_NAMES),
    }
