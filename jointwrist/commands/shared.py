"""What several commands have in common."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jointwrist.text import printable

if TYPE_CHECKING:
    from jointwrist.registry import ModelSpec


class UsageError(ValueError):
    """The command line asks for something that does not exist."""


def complain(error: Exception | str) -> None:
    """Write one line to the standard error."""
    print(f"jointwrist: {printable(' '.join(str(error).split()))}", file=sys.stderr)


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
    """Whether this is the process that prints and writes files, of those that a launcher started."""
    return int(os.environ.get("RANK", "0")) == 0


def known_model(name: str) -> ModelSpec:
    """Return what the registry knows of a model.

    Raises:
        UsageError: No model has this name; the message suggests the nearest ones.
    """
    from jointwrist.registry import model_spec

    try:
        return model_spec(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Set rows as aligned columns; those in `right` flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{'>' if i in right else '<'}{width}}}" for i, width in enumerate(widths))
    return "\n".join(form.format(*row).rstrip() for row in rows)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Take `--weights`."""
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weight file, folder of a training run, name of shipped weights, or hub repository (default: %(default)s)",
    )


def add_side(parser: argparse.ArgumentParser) -> None:
    """Take `--side`."""
    parser.add_argument(
        "--side", choices=("L", "R"), help="hand on the radiographs; a DICOM header that names one stands"
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Take `--device`."""
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")


def add_field(parser: argparse.ArgumentParser) -> None:
    """Take `--field`."""
    parser.add_argument(
        "--field",
        choices=("auto", "whole"),
        default="auto",
        help="auto finds the wrist on images of a whole hand or of both, and refuses images without one; whole takes"
        " every radiograph as it is (default: %(default)s)",
    )


def add_turn(parser: argparse.ArgumentParser) -> None:
    """Take `--turn`."""
    parser.add_argument(
        "--turn",
        type=_turn,
        metavar="auto|0|90|180|270",
        help="degrees clockwise by which the images must be turned for the fingers to point upwards; auto tries the"
        " others where no wrist is found on a radiograph as it lies (default: auto)",
    )


def add_window(parser: argparse.ArgumentParser) -> None:
    """Take `--window`."""
    parser.add_argument(
        "--window",
        type=counted,
        default=0,
        metavar="N",
        help="which of several windows or VOI LUTs of a DICOM radiograph, 0 is the first (default: %(default)s)",
    )


def positive(text: str) -> int:
    """Read a number that is at least 1."""
    return _at_least(1, text)


def counted(text: str) -> int:
    """Read a number that is at least 0."""
    return _at_least(0, text)


def _turn(text: str) -> int | None:
    if text not in ("auto", "0", "90", "180", "270"):
        raise argparse.ArgumentTypeError(f"{text} is not auto, 0, 90, 180 or 270")
    return None if text == "auto" else int(text)


def _at_least(least: int, text: str) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
    return number
