"""`jointwrist report`: write an HTML report of a results folder."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the command's arguments."""
    parser = commands.add_parser(
        "report",
        help="one HTML page for a results folder",
        description="Write one self-contained HTML page: the tables, charts and a gallery of a benchmark.",
    )
    parser.add_argument("results", type=Path, metavar="RESULTS", help="such as results/demo-phantom")
    parser.add_argument("--data", type=Path, metavar="ROOT", help="radiographs of the test split, for the gallery")
    parser.add_argument("-o", "--out", type=Path, metavar="HTML", help="file (default: report.html in RESULTS)")
    parser.set_defaults(run=report)


def report(arguments: argparse.Namespace) -> int:
    """Write the page of a results folder."""
    from jointwrist.benchmark.report import write_report
    from jointwrist.data.dataset.ram_w600 import RamW600

    dataset = RamW600.open(arguments.data) if arguments.data else None
    print(f"report: {write_report(arguments.results, arguments.out, dataset)}")
    return 0
