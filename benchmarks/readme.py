"""Write the tables of README and documentation: demonstration, ablations and speeds, from the results kept here.

python benchmarks/readme.py                  write the tables between the markers of the pages
python benchmarks/readme.py --keep RESULTS   keep the results of a new demonstration first
python benchmarks/readme.py --check          check that the pages are up to date
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
from dataclasses import replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import pandas as pd

from benchmarks import finetune_sizes
from benchmarks.speed_table import (
    SHORT,
    TARGETS,
    builds_table,
    scan_table,
    speed_table,
    target_table,
    training_table,
)
from jointwrist.benchmark.pages import fill_blocks
from jointwrist.benchmark.tables import Table, make_tables, read_results
from jointwrist.benchmark.tables.cells import ABSENT, OVER_SEEDS, Figure
from jointwrist.benchmark.tables.table import load_tables
from jointwrist.files import write_text

ROOT = Path(__file__).resolve().parent.parent
README, KEPT = ROOT / "README.md", ROOT / "docs" / "demo"
#: Pages with markers.
PAGES = (
    README,
    *(ROOT / "docs" / page for page in ("demonstration.md", "scaling.md", "speed.md", "explanation/selective-scan.md")),
    ROOT / "docs" / "how-to" / "finetune.md",
)
ABLATIONS = ROOT / "docs" / "ablations"
ROWS = ("job.json", "segmentation.csv", "erosion.csv")
#: Placeholder for the arm of the paper's classifier with the highest AUROC of those trained on scores alone.
BEST_CLASSIFIER = "C0-*"
#: Arms of the ablations in the README, described for readers who have not read the page on them.
ARMS = {
    "S1": "one network for masks and erosions",
    "S1-scores": "the same without masks of eroded pixels: scores alone",
    "S0": "the same network, masks only",
    "C2": "cascade: the masks-only network, frozen, then an equal one for erosions",
    "C1": "erosions only: the same encoder and head, given the true boxes",
    "C0-resnet-pixels": "the paper's classifier on true crops, `resnet`, with masks of eroded pixels",
    BEST_CLASSIFIER: "the paper's classifier on true crops, `{}`, scores alone",
    "T-umamba_enc": "the paper's segmenter `umamba_enc`, trained for at least as long as the first row",
}
#: Text with which the caption begins to list the versions of the experiment.
VERSIONS = re.compile(r" Version \d+:")
#: Columns of the demonstration's tables that the README shows.
DEMONSTRATION = {"segmentation": ("DSC %", "NSD %"), "erosion": ("BACC %", "AUROC")}
COLUMNS = ("what", "seeds", "DSC %", "NSD %", "AUROC", "BACC %", "F1 %")


def keep(results: Path, kept: Path = KEPT) -> None:
    """Replace the kept per-case results by those of a results folder.

    Raises:
        FileNotFoundError: The folder holds no finished jobs.
    """
    jobs = sorted(results.glob("jobs/*/job.json"))
    if not jobs:
        raise FileNotFoundError(f"{results}: no finished demonstration; run benchmarks/run_all.py first")
    shutil.rmtree(kept / "jobs", ignore_errors=True)
    for record in jobs:
        target = kept / "jobs" / record.parent.name
        target.mkdir(parents=True)
        for name in ROWS:
            if (record.parent / name).is_file():
                shutil.copyfile(record.parent / name, target / name)


def joint_table(folder: Path = ABLATIONS) -> Table:
    """Return the arms and columns of the free regime's table that the README shows."""
    table = next(table for table in load_tables(folder) if table.name == "ablations_free")
    rows = {row["Arm"].strip("`"): row for row in table.rows}
    ran = [
        arm
        for arm, row in rows.items()
        if fnmatch(arm, BEST_CLASSIFIER) and row.get("pixels of erosions") == "no" and isinstance(row["AUROC"], Figure)
    ]
    best = max(ran, key=lambda arm: rows[arm]["AUROC"].mean)
    rows[BEST_CLASSIFIER] = rows[best]
    shown = [
        {column: rows[arm].get(column, ABSENT) for column in COLUMNS} | {"what": what.format(best.partition("-")[2])}
        for arm, what in ARMS.items()
    ]
    return replace(table, rows=shown, note="", caption=VERSIONS.split(table.caption)[0])


def demonstration_table(tables: list[Table], seeds: list[int]) -> Table:
    """Return a few figures of the demonstration for each model that ran, without published ones."""
    rows: dict[str, dict[str, Any]] = {}
    for table in tables:
        for row in table.rows:
            figures = {column: replace(row[column], published=math.nan) for column in DEMONSTRATION.get(table.name, ())}
            if any(isinstance(figure, Figure) for figure in figures.values()):
                rows.setdefault(row["Model"], {"Model": row["Model"], "parameters": row["parameters"]}).update(figures)
    columns = list(dict.fromkeys(column for row in rows.values() for column in row))
    taught = f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}"
    caption = f"Data: test wrists of the phantom; protocol demo; no prompts; {taught}. {OVER_SEEDS}."
    cells = [{column: row.get(column, ABSENT) for column in columns} for row in rows.values()]
    return Table("demonstration", caption, cells)


def page_tables(kept: Path = KEPT) -> dict[str, str]:
    """Return all tables in Markdown by the name of their marker, made from the kept results and speeds."""
    results = read_results(kept)
    made = make_tables(results)
    seeds = sorted({record["seed"] for record in results.records})
    return {table.name: table.markdown() for table in made} | {
        "demonstration": demonstration_table(made, seeds).markdown(),
        "speed": speed_table(),
        "speed_short": speed_table(rows=SHORT),
        "scan": scan_table(),
        "builds": builds_table(),
        "targets": target_table(TARGETS),
        "training": training_table(),
        "joint": joint_table().markdown(),
        "finetune_sizes": "\n".join(finetune_sizes.table(pd.read_csv(finetune_sizes.KEPT))),
    }


def filled(page: str, tables: dict[str, str]) -> str:
    """Return a page with the tables of `page_tables` between its markers.

    Raises:
        KeyError: The page has a marker without a table.
    """
    return fill_blocks(page, "table", tables.__getitem__)


def main(argv: list[str] | None = None) -> int:
    """Fill or check the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="RESULTS", help="results folder of a demonstration")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if a page is out of date")
    arguments = parser.parse_args(argv)
    if arguments.keep:
        keep(arguments.keep)
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    tables = page_tables()
    stale = {page: wanted for page, text in texts.items() if (wanted := filled(text, tables)) != text}
    for page, wanted in stale.items():
        if arguments.check:
            print(f"{page.relative_to(ROOT)} is out of date; run: python benchmarks/readme.py")
        else:
            write_text(page, wanted)
    return int(arguments.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
