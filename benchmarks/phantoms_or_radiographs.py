"""Arguments and a table of benchmarks that take phantoms, or radiographs in their place."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from jointwrist.benchmark.tables.table import markdown_lines
from jointwrist.commands.options import seed_number


def parse_arguments(
    argv: list[str] | None, description: str, count: str, default: int, seed: int, own: bool = True
) -> argparse.Namespace:
    """Read the command line.

    Args:
        argv: Arguments; None for those of the process.
        description: Text of the help.
        count: Name of the option for the number of phantoms.
        default: Number of phantoms.
        seed: Seed of the phantoms.
        own: Whether radiographs can be given in place of phantoms.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(f"--{count}", type=int, default=default, metavar="N", help="phantoms (default: %(default)s)")
    parser.add_argument("--seed", type=seed_number, default=seed, help="seed of the phantoms (default: %(default)s)")
    if own:
        parser.add_argument(
            "radiographs",
            nargs="*",
            type=Path,
            metavar="RADIOGRAPH",
            help="radiographs or folders, in place of phantoms",
        )
    return parser.parse_args(argv)


def count_table(title: str, counts: Mapping[str, Counter[str]], verdicts: Sequence[str]) -> str:
    """Return a Markdown table of verdicts, one row per kind of radiograph."""
    rows = [
        (kind, str(count.total()), *(str(count[verdict]) for verdict in verdicts)) for kind, count in counts.items()
    ]
    return "\n".join(markdown_lines([title, "radiographs", *verdicts], rows))
