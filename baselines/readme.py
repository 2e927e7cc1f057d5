"""The table of models in this package's README, generated from the registry.

`python -m jointwrist_baselines.readme --write` brings the README up to date; `--check` fails when it is not.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from jointwrist.commands.models import HEADER, NUMBERS, table_rows
from jointwrist.registry import TASKS, list_models, model_spec

README = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- models: begin -->", "<!-- models: end -->"


def table() -> str:
    """Return all models as a Markdown table, task by task."""
    specs = [model_spec(name) for task in TASKS for name in list_models(task=task)]
    rule = ("--:" if column in NUMBERS else "---" for column in range(len(HEADER)))
    return "\n".join(f"| {' | '.join(row)} |" for row in (HEADER, tuple(rule), *table_rows(specs)))


def filled(text: str) -> str:
    """Return a README with the current table between its markers.

    Raises:
        ValueError: The markers are not there once each, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"{README.name} needs the line {BEGIN!r} once, and {END!r} once after it")
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


def main(arguments: list[str] | None = None) -> int:
    """Write or check the README; return 1 if the check fails."""
    parser = argparse.ArgumentParser(
        prog="python -m jointwrist_baselines.readme", description="table of models in the README"
    )
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--write", action="store_true", help="bring the table up to date")
    mode.add_argument("--check", action="store_true", help="fail if the table is not up to date")
    write = parser.parse_args(arguments).write
    text = README.read_text(encoding="utf-8")
    if text == filled(text):
        return 0
    if not write:
        print(f"{README.name} is out of date; run: python -m jointwrist_baselines.readme --write", file=sys.stderr)
        return 1
    README.write_text(filled(text), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
