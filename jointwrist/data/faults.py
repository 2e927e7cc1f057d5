"""Faults of a dataset folder: the reader raises the first one, the checker collects all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jointwrist.errors import DataError


@dataclass(frozen=True)
class Fault:
    """Something wrong with one file.

    Attributes:
        kind: Name of this kind of fault.
        path: The file or folder.
        message: What is wrong and what to do.
        severity: "error" if the reader refuses the file or results would be wrong, otherwise "warning".
    """

    kind: str
    path: Path
    message: str
    severity: str = "error"


#: Called with every fault that a reader finds.
Report = Callable[[Fault], None]


class FaultError(DataError):
    """A fault as an exception, with the message as its only argument, so that it can be pickled between processes."""

    fault: Fault | None = None


def refuse(fault: Fault) -> None:
    """Raise an error, ignore a warning.

    Raises:
        FaultError: The fault is an error.
    """
    if fault.severity == "error":
        error = FaultError(f"{fault.path}: {fault.message}")
        error.fault = fault
        raise error
