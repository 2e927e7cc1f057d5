"""`jointwrist node`: a DICOM node that receives radiographs and sends results back."""

from __future__ import annotations

import argparse
from pathlib import Path

from jointwrist.text import number_of


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command and its options."""
    parser = commands.add_parser(
        "node",
        help="receive radiographs from a PACS and send results back",
        description="Run a DICOM node: it receives radiographs by C-STORE or STOW-RS, predicts them, and sends"
        " segmentation, report, presentation state and overlay to the configured peers. Ctrl-C or SIGTERM stops it.",
    )
    parser.add_argument("config", type=Path, metavar="FILE", help="YAML configuration")
    parser.add_argument("--check", action="store_true", help="check the configuration and exit")
    parser.set_defaults(run=node)


def node(arguments: argparse.Namespace) -> int:
    """Run a node until SIGTERM or Ctrl-C."""
    from jointwrist.node.config import read_config

    config = read_config(arguments.config)
    if arguments.check:
        peers = number_of(len(config.peers), "peer")
        print(f"{arguments.config}: {config.dicom.ae_title}, {peers}; configuration is valid")
        return 0
    from jointwrist.node.run import serve

    return serve(config)
