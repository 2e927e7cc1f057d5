"""Erosion families left out of training in turn: does the erosion score find kinds that training never saw?

    python benchmarks/left_out_families.py                            all unfinished runs and tests, seed by seed
    python benchmarks/left_out_families.py --families undermined      some of them
    python benchmarks/left_out_families.py --tables                   tables and plot from stored results, no training

For each erosive family of the phantom, a joint network is trained without it, by the free regime of the ablations, and
compared with one trained on all families. Both are tested on the same wrists, whose only erosions are of that family.
A killed run resumes; finished trainings and tests are skipped. Per-case results are kept in docs/left_out.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd

from benchmarks.ablations import FILE
from benchmarks.families import evaluate
from benchmarks.left_out_tables import ALL, WITHOUT, left_out_tables, write_picture
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations, Arm, Version, run_folder
from jointwrist.benchmark.ablations.runs import Choice, run_plan
from jointwrist.benchmark.ablations.tables import filled
from jointwrist.benchmark.records import RECORD, read_record
from jointwrist.benchmark.tables.table import save_tables
from jointwrist.commands.messages import print_log
from jointwrist.commands.options import seed_number
from jointwrist.config import ConfigError, build, merge_trees, parse_overrides
from jointwrist.engine.loop.trainer import BEST
from jointwrist.errors import DataError, StorageError
from jointwrist.files import atomic, write_text
from jointwrist.inference.predictor import Predictor
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.family_names import EROSIVE, LOOK_ALIKES

KEPT = Path(__file__).resolve().parent.parent / "docs" / "left_out"
ROWS = "families.csv.gz"
KEYS = ["tested", "wrist", "case", "patient", "joint", "score", "family"]
REGIME = "free"
#: Phantom of every run: thresholds are chosen on its validation wrists, masks are tested on its test wrists.
PHANTOM: dict[str, Any] = {"parts": [16, 80, 64], "size": 256, "seed": 1, "prevalence": 0.3, "families": {"all": 1}}
#: Wrists of the tests: half of the joint surfaces without an erosion have a look-alike, each kind equally often.
TESTED, TEST_SEED, WRISTS = {"prevalence": 0.4, "look_alikes": 0.5}, 20261130, 160
#: Number of other networks that are tested on a family that they had in training.
OTHERS = 2


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


def families_of(arm: str, families: Sequence[str]) -> list[str]:
    """Return those of `families` that a network is tested on: all, or the left out one and the `OTHERS` before it."""
    names = list(EROSIVE)
    return [name for name in families if arm == ALL or (names.index(arm) - names.index(name)) % len(names) <= OTHERS]


def run_tests(plan: Ablations, arm: str, seed: int, families: Sequence[str], results: Path, wrists: int) -> None:
    """Test a finished network on those of `families` that it is tested on, on `wrists` wrists each."""
    folder = run_folder(results, REGIME, arm, seed)
    if not (folder / RECORD).is_file() or read_record(folder)["status"] != "ok":
        print(f"{arm} seed {seed}: there are no finished weights in {folder}; tests that are kept remain", flush=True)
        return
    predictor = Predictor.from_pretrained(folder / BEST, localise=False)
    side = plan.config(REGIME, arm, seed, results).detail_size
    for family in families_of(arm, families):
        shares = {family: 1.0, **dict.fromkeys(LOOK_ALIKES, 1.0)}
        config = build(PhantomConfig, {**TESTED, "size": side, "families": shares})
        evaluate(predictor, results / "tests" / folder.name / f"{family}.csv", config, TEST_SEED, wrists)


def read_rows(out: Path) -> pd.DataFrame:
    """Read the kept rows of a folder; empty if there are none."""
    if not (out / ROWS).is_file():
        return pd.DataFrame()
    return pd.read_csv(out / ROWS, dtype={"patient": str}).set_index(KEYS)


def rows_of_tests(results: Path, out: Path, wrists: int) -> pd.DataFrame:
    """Return the rows of all finished tests, those kept in `out` and those of `results`.

    Returns:
        One row per joint surface of a test, indexed by `KEYS`, with the eroded `area_mm2`. Columns "left out SEED",
        "all SEED" and, of a network that left out another family, "without FAMILY SEED" are probabilities, and followed
        by "heat" the share of the heat map in the erosion.
    """
    rows = read_rows(out)
    for path in sorted(results.glob("tests/*/*.csv")):
        found = pd.read_csv(path, dtype={"patient": str})
        found = found[found["wrist"] < wrists]
        if found["wrist"].nunique() < wrists:
            continue
        arm, seed = path.parent.name.removeprefix(f"{REGIME}-").rsplit("-", 1)
        name = f"{ {ALL: ALL, path.stem: WITHOUT}.get(arm, f'without {arm}') } {seed}"
        found = found.assign(tested=path.stem).set_index(KEYS)
        found = found.rename(columns={"probability": name, "heat_in_erosion": f"{name} heat"})
        rows = found.combine_first(rows)
    return rows


def write_results(plan: Ablations, results: Path, out: Path, wrists: int) -> str:
    """Add finished runs and tests to the kept ones, and write rows, tables, plot and page; return the tables."""
    runs, rows = KeptResults.read(out).with_runs(results, plan), rows_of_tests(results, out, wrists)
    if runs.runs.empty or rows.empty:
        return "no test is finished yet"
    runs.write(out)
    with atomic(out / ROWS) as temporary:  # without timestamps, so that equal results give equal files
        temporary.write_bytes(gzip.compress(rows.to_csv(float_format="%.5g").encode(), mtime=0))
    tables = left_out_tables(read_rows(out))  # as rounded in the file, so that --tables gives the same
    save_tables(out, tables)
    if tables[1].rows:
        write_picture(tables[0], out / "left_out.png")
    text = "\n".join(table.markdown() for table in tables)
    page = out.with_suffix(".md")
    if page.is_file():
        write_text(page, filled(page.read_text(encoding="utf-8"), text))
    return text


def main(argv: list[str] | None = None) -> int:
    """Run unfinished runs and tests and write the tables; return 1 if a run failed, 2 if it could not begin."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", nargs="+", choices=list(EROSIVE), default=list(EROSIVE), metavar="FAMILY")
    parser.add_argument("--seeds", nargs="+", type=seed_number, metavar="N", help="default: 3407 4096")
    parser.add_argument("--wrists", type=int, default=WRISTS, metavar="N", help="of each test (default: %(default)s)")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="values of every training")
    parser.add_argument("--tables", action="store_true", help="make the tables from the stored results; train nothing")
    parser.add_argument("--results", type=Path, default=Path("results/left_out"), help="(default: %(default)s)")
    parser.add_argument("--out", type=Path, default=KEPT, help="folder of rows and tables (default: docs/left_out)")
    arguments = parser.parse_args(argv)
    if arguments.out == KEPT and (arguments.set or arguments.wrists != WRISTS):
        parser.error("--set and --wrists change the results: give --results and --out folders of their own")
    print_log()
    failed = False
    try:
        plan = left_out_plan(parse_overrides(arguments.set))
        for seed in () if arguments.tables else arguments.seeds or plan.seeds:
            for arm in (ALL, *arguments.families):
                failed |= run_plan(plan, Choice(None, [arm], [seed]), arguments.results, arguments.out)
                run_tests(plan, arm, seed, arguments.families, arguments.results, arguments.wrists)
        print(write_results(plan, arguments.results, arguments.out, arguments.wrists))
    except (ConfigError, DataError, StorageError) as error:
        print(f"left_out_families: {error}", file=sys.stderr)
        return 2
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
