"""Describe machine, revision and versions, for the records of measurements and trainings."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from jointwrist import __version__
from jointwrist.ops.scan.dispatch import choose_backend

#: Packages that results depend on.
PACKAGES = (
    "torch", "torchvision", "timm", "kornia", "accelerate", "numpy", "monai", "segmentation-models-pytorch",
    "transformers",
)  # fmt: skip


def machine() -> str:
    """Name the processor, or the GPU if there is one."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    information = Path("/proc/cpuinfo")
    text = information.read_text(encoding="utf-8") if information.is_file() else ""
    named = re.search(r"model name\s*:\s*(.+)", text)
    return f"{named.group(1).strip() if named else platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def revision(folder: Path = Path(__file__).parent) -> str:
    """Return the commit of a repository, by default this one, with `-dirty` appended if tracked files differ.

    The result is `unknown` for an installed copy, even if it is inside another repository.
    """
    commit = ["git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty"]
    try:
        tracked, described = (
            subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout.strip()
            for command in (["git", "ls-files"], commit)
        )
    except OSError:
        return "unknown"
    return described if tracked and described else "unknown"


def environment(accelerator: Accelerator) -> dict[str, Any]:
    """Versions, revision, machine and scan backend, for the record of a job."""
    return {
        "jointwrist": __version__,
        "revision": revision(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "python": platform.python_version(),
        "machine": machine(),
        "scan": choose_backend("auto", accelerator.device, torch.float32),
        "processes": accelerator.num_processes,
        "threads": torch.get_num_threads(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
