"""What commands print, and how they end."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence

from jointwrist.text import printable

#: Exit codes of a command ended by Ctrl-C, and of one whose output pipe was closed, as shells number them.
INTERRUPTED, BROKEN_PIPE = 130, 141


class UsageError(ValueError):
    """The command line requests something that does not exist or cannot be done."""


def complain(error: Exception | str) -> None:
    """Write one line to the standard error; an error of the file system begins with the file, as all others do."""
    known = isinstance(error, OSError) and error.filename and error.strerror
    text = f"{error.filename}: {error.strerror}" if known else str(error)
    print(f"jointwrist: {printable(' '.join(text.split()))}", file=sys.stderr)


class _PrintLog(logging.Handler):
    """Print what the library logs: notes on the standard output, warnings and errors on the standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            complain(record.getMessage())
        else:
            print(printable(record.getMessage()), flush=True)


def print_log() -> None:
    """Print what the engine logs from now on; the library itself is silent."""
    log = logging.getLogger("jointwrist.engine")
    if not any(isinstance(handler, _PrintLog) for handler in log.handlers):
        log.addHandler(_PrintLog())
        log.setLevel(logging.INFO)


def is_main_process() -> bool:
    """Whether this is the process that prints and writes files, out of those that a launcher started."""
    return int(os.environ.get("RANK", "0")) == 0


def announce(text: str) -> None:
    """Announce the work on standard error before the imports, which take seconds."""
    if is_main_process():
        print(f"{printable(text)} ...", file=sys.stderr, flush=True)


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Format rows as aligned columns; those in `right` are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{'>' if i in right else '<'}{width}}}" for i, width in enumerate(widths))
    return "\n".join(form.format(*row).rstrip() for row in rows)
