"""The anatomy of a dataset, in its `anatomy.yaml`; a folder without one holds wrists."""

from __future__ import annotations

from pathlib import Path

from jointwrist.anatomy import WRIST, Anatomy, load_anatomy, to_yaml
from jointwrist.config import ConfigError
from jointwrist.data.dataset import layout
from jointwrist.errors import DataError
from jointwrist.files import write_text


def folder_anatomy(root: Path, stated: Anatomy | None = None) -> Anatomy:
    """Return the anatomy of a dataset.

    Args:
        root: Folder of the dataset.
        stated: Anatomy stated by the user, or None.

    Raises:
        DataError: The file is faulty, or holds another anatomy than the stated one.
    """
    path = root / layout.ANATOMY
    if not path.is_file():
        return stated or WRIST
    try:
        found = load_anatomy(path)
    except ConfigError as error:
        raise DataError(str(error)) from None
    if stated is not None and stated.structure != found.structure:
        raise DataError(
            f"{path}: is the anatomy {found.name}, not the {stated.name} that was asked for; use one of them"
        )
    return found


def write_anatomy(root: Path, anatomy: Anatomy) -> None:
    """Write the anatomy of a dataset; that of the wrist needs no file."""
    if anatomy != WRIST:
        write_text(root / layout.ANATOMY, to_yaml(anatomy))
