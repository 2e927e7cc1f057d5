"""The files of a folder, without what operating systems leave there."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path


def visible_files(folder: Path) -> Iterable[Path]:
    """Yield the files of a folder and those in it, sorted; hidden ones and those that macOS adds are left out."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if is_visible(name) and name != "__MACOSX")
        yield from (Path(place, name) for name in sorted(names) if is_visible(name))


def is_visible(name: str) -> bool:
    """Whether a file or folder of this name is not hidden, as macOS hides `._case_L.json` beside `case_L.json`."""
    return not name.startswith(".")
