"""`jointwrist export`: weights as a program."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.shared import UsageError

_ENDINGS = {".onnx": "onnx", ".pt2": "torch"}


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX or as a PyTorch program",
        description="Write weights as a program that runs without jointwrist, and check that it answers as the model.",
    )
    parser.add_argument("weights", help="weight file, folder of a training run, name of shipped weights, or repository")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write: NAME.onnx, or NAME.pt2 for PyTorch")
    parser.add_argument(
        "--format",
        choices=tuple(_ENDINGS.values()),
        help="format of a file with another ending (default: by its ending)",
    )
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> int:
    """Write weights as a program."""
    from jointwrist.inference.model_export import export_weights
    from jointwrist.weights.hub import find_weights

    kind = _format(arguments.out, arguments.format)
    difference = export_weights(find_weights(arguments.weights), arguments.out, kind)
    print(f"{arguments.out}: answers as the model, relative difference {difference:.1e}")
    return 0


def _format(out: Path, stated: str | None) -> str:
    """Return the format of a file.

    Raises:
        UsageError: Neither its ending nor the user states one, or they state different ones.
    """
    by_ending = _ENDINGS.get(out.suffix.lower())
    if by_ending is None and stated is None:
        raise UsageError(f"{out}: end it in {' or '.join(_ENDINGS)}, or state --format")
    if by_ending and stated and by_ending != stated:
        raise UsageError(f"{out}: its ending is that of {by_ending}, --format says {stated}; leave one of them out")
    return by_ending or stated
