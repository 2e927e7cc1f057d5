"""Options, messages and tables that several commands share."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jointwrist.text import printable

if TYPE_CHECKING:
    from jointwrist.inference.predictor import Predictor
    from jointwrist.registry import ModelSpec


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


def known_model(name: str) -> ModelSpec:
    """Return the registry's entry of a model.

    Raises:
        UsageError: No model has this name; the message suggests the nearest ones.
    """
    from jointwrist.registry import model_spec

    try:
        return model_spec(name)
    except ValueError as error:
        raise UsageError(str(error)) from None


def columns(rows: Sequence[Sequence[str]], right: Sequence[int] = ()) -> str:
    """Format rows as aligned columns; those in `right` are flush right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    form = "  ".join(f"{{:{'>' if i in right else '<'}{width}}}" for i, width in enumerate(widths))
    return "\n".join(form.format(*row).rstrip() for row in rows)


class OldName(argparse.Action):
    """Accept an option by its former name for one more version, with a warning that names the new one.

    Args:
        new: The new option, as it is written on the command line.
    """

    def __init__(self, *arguments: Any, new: str, **keywords: Any):
        super().__init__(*arguments, default=argparse.SUPPRESS, help=argparse.SUPPRESS, **keywords)
        self.new = new

    def __call__(self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None):
        """Store the value for the new option."""
        complain(f"warning: {option_string} is now called {self.new}")
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)


def add_predictor(parser: argparse.ArgumentParser) -> None:
    """Add the options of `load_predictor`."""
    parser.add_argument(
        "-w",
        "--weights",
        default="jointwrist_tiny",
        help="weight file, folder of a training run, name of weights that come with the package, or Hugging Face"
        " repository (default: %(default)s)",
    )
    add_device(parser)
    parser.add_argument(
        "--engine",
        choices=("auto", "torch", "onnx"),
        default="auto",
        help="engine that runs the network: PyTorch, or onnxruntime, which starts in a fraction of the time and"
        " memory; `onnx` exports the weights once; auto uses onnxruntime on a CPU if it is installed and the"
        " exported program exists, as for the weights that come with the package (default: %(default)s)",
    )
    add_field(parser)
    parser.add_argument(
        "--rotation",
        type=_rotation,
        metavar="auto|0|90|180|270",
        help="degrees clockwise by which radiographs must be rotated for the fingers to point upwards; auto tries the"
        " other rotations if no wrist is found in the stored orientation (default: auto)",
    )
    parser.add_argument("--turn", dest="rotation", type=_rotation, action=OldName, new="--rotation")


def add_scope(parser: argparse.ArgumentParser) -> None:
    """Add `--score-out-of-scope`."""
    parser.add_argument(
        "--score-out-of-scope",
        action="store_true",
        help="also score joint surfaces outside the scope of the weights (fused bones, growth plates, casts, implants,"
        " other projections) and those on coarse radiographs, whose scores are withheld otherwise; results name them"
        " either way",
    )


def load_predictor(arguments: argparse.Namespace, score_out_of_scope: bool = False) -> Predictor:
    """Load the predictor that the options of `add_predictor` describe; see `Predictor` for `score_out_of_scope`."""
    from jointwrist.inference.predictor import Predictor

    return Predictor.from_pretrained(
        arguments.weights,
        arguments.device,
        engine=arguments.engine,
        localise=arguments.field == "auto",
        rotation=arguments.rotation,
        score_out_of_scope=score_out_of_scope,
    )


def prepared_radiographs(
    folder: Path,
    work_folder: Path,
    weights: str | Path,
    side: str | None = None,
    exclude: Path | None = None,
    **options: Any,
) -> list[Path]:
    """Find the bones on the radiographs of a folder, and return the files of the prepared radiographs.

    Args:
        folder: Folder of radiographs without labels.
        work_folder: Folder of prepared radiographs.
        weights: Weights that find the bones.
        side: Hand on the radiographs.
        exclude: Folder within that is not searched.
        **options: Options of `Predictor.from_pretrained`.

    Raises:
        DataError: There are no radiographs, none of them shows a wrist, or the results are to be written among them.
    """
    from jointwrist.data.find_radiographs import find_radiographs
    from jointwrist.errors import DataError
    from jointwrist.inference.predictor import Predictor
    from jointwrist.inference.prepare_radiographs import prepare_radiographs
    from jointwrist.weights.find import find_weights

    if exclude is not None and folder.resolve() == exclude.resolve():
        raise DataError(
            f"{folder}: holds the radiographs, of which pictures of the results would be taken for some; choose"
            " another --out"
        )
    found = list(find_radiographs([folder], exclude))
    predictor = Predictor.from_pretrained(weights, **options)
    file = find_weights(weights)
    prepared = prepare_radiographs(found, work_folder, predictor, file, side, complain, progress=is_main_process())
    if not prepared:
        raise DataError(
            f"{folder}: no radiograph shows a wrist with all of its carpal bones, for the reasons above; give others"
        )
    return prepared


def add_side(parser: argparse.ArgumentParser) -> None:
    """Add `--side`."""
    parser.add_argument(
        "--side",
        choices=("L", "R"),
        help="hand on the radiographs; a DICOM header that states the side takes precedence",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add `--device`."""
    parser.add_argument("--device", help="such as cpu or cuda:1 (default: a GPU if there is one)")


def add_field(parser: argparse.ArgumentParser) -> None:
    """Add `--field`."""
    parser.add_argument(
        "--field",
        choices=("auto", "whole"),
        default="auto",
        help="auto finds the wrist on radiographs of a whole hand or of both hands and refuses radiographs without one;"
        " whole uses every radiograph without looking for the wrist (default: %(default)s)",
    )


def add_window(parser: argparse.ArgumentParser) -> None:
    """Add `--window`."""
    parser.add_argument(
        "--window",
        type=counted,
        default=0,
        metavar="N",
        help="index of the window or VOI LUT of a DICOM radiograph that has several (default: %(default)s)",
    )


def add_spacing(parser: argparse.ArgumentParser) -> None:
    """Add `--spacing`."""
    parser.add_argument(
        "--spacing",
        type=spacing,
        metavar="MM",
        help="width of a pixel of radiographs that state none, for lengths and areas in mm",
    )


def spacing(text: str) -> float:
    """Read a pixel spacing in mm."""
    from jointwrist.data.spacing import SPACING_RANGE, parse_spacing

    value = float(text)
    if parse_spacing(value) is None:
        low, high = SPACING_RANGE
        raise argparse.ArgumentTypeError(f"{text} is not a pixel spacing from {low:g} to {high:g} mm")
    return value


def probability(text: str) -> float:
    """Parse a probability."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not a probability from 0 to 1")
    return value


def seed_number(text: str) -> int:
    """Parse the seed of a random generator."""
    value = counted(text)
    if value >= 2**32:
        raise argparse.ArgumentTypeError(f"{text} is not below {2**32}")
    return value


def positive(text: str) -> int:
    """Parse an integer of at least 1."""
    return _at_least(1, text)


def counted(text: str) -> int:
    """Parse an integer of at least 0."""
    return _at_least(0, text)


def _rotation(text: str) -> int | None:
    if text not in ("auto", "0", "90", "180", "270"):
        raise argparse.ArgumentTypeError(f"{text} is not auto, 0, 90, 180 or 270")
    return None if text == "auto" else int(text)


def _at_least(least: int, text: str) -> int:
    number = int(text)
    if number < least:
        raise argparse.ArgumentTypeError(f"{text} is not at least {least}")
    return number
