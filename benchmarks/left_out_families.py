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
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import pandas as pd

from benchmarks.ablations import FILE
from benchmarks.families import evaluate
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations, Arm, Version, run_folder
from jointwrist.benchmark.ablations.runs import Choice, run_plan
from jointwrist.benchmark.ablations.tables import filled
from jointwrist.benchmark.records import RECORD, read_record
from jointwrist.benchmark.tables.cells import NOT_RUN, OVER_SEEDS, Figure
from jointwrist.benchmark.tables.table import Table, save_tables
from jointwrist.commands.shared import print_log, seed_number
from jointwrist.config import ConfigError, build, merge_trees, parse_overrides
from jointwrist.engine.trainer import BEST
from jointwrist.errors import DataError, StorageError
from jointwrist.files import atomic, write_text
from jointwrist.inference.predictor import Predictor
from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.seed_patient_intervals import seeds_and_patients
from jointwrist.metrics.statistics import resampling_weights, weighted_mean
from jointwrist.phantom import PhantomConfig
from jointwrist.phantom.family_names import EROSIVE, LOOK_ALIKES, NO_FAMILY

KEPT = Path(__file__).resolve().parent.parent / "docs" / "left_out"
ROWS = "families.csv.gz"
KEYS = ["tested", "wrist", "case", "patient", "joint", "score", "family"]
REGIME, ALL, WITHOUT = "free", "all", "left out"
#: Phantom of every run: thresholds are chosen on its validation wrists, masks are tested on its test wrists.
PHANTOM: dict[str, Any] = {"parts": [16, 80, 64], "size": 256, "seed": 1, "prevalence": 0.3, "families": {"all": 1}}
#: Wrists of the tests: half of the joint surfaces without an erosion have a look-alike, each kind equally often.
TESTED, TEST_SEED, WRISTS = {"prevalence": 0.4, "look_alikes": 0.5}, 20261130, 160
#: AUROC asked of every family, and the share of surfaces without erosion that may be called eroded.
ASKED, FALSE_CALLS = 0.9, 0.1


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


def test_network(plan: Ablations, arm: str, seed: int, families: Sequence[str], results: Path, wrists: int) -> None:
    """Test a finished network: that of all families on each of them, another one on the family that it left out."""
    folder = run_folder(results, REGIME, arm, seed)
    if not (folder / RECORD).is_file() or read_record(folder)["status"] != "ok":
        print(f"{arm} seed {seed}: there are no finished weights in {folder}; tests that are kept remain", flush=True)
        return
    predictor = Predictor.from_pretrained(folder / BEST, localise=False)
    side = plan.config(REGIME, arm, seed, results).detail_size
    for family in families if arm == ALL else [arm]:
        shares = {family: 1.0, **dict.fromkeys(LOOK_ALIKES, 1.0)}
        config = build(PhantomConfig, {**TESTED, "size": side, "families": shares})
        evaluate(predictor, results / "tests" / folder.name / f"{family}.csv", config, TEST_SEED, wrists)


def test_rows(results: Path, out: Path, wrists: int) -> pd.DataFrame:
    """Return the rows of all finished tests, those kept in `out` and those of `results`.

    Returns:
        One row per joint surface of a test, indexed by `KEYS`, with its eroded area `area_mm2`; columns "left out SEED"
        and "all SEED" are probabilities, and followed by "heat" the share of the heat map in the erosion.
    """
    rows = pd.DataFrame()
    if (out / ROWS).is_file():
        rows = pd.read_csv(out / ROWS, dtype={"patient": str}).set_index(KEYS)
    for path in sorted(results.glob("tests/*/*.csv")):
        found = pd.read_csv(path, dtype={"patient": str})
        found = found[found["wrist"] < wrists]
        if found["wrist"].nunique() < wrists:
            continue
        arm, seed = path.parent.name.removeprefix(f"{REGIME}-").rsplit("-", 1)
        name = f"{ALL if arm == ALL else WITHOUT} {seed}"
        found = found.assign(tested=path.stem).set_index(KEYS)
        found = found.rename(columns={"probability": name, "heat_in_erosion": f"{name} heat"})
        rows = found.combine_first(rows)
    return rows


class Values(NamedTuple):
    """A figure of one network for each seed, on the test patients and on resampled ones.

    Attributes:
        values: (S,).
        resampled: (S, R).
        patients: Number of patients.
    """

    values: np.ndarray
    resampled: np.ndarray
    patients: int

    def minus(self, other: Values) -> Values:
        """Return the paired difference."""
        return Values(self.values - other.values, self.resampled - other.resampled, self.patients)

    def figure(self, digits: int = 3, limits: tuple[float, float] = (0, 1)) -> Figure:
        """Return mean and SD over seeds with the 95 % interval over seeds and patients."""
        found = seeds_and_patients(self.values, self.resampled, self.patients, limits=limits)
        return Figure.over_seeds(self.values, found.low, found.high, digits)


