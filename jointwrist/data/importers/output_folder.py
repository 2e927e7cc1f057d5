"""The folder that an import writes."""

from __future__ import annotations

from pathlib import Path

from jointwrist.errors import DataError


def refuse_filled(out: Path) -> None:
    """Refuse a folder that holds something, so that no import is mixed with other data.

    Raises:
        DataError: The folder is not empty, or is a file.
    """
    if out.exists() and not out.is_dir():
        raise DataError(f"{out}: is a file; import into a new folder")
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: is not empty; import into a new folder")
