"""What a results folder of the benchmark holds, as far as a page shows it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jointwrist.errors import DataError


@dataclass(frozen=True)
class Job:
    """One job of the benchmark.

    Attributes:
        name: Model and seed, with the digest of the configuration where that leaves two alike.
        folder: Where its files lie.
        record: Its `job.json`.
    """

    name: str
    folder: Path
    record: dict[str, Any]

    @property
    def done(self) -> bool:
        """Whether it came to an end without an error."""
        return self.record.get("status") == "ok"

    def rows(self, table: str) -> pd.DataFrame | None:
        """Read `segmentation`, `erosion` or `history`, or return None where the job has no such file."""
        path = self.folder / f"{table}.csv"
        return pd.read_csv(path, dtype={"case": str, "patient": str}) if path.is_file() else None


@dataclass(frozen=True)
class TextTable:
    """A table as it was written for people.

    Attributes:
        caption: What it shows.
        columns: Titles.
        rows: Cells.
    """

    caption: str
    columns: list[str]
    rows: list[list[str]]


def read_jobs(folder: Path) -> list[Job]:
    """List the jobs of a results folder.

    Raises:
        DataError: There are none, or a record is damaged.
    """
    jobs = []
    for path in sorted(Path(folder).glob("jobs/*/job.json")):
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            name = f"{record['model']}, seed {record['seed']}"
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}: not the record of a job ({error}); run the job again") from None
        jobs.append(Job(name, path.parent, record))
    if not jobs:
        raise DataError(f"{folder}: no jobs/*/job.json in it; give a folder of benchmarks/run_all.py")
    names = [job.name for job in jobs]
    return [
        Job(f"{job.name}, {job.folder.name[-6:]}", job.folder, job.record) if names.count(job.name) > 1 else job
        for job in jobs
    ]


def read_tables(folder: Path) -> list[TextTable]:
    """Read the tables that the benchmark wrote into the folder's README.md, in their order.

    Raises:
        DataError: The file is missing.
    """
    path = Path(folder) / "README.md"
    if not path.is_file():
        raise DataError(f"{path}: missing; `python benchmarks/run_all.py --tables-only {folder}` writes it")
    tables = []
    for block in re.split(r"\n(?=\*\*)", path.read_text(encoding="utf-8")):
        lines = block.strip().splitlines()
        grid = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines if line.startswith("|")]
        if len(grid) >= 2:
            tables.append(TextTable(lines[0].strip("*"), grid[0], grid[2:]))
    return tables
