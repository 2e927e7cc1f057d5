"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from jointwrist.commands.messages import UsageError, complain

if TYPE_CHECKING:
    from jointwrist.inference.predictor import Predictor
    from jointwrist.registry import ModelSpec


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
