"""Errors that a user can mend, and the helper for optional dependencies."""

from __future__ import annotations

import importlib
from types import ModuleType


class DataError(ValueError):
    """Input that cannot be used; the message names the file and the remedy."""


class StorageError(OSError):
    """A file cannot be written; the message names the folder and the remedy."""


class TrainingError(RuntimeError):
    """Training cannot go on from here; the message says why and what to do. The last state is saved."""


class MissingExtraError(ImportError):
    """An optional dependency is not installed; the message names the extra."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: Module to import.
        extra: Extra of this package that installs it.

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{module} is needed for this; install it with: pip install 'jointwrist[{extra}]'"
        ) from error
