"""Faults of a data folder: raised one at a time by the reader, collected by the checker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from jointwrist.errors import DataError


@dataclass(frozen=True)
class Fault:
    """Something wrong with one file.

    Attributes:
        kind: Name of the fault, the same for every file that has it.
        path: The file or folder.
        message: What is wrong and what to do.
        severity: "error" if the reader refuses the file or results would be wrong, else "warning".
    """

    kind: str
    path: Path
    message: str
    severity: str = "error"


#: What a reader does with a fault that it meets.
Report = Callable[[Fault], None]


class FaultError(DataError):
    """A fault as an exception. Its only argument is the message, so that it passes between processes."""

    fault: Fault | None = None


def refuse(fault: Fault) -> None:
    """Raise an error, let a warning pass.

    Raises:
        FaultError: The fault is an error.
    """
    if fault.severity == "error":
        error = FaultError(f"{fault.path}: {fault.message}")
        error.fault = fault
        raise error
