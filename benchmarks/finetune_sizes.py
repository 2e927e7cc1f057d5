"""Benefit of `jointwrist finetune` by number of wrists, on phantoms of an imaging style absent from the training.

For each number of wrists, phantoms are made and fine-tuned on. The table has the figures of the patient-wise folds,
which users see too, and those of the final weights on further phantoms of that style, the same for all numbers. After
an interruption, the same command continues.

    python benchmarks/finetune_sizes.py --wrists 10 30 100

The default look is another projection: oblique and lateral wrists, on which the weights were not trained. `--look`
takes any values of `PhantomConfig`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from jointwrist.benchmark.tables.table import markdown_lines
from jointwrist.config import build, parse_overrides
from jointwrist.engine.evaluate_weights import evaluate
from jointwrist.engine.finetune import finetune
from jointwrist.engine.results.changes import Change, measure_changes
from jointwrist.files import write_frame
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.phantom_dataset import write_phantom

#: Setting of the generator: every wrist in an oblique or a lateral projection. The weights were trained on
#: posteroanterior ones alone.
LOOK = ("projections=1",)
SEED, TEST_SEED = 4242, 4343
#: Rows of the last run, from which the table of the documentation is made.
KEPT = Path(__file__).parent / "results" / "finetune-sizes.csv"
FOLDS, FURTHER = "folds", "further phantoms"


def main(argv: Sequence[str] | None = None) -> int:
    """Fine-tune and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wrists", type=int, nargs="+", default=[10, 30, 100], metavar="N", help="default: 10 30 100")
    parser.add_argument("--test", type=int, default=60, metavar="N", help="further phantoms (default: %(default)s)")
    parser.add_argument("--size", type=int, default=448, help="side of the phantoms in px (default: %(default)s)")
    parser.add_argument("--look", nargs="+", default=LOOK, metavar="KEY=VALUE", help=f"default: {' '.join(LOOK)}")
    parser.add_argument("--weights", default="jointwrist_tiny", help="weights to start from (default: %(default)s)")
    parser.add_argument("--folds", type=int, default=3, metavar="N", help="patient-wise folds (default: %(default)s)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of the fine-tuning")
    parser.add_argument("-o", "--out", type=Path, default=Path("results/finetune-sizes"), help="default: %(default)s")
    parser.add_argument("--table", action="store_true", help="print the table of the stored rows, run nothing")
    arguments = parser.parse_args(argv)
    if not arguments.table:
        write_frame(arguments.out / KEPT.name, measure(arguments))
    print("\n".join(table(pd.read_csv(KEPT if arguments.table else arguments.out / KEPT.name))))
    return 0


def measure(arguments: argparse.Namespace) -> pd.DataFrame:
    """Return a row per number of wrists, kind of test and figure."""
    look = build(PhantomConfig, parse_overrides(arguments.look))
    values = parse_overrides(arguments.set)
    test = arguments.out / "test"
    write_phantom(test, arguments.test, arguments.size, TEST_SEED, look)
    before = evaluate(arguments.weights, test, "all", values)
    rows = []
    for wrists in arguments.wrists:
        root = arguments.out / f"wrists{wrists}"
        write_phantom(root, wrists, arguments.size, SEED, look)
        started = time.process_time()
        tuned = finetune(root, arguments.out / f"tuned{wrists}", arguments.weights, values, folds=arguments.folds)
        minutes = (time.process_time() - started) / 60
        print(f"{wrists} wrists: {minutes:.1f} minutes of processor time in this call", file=sys.stderr, flush=True)
        rows += _rows(wrists, FOLDS, tuned.changes)
        after = evaluate(tuned.weights, test, "all", values)
        rows += _rows(wrists, FURTHER, measure_changes(before, after))
    return pd.DataFrame(rows)


def _rows(wrists: int, tested: str, changes: Sequence[Change]) -> list[dict[str, object]]:
    extra = {"trained_on": wrists, "tested_on": tested}
    return [{**extra, **asdict(change)} for change in changes]


def table(rows: pd.DataFrame) -> list[str]:
    """Return the Markdown table of the rows."""
    cells = [
        [
            str(row["trained_on"]),
            f"{row['tested_on']}, {row['wrists']}",
            str(row["figure"]) + (" %" if row["unit"] == "%" else ""),
            *(_interval(row, name) for name in ("before", "after", "change")),
        ]
        for row in rows.to_dict("records")
    ]
    header = ["wrists", "tested on", "figure", "before", "after", "change"]
    return markdown_lines(header, cells)


def _interval(row: Mapping[str, float], name: str) -> str:
    sign = "+" if name == "change" else ""
    form = f"{{:{sign}.{2 if row['unit'] == '%' else 3}f}}"
    low, high = (form.format(row[f"{name}_{end}"]) for end in ("low", "high"))
    return f"{form.format(row[name])} [{low}, {high}]"


if __name__ == "__main__":
    sys.exit(main())
