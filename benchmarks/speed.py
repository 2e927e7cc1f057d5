"""Speed and memory: `python benchmarks/speed.py PART [options]`, or `all`.

Parts are metrics, phantom, scan, inference, loading, training, neighbour, memory, start and predict. `builds CHECKOUT`,
which `all` leaves out, compares training steps with those of another build.

Each part prints its measurements and returns them as rows (name, value, unit). They are kept in one CSV file per
machine; a later run replaces rows of the same names. A row may have a `bound` that it must not exceed, or a `least`
that it must reach; the exit code is 1 if one does not.
"""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd
import torch

from benchmarks.speed_table import speed_table
from jointwrist.benchmark.machine import machine
from jointwrist.files import atomic

PARTS = ("metrics", "phantom", "scan", "inference", "loading", "training", "neighbour", "memory", "start", "predict")


def keep(part: str, rows: list[dict[str, Any]], folder: Path) -> Path:
    """Write rows of a part to the CSV file of this machine, in place of those of the same names."""
    path = folder / f"speed-{re.sub(r'[^a-z0-9]+', '-', machine().lower()).strip('-')}.csv"
    frame = pd.DataFrame(rows).assign(part=part, machine=machine(), torch=torch.__version__)
    frames = [frame]
    if path.is_file():
        before = pd.read_csv(path)
        frames.insert(0, before[(before["part"] != part) | ~before["name"].isin(frame["name"])])
    with atomic(path) as temporary:
        columns = ["part", "name", "value", "unit", "machine", "torch"]
        pd.concat(frames, ignore_index=True)[columns].to_csv(temporary, index=False, float_format="%.4g")
    return path


def exceeded(rows: list[dict[str, Any]]) -> list[str]:
    """List the rows whose value is above its bound, or below its least value."""

    def describe(row: dict[str, Any], what: str) -> str:
        return f"{row['name']}: {row['value']:.4g} {row['unit']} {what}".replace("  ", " ")

    above = [row for row in rows if row.get("bound") is not None and row["value"] > row["bound"]]
    below = [row for row in rows if row.get("least") is not None and row["value"] < row["least"]]
    return [describe(row, f"exceeds the bound of {row['bound']:g}") for row in above] + [
        describe(row, f"is below the least, {row['least']:g}") for row in below
    ]


def main(argv: list[str] | None = None) -> int:
    """Run one part or all; return 1 if a row is outside its bounds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=(*PARTS, "builds", "all"))
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder of the CSV (default: %(default)s)",
    )
    arguments, options = parser.parse_known_args(argv)
    if arguments.part == "all" and options:
        parser.error(f"options {options} need a part")
    faults = []
    for part in PARTS if arguments.part == "all" else (arguments.part,):
        benchmark = getattr(importlib.import_module(f"benchmarks.speed_parts.{part}"), f"benchmark_{part}")
        rows = benchmark(options)
        print(f"kept in {keep(part, rows, arguments.results)}\n")
        faults += exceeded(rows)
    print(speed_table(arguments.results))
    for fault in faults:
        print(f"speed: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
