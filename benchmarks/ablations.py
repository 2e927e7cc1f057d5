"""Ablations: the joint network, variants of it, cascades and the paper's models on equal terms.

    python benchmarks/ablations.py                             all unfinished runs, the required ones first
    python benchmarks/ablations.py --arms S0 S1 --seeds 3407   some of them
    python benchmarks/ablations.py --shard 1/2                 half of them; shards may share a results folder
    python benchmarks/ablations.py --tables                    tables and plot from stored results, no training

The arms are defined in benchmarks/ablations.yaml. Finished runs are skipped, including those whose per-case results are
kept in docs/ablations; a killed run resumes. Results can be stored while runs are missing: the tables show the newest
complete version of the plan, and a line below them counts the finished runs of a newer one.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jointwrist.benchmark.ablations.plan import Ablations
from jointwrist.benchmark.ablations.runs import Choice, run_plan
from jointwrist.benchmark.ablations.tables import write_ablations
from jointwrist.commands.messages import print_log
from jointwrist.commands.options import seed_number
from jointwrist.config import ConfigError
from jointwrist.errors import DataError, StorageError

FILE = Path(__file__).with_suffix(".yaml")
#: Per-case results of the runs so far; these runs are not repeated.
KEPT = Path(__file__).resolve().parent.parent / "docs" / "ablations"


def main(argv: list[str] | None = None) -> int:
    """Run unfinished runs and write the tables; return 1 if a run failed, 2 if it could not begin."""
    arguments = parse_arguments(argv)
    print_log()
    failed = False
    try:
        plan = Ablations.load(arguments.plan)
        if not arguments.tables:
            choice = Choice(arguments.regimes, arguments.arms, arguments.seeds, arguments.shard, arguments.retry)
            failed = run_plan(plan, choice, arguments.results, arguments.out)
        print(write_ablations(plan, arguments.results, arguments.out))
    except (ConfigError, DataError, StorageError) as error:
        print(f"ablations: {error}", file=sys.stderr)
        return 2
    return int(failed)


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plan", type=Path, default=FILE, help="YAML file of the arms (default: the project's)")
    parser.add_argument("--regimes", nargs="+", metavar="NAME", help="names of the plan; default: all")
    parser.add_argument("--arms", nargs="+", metavar="NAME", help="names of the plan; default: all")
    parser.add_argument("--seeds", nargs="+", type=seed_number, metavar="N", help="seeds; default: those of the plan")
    parser.add_argument("--shard", default="1/1", metavar="I/N", help="every N-th run only, from the I-th")
    parser.add_argument("--retry", action="store_true", help="repeat failed runs")
    parser.add_argument(
        "--tables", action="store_true", help="make tables and plot from the stored results; train nothing"
    )
    parser.add_argument("--results", type=Path, default=Path("results/ablations"), help="(default: %(default)s)")
    parser.add_argument(
        "--out", type=Path, default=KEPT, help="folder of results, tables and plot (default: docs/ablations)"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
