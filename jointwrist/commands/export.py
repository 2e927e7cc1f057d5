"""`jointwrist export`: weights as a program."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "export",
        help="write weights as ONNX or as a PyTorch program",
        description="Write weights as a program that runs without jointwrist, and check that it answers as the model.",
    )
    parser.add_argument("weights", help="weight file, folder of a training run, name of shipped weights, or repository")
    parser.add_argument("out", type=Path, metavar="OUT", help="file to write, such as wrist.onnx or wrist.pt2")
    parser.add_argument(
        "--format", choices=("onnx", "torch"), default="onnx", help="format of the file (default: %(default)s)"
    )
    parser.set_defaults(run=export)


def export(arguments: argparse.Namespace) -> int:
    """Write weights as a program."""
    from jointwrist.hub import find_weights
    from jointwrist.inference.export import export_weights

    difference = export_weights(find_weights(arguments.weights), arguments.out, arguments.format)
    print(f"{arguments.out}: answers as the model, relative difference {difference:.1e}")
    return 0
