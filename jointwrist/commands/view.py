"""`jointwrist view`: show radiographs in the browser."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.commands.messages import complain
from jointwrist.commands.options import (
    add_predictor,
    add_scope,
    add_side,
    add_spacing,
    add_window,
    load_predictor,
    positive,
)


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "view",
        help="look at radiographs in a browser",
        description="Open a page that shows radiographs with their bones and joints, and two visits side by side."
        " Files can be dropped on it. It is served on this machine only, and nothing is kept.",
    )
    parser.add_argument(
        "radiographs", nargs="*", type=Path, metavar="FILE", help="BMP, PNG, JPEG, TIFF or DICOM, or a folder"
    )
    add_predictor(parser)
    add_scope(parser)
    add_side(parser)
    parser.add_argument(
        "--tta", action="store_true", help="average over five views of each radiograph, which takes five times as long"
    )
    add_window(parser)
    add_spacing(parser)
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; any other than the default opens the page to the network (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=8321, help="port to listen at; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--max-upload",
        type=positive,
        default=64,
        metavar="MB",
        help="largest file that can be dropped on the page (default: %(default)s)",
    )
    parser.add_argument(
        "--no-browser", dest="browser", action="store_false", help="print the address and do not open a browser"
    )
    parser.set_defaults(run=view)


def view(arguments: argparse.Namespace) -> int:
    """Serve a page to look at radiographs."""
    from jointwrist.data.find_radiographs import describe_left_out, find_radiographs
    from jointwrist.viewer.radiographs import Radiographs
    from jointwrist.viewer.run import serve

    found = find_radiographs(arguments.radiographs, left_out=lambda *folder: complain(describe_left_out(*folder)))
    paths = list(dict.fromkeys(found))
    radiographs = Radiographs(
        load_predictor(arguments, arguments.score_out_of_scope),
        arguments.side,
        arguments.tta,
        arguments.window,
        arguments.spacing,
    )
    radiographs.add_files(paths)
    serve(
        radiographs,
        arguments.host,
        arguments.port,
        arguments.max_upload * 2**20,
        arguments.browser,
    )
    return 0
