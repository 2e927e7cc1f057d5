"""Exceptions with messages for users, and the import of optional dependencies."""

from __future__ import annotations

import importlib
from types import ModuleType


class DataError(ValueError):
    """Invalid input; the message names the file and the remedy."""


class StorageError(OSError):
    """A file that cannot be written; the message names the folder and the remedy."""


class TrainingError(RuntimeError):
    """Training that cannot continue; the message says why and what to do. The last state is saved."""


class MissingExtraError(ImportError):
    """A missing optional dependency; the message names the extra that installs it."""


def require(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Args:
        module: Module to import.
        extra: Extra of jointwrist that installs it.

    Raises:
        MissingExtraError: The module is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(
            f"{module} is needed for this; install it, in the checkout, with: pip install -e '.[{extra}]'"
        ) from error
