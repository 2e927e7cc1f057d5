"""`jointwrist node`: radiographs in from a PACS, results back to it."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Say what the command takes."""
    parser = commands.add_parser(
        "node",
        help="receive radiographs from a PACS and send results back",
        description="Run a DICOM node: radiographs arrive by C-STORE or STOW-RS, are predicted, and segmentation,"
        " report, presentation state and overlay go to the peers of the configuration. Ctrl-C or SIGTERM ends it.",
    )
    parser.add_argument("config", type=Path, metavar="FILE", help="YAML configuration")
    parser.add_argument("--check", action="store_true", help="read the configuration and end")
    parser.set_defaults(run=node)


def node(arguments: argparse.Namespace) -> int:
    """Run a node until it is told to stop."""
    from jointwrist.node.config import read_config

    config = read_config(arguments.config)
    if arguments.check:
        print(f"{arguments.config}: {config.dicom.ae_title}, {len(config.peers)} peers; nothing wrong")
        return 0
    from jointwrist.node.run import serve

    return serve(config)
