"""Jobs and tables of a results folder, as the page shows them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from jointwrist.benchmark.records import read_records
from jointwrist.benchmark.tables import make_tables, read_results
from jointwrist.benchmark.tables.results import label
from jointwrist.benchmark.tables.table import TABLES, Table, load_tables
from jointwrist.errors import DataError


@dataclass(frozen=True)
class Job:
    """One job of the benchmark.

    Attributes:
        name: Model, as the tables name it, and seed; with a hash of the configuration where two names would be equal.
        folder: Folder of its files.
        record: Its `job.json`.
    """

    name: str
    folder: Path
    record: dict[str, Any]

    @property
    def done(self) -> bool:
        """Whether it finished without an error."""
        return self.record.get("status") == "ok"

    def rows(self, table: str) -> pd.DataFrame | None:
        """Read `segmentation`, `erosion` or `history`, or return None where the job has no such file."""
        path = self.folder / f"{table}.csv"
        return pd.read_csv(path, dtype={"case": str, "patient": str}) if path.is_file() else None


def read_jobs(folder: Path) -> list[Job]:
    """List the jobs of a results folder.

    Raises:
        DataError: There are none, or a record is damaged.
    """
    jobs = [
        Job(f"{label(record['model']).replace('`', '')}, seed {record['seed']}", job, record)
        for job, record in read_records(folder)
    ]
    if not jobs:
        raise DataError(f"{folder}: no jobs/*/job.json in it; give a folder of benchmarks/run_all.py")
    names = [job.name for job in jobs]
    return [
        Job(f"{job.name}, {job.folder.name[-6:]}", job.folder, job.record) if names.count(job.name) > 1 else job
        for job in jobs
    ]


def read_tables(folder: Path) -> list[Table]:
    """Read the tables that the benchmark wrote; where an earlier version wrote them, make them from the rows.

    Raises:
        DataError: There are neither tables nor rows to make them from, or they are damaged.
    """
    tables = Path(folder) / "tables"
    return load_tables(tables) if (tables / TABLES).is_file() else make_tables(read_results(folder))
