"""Tables of the README: of the demonstration, the ablations and the speeds whose rows are kept in the repository.

python benchmarks/readme.py                  write the tables between the README's markers
python benchmarks/readme.py --keep RESULTS   take over the rows of a new demonstration first
python benchmarks/readme.py --check          say whether the README is up to date
"""

from __future__ import annotations

import argparse
import math
import re
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.speed_table import speed_table
from benchmarks.tables import Table, make_tables, read_results
from benchmarks.tables.table import NoFigure
from jointwrist.files import write_text

ROOT = Path(__file__).resolve().parent.parent
README, KEPT = ROOT / "README.md", ROOT / "docs" / "demo"
ABLATIONS = ROOT / "docs" / "ablations" / "ablations_free.md"
ROWS = ("job.json", "segmentation.csv", "erosion.csv")
#: Arms and columns of the ablations that the README shows.
ARMS = ("S1", "S0", "C2", "C1", "C0-resnet", "T-unetpp", "T-umamba_enc", "C5-moved")
COLUMNS = ("what", "seeds", "DSC %", "NSD %", "AUROC", "BACC %", "F1 %")


def keep(results: Path, kept: Path = KEPT) -> None:
    """Replace the kept rows by those of a results folder.

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


def shown(table: Table) -> Table:
    """Leave out the models that neither ran nor have a published figure."""

    def told(row: dict[str, Any]) -> bool:
        absent = [cell for cell in row.values() if isinstance(cell, NoFigure)]
        return not absent or any(not math.isnan(cell.published) for cell in absent)

    return replace(table, rows=[row for row in table.rows if told(row)])


def joint_table(path: Path = ABLATIONS) -> str:
    """Return the caption, and the arms and columns that the README shows, of the table of the free regime."""
    caption, _, *lines = path.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines if line]
    places = [cells[0].index(name) for name in COLUMNS]
    rows = {row[0].strip("`"): [row[place] for place in places] for row in cells}
    chosen = [list(COLUMNS), ["---", *["---:"] * (len(COLUMNS) - 1)], *(rows[arm] for arm in ARMS)]
    return "\n".join([caption, "", *(f"| {' | '.join(row)} |" for row in chosen)])


def filled(readme: str, kept: Path = KEPT) -> str:
    """Return the README with every table between its markers made anew from the kept rows and speeds.

    Raises:
        KeyError: The README has a marker for a table that there is not.
    """
    tables = {table.name: shown(table).markdown() for table in make_tables(read_results(kept))}
    tables |= {"speed": speed_table(), "joint": joint_table()}

    def block(match: re.Match[str]) -> str:
        return f"{match.group(1)}\n{tables[match.group(2)].strip()}\n<!-- /table -->"

    return re.sub(r"(<!-- table:(\w+) -->).*?<!-- /table -->", block, readme, flags=re.DOTALL)


def main(argv: list[str] | None = None) -> int:
    """Fill or check the README."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, metavar="RESULTS", help="results folder of a demonstration")
    parser.add_argument("--check", action="store_true", help="change nothing; exit with 1 if the README is stale")
    arguments = parser.parse_args(argv)
    if arguments.keep:
        keep(arguments.keep)
    text = README.read_text(encoding="utf-8")
    wanted = filled(text)
    if arguments.check and wanted != text:
        print("README.md is stale; run: python benchmarks/readme.py")
        return 1
    if wanted != text:
        write_text(README, wanted)
    return 0


if __name__ == "__main__":
    sys.exit(main())
