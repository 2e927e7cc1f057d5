"""Name files that are given as weights but are something else."""

from __future__ import annotations

import zipfile
from pathlib import Path

_PROGRAM = "is an exported program; give the weights that it was exported from"


def why_no_weights(path: Path) -> str:
    """Say what a file is that is no weight file of this package, and the remedy."""
    if path.suffix == ".onnx":
        return _PROGRAM
    try:
        with zipfile.ZipFile(path) as archive:
            names = {Path(name).name for name in archive.namelist()}
    except (OSError, ValueError, zipfile.BadZipFile):
        names = set()
    if "archive_format" in names or "serialized_exported_program.json" in names:  # as torch.export.save writes them
        return _PROGRAM
    return "holds no jointwrist model; convert it with `jointwrist models convert`"
