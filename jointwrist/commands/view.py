"""`jointwrist view`: radiographs in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.shared import add_device, add_field, add_side, add_turn, add_weights, add_window, positive


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "view",
        help="look at radiographs in a browser",
        description="Open a page that shows radiographs with their bones and joints, and two visits side by side."
        " Files can be dropped on it. It is served on this machine alone, and nothing is kept.",
    )
    parser.add_argument(
        "radiographs", nargs="*", type=Path, metavar="FILE", help="BMP, PNG, JPEG, TIFF or DICOM, or a folder"
    )
    add_weights(parser)
    add_side(parser)
    add_device(parser)
    parser.add_argument("--tta", action="store_true", help="average over five views of each radiograph")
    add_field(parser)
    add_turn(parser)
    add_window(parser)
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to serve at; others open it to the network (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8321, help="0 takes a free one (default: %(default)s)")
    parser.add_argument(
        "--max-upload", type=positive, default=64, metavar="MB", help="largest file to drop (default: %(default)s)"
    )
    parser.add_argument("--no-browser", dest="browser", action="store_false", help="only print the address")
    parser.set_defaults(run=view)


def view(arguments: argparse.Namespace) -> int:
    """Serve a page to look at radiographs."""
    from jointwrist.viewer import run

    return run.view(arguments)
