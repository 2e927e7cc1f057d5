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
from jointwrist.engine.loop.trainer import BEST
from jointwrist.engine.results.case_results import read_case_results
from jointwrist.errors import DataError
from jointwrist.weights.checkpoint import read_info
from jointwrist.weights.training_history import TrainingHistory


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
        """Whether the job finished without an error."""
        return self.record.get("status") == "ok"

    @property
    def scores(self) -> bool:
        """Whether the job has erosion probabilities."""
        return (self.folder / "erosion.csv").is_file()

    @property
    def training(self) -> TrainingHistory | None:
        """Training data of the network, from the record or, if an earlier version wrote it, from the weight file.

        Raises:
            DataError: The record or the file is damaged.
        """
        weights = self.folder / BEST
        try:
            if "history" in self.record:
                return TrainingHistory.parse(self.record["history"])
            info = read_info(weights) if weights.is_file() else None
            return None if info is None else TrainingHistory.of(info)
        except ValueError as error:
            raise DataError(f"{self.folder}: {error}") from None

    def rows(self, table: str) -> pd.DataFrame | None:
        """Read `segmentation`, `erosion` or `history`, or return None where the job has no such file."""
        path = self.folder / f"{table}.csv"
        return read_case_results(path, "epoch" if table == "history" else "case") if path.is_file() else None


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
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; give one of benchmarks/run_all.py")
        raise DataError(f"{folder}: no jobs/*/job.json in it; give a folder of benchmarks/run_all.py")
    names = [job.name for job in jobs]
    return [
        Job(f"{job.name}, {job.folder.name[-6:]}", job.folder, job.record) if names.count(job.name) > 1 else job
        for job in jobs
    ]


def read_tables(folder: Path) -> list[Table]:
    """Read the tables that the benchmark wrote; those of an earlier version are remade from per-case results.

    Raises:
        DataError: There are neither tables nor rows to make them from, or they are damaged.
    """
    tables = Path(folder) / "tables"
    return load_tables(tables) if (tables / TABLES).is_file() else make_tables(read_results(folder))