def family_values(rows: pd.DataFrame, columns: Sequence[str]) -> dict[str, Values]:
    """Figures of the networks of one kind on the test of a family.

    Args:
        rows: Rows of the test.
        columns: Columns of probabilities, one for each seed.

    Returns:
        AUROC of the erosions against all other surfaces ("AUROC"), against those without a finding ("no finding") and
        against look-alikes ("look-alike"); share of the erosions that is found where 10 % of the other surfaces are
        called eroded ("found"), and mean share of the heat map in the erosion ("heat").
    """
    index = rows.index.to_frame(index=False)
    eroded, clear = (index["score"] > 0).to_numpy(), (index["family"] == NO_FAMILY).to_numpy()
    weights = resampling_weights(index["patient"])
    kinds = {"AUROC": np.ones_like(eroded), "no finding": eroded | clear, "look-alike": eroded | ~clear}
    found: dict[str, list[tuple[float, np.ndarray]]] = {name: [] for name in (*kinds, "found", "heat")}
    for column in columns:
        probability = rows[column].to_numpy(float)
        calls = probability > np.quantile(probability[~eroded], 1 - FALSE_CALLS)
        for kind, chosen in kinds.items():
            arrays = eroded[chosen], probability[chosen], calls[chosen]
            figures, drawn = weighted_figures(*arrays), weighted_figures(*arrays, weights[:, chosen])
            found[kind].append((float(figures["AUROC"][0]), drawn["AUROC"]))
            if kind == "AUROC":
                found["found"].append((float(figures["SEN"][0]), drawn["SEN"]))
        heat = rows[f"{column} heat"].to_numpy(float)
        found["heat"].append((float(weighted_mean(heat, np.ones((1, len(heat))))[0]), weighted_mean(heat, weights)))
    return {
        name: Values(np.array([v for v, _ in pairs]), np.stack([r for _, r in pairs]), index["patient"].nunique())
        for name, pairs in found.items()
    }


def left_out_tables(rows: pd.DataFrame) -> list[Table]:
    """Tables of every family: AUROC without and with it in training, and what explains the difference."""
    first, second = [], []
    for family in EROSIVE:
        test = rows[rows.index.get_level_values("tested") == family]
        there = test.columns[test.notna().any()]
        seeds = [name.split()[-1] for name in there if name.startswith(WITHOUT) and not name.endswith("heat")]
        seeds = [seed for seed in seeds if f"{ALL} {seed}" in there]
        if not seeds:
            first.append({"Family": f"`{family}`", "erosions": NOT_RUN})
            continue
        without, trained = (family_values(test, [f"{kind} {seed}" for seed in seeds]) for kind in (WITHOUT, ALL))
        score = test.index.get_level_values("score")
        first.append(
            {
                "Family": f"`{family}`",
                "erosions": int((score > 0).sum()),
                "seeds": len(seeds),
                "AUROC, left out": without["AUROC"].figure(),
                "AUROC, in training": trained["AUROC"].figure(),
                "difference": without["AUROC"].minus(trained["AUROC"]).figure(limits=(-1, 1)),
                f"at least {ASKED:.2f}": "yes" if without["AUROC"].values.mean() >= ASKED else "no",
            }
        )
        line: dict[str, Any] = {"Family": f"`{family}`", "median mm²": f"{test['area_mm2'][score > 0].median():.1f}"}
        for key, title in (
            ("no finding", "AUROC against no finding"), ("look-alike", "against look-alikes"), ("found", "found"),
            ("heat", "heat map in the erosion"),
        ):  # fmt: skip
            line |= {f"{title}, left out": without[key].figure(2), f"{title}, in training": trained[key].figure(2)}
        second.append(line)
    caption = (
        "Erosion families left out of training. Erosions of one family against surfaces without erosion, half of which"
        f" have a look-alike, on the same {int(rows.index.get_level_values('wrist').max()) + 1} phantoms for both"
        f" networks. {OVER_SEEDS}. Differences are paired by seed and patient."
    )
    details = (
        "The same tests: median area of the erosions; AUROC against surfaces without a finding, and against look-alikes"
        f" alone; share of the erosions found where {100 * FALSE_CALLS:.0f} % of the other surfaces are called eroded;"
        f" share of the heat map on eroded pixels. {OVER_SEEDS}."
    )
    return [Table("left_out_families", caption, first), Table("left_out_details", details, second)]


def write_picture(table: Table, path: Path) -> None:
    """Draw the AUROC of every family, left out and in training, with its interval."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [row for row in table.rows if "seeds" in row]
    figure, axis = plt.subplots(figsize=(7, 0.36 * len(rows) + 1.3), layout="constrained")
    for name, colour, shift in (("left out", "#d1495b", -0.12), ("in training", "#1b6ca8", 0.12)):
        cells, places = [row[f"AUROC, {name}"] for row in rows], np.arange(len(rows)) + shift
        axis.hlines(places, [c.low for c in cells], [c.high for c in cells], color=colour, lw=2.5, alpha=0.5)
        axis.plot([c.mean for c in cells], places, "o", color=colour, ms=5, label=name)
    axis.axvline(ASKED, color="grey", lw=1, ls=":")
    axis.set_yticks(range(len(rows)), [row["Family"].strip("`") for row in rows])
    axis.invert_yaxis()
    axis.set_xlabel("AUROC of the family's erosions")
    axis.grid(axis="x", alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)


def write_results(plan: Ablations, results: Path, out: Path, wrists: int) -> str:
    """Add finished runs and tests to the kept ones, and write rows, tables, plot and page; return the tables."""
    runs, rows = KeptResults.read(out).with_runs(results, plan), test_rows(results, out, wrists)
    if runs.runs.empty or rows.empty:
        return "no test is finished yet"
    runs.write(out)
    with atomic(out / ROWS) as temporary:  # without timestamps, so that equal results give equal files
        temporary.write_bytes(gzip.compress(rows.to_csv(float_format="%.5g").encode(), mtime=0))
    tables = left_out_tables(rows)
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
                test_network(plan, arm, seed, arguments.families, arguments.results, arguments.wrists)
        print(write_results(plan, arguments.results, arguments.out, arguments.wrists))
    except (ConfigError, DataError, StorageError) as error:
        print(f"left_out_families: {error}", file=sys.stderr)
        return 2
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
