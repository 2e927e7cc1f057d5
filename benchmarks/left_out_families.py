"""Erosion families left out of training in turn: does the erosion score find kinds that training never saw?"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.ablations import FILE
from jointwrist.benchmark.ablations.plan import Ablations, Arm, Version
from jointwrist.benchmark.ablations.runs import Choice, run_plan
from jointwrist.commands.shared import print_log, seed_number
from jointwrist.config import ConfigError, merge_trees, parse_overrides
from jointwrist.errors import DataError, StorageError
from jointwrist.phantom.family_names import EROSIVE

KEPT = Path(__file__).resolve().parent.parent / "docs" / "left_out"
REGIME, ALL = "free", "all"
#: Phantom of every run: thresholds are chosen on its validation wrists, masks are tested on its test wrists.
PHANTOM: dict[str, Any] = {"parts": [16, 80, 64], "size": 256, "seed": 1, "prevalence": 0.3, "families": {"all": 1}}


def left_out_plan(overrides: dict[str, Any]) -> Ablations:
    """Return the plan: the free regime of the ablations with all families, and with each erosive family left out.

    Args:
        overrides: Values that replace those of every run.
    """
    plan = Ablations.load(FILE)
    regime = plan.regimes[REGIME]
    families = {"stream": {"options": {"families": {"all": 1}}}}
    arms = {ALL: Arm("all families", "jointwrist_tiny", ("segmentation", "erosion"))}
    for family in EROSIVE:
        values = {"stream": {"options": {"families": {family: 0}}}}
        arms[family] = Arm(f"without {family}", "jointwrist_tiny", ("segmentation", "erosion"), values)
    return replace(
        plan,
        name="left-out",
        versions=(Version("the free regime of the ablations with all families; encoder version 3"),),
        phantom=PHANTOM,
        seeds=(3407, 4096),
        required=(),
        regimes={REGIME: replace(regime, set=merge_trees(regime.set, families, overrides))},
        tasks={"joint": merge_trees(plan.tasks["joint"], {"options": {"encoder_version": 3}})},
        arms=arms,
        retests={},
        contrasts={},
    )


def main(argv: list[str] | None = None) -> int:
    """Run unfinished runs and write the tables; return 1 if a run failed, 2 if it could not begin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=list(EROSIVE), default=list(EROSIVE), metavar="FAMILY")
    parser.add_argument("--seeds", nargs="+", type=seed_number, metavar="N", help="seeds; default: 3407 4096")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of every run")
    parser.add_argument("--results", type=Path, default=Path("results/left_out"), help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=KEPT, help="(default: docs/left_out)")
    arguments = parser.parse_args(argv)
    print_log()
    try:
        plan = left_out_plan(parse_overrides(arguments.set))
        failed = False
        for seed in arguments.seeds or plan.seeds:
            choice = Choice(None, [ALL, *arguments.families], [seed])
            failed |= run_plan(plan, choice, arguments.results, arguments.out)
    except (ConfigError, DataError, StorageError) as error:
        print(f"left_out_families: {error}", file=sys.stderr)
        return 2
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
