"""The paper's tables, computed only from per-case results; `run_all.py --tables-only RESULTS` remakes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jointwrist.benchmark.tables.erosion import erosion_tables
from jointwrist.benchmark.tables.further import further_tables
from jointwrist.benchmark.tables.results import Results, read_results
from jointwrist.benchmark.tables.segmentation import segmentation_tables
from jointwrist.benchmark.tables.table import Table, save_tables
from jointwrist.errors import DataError
from jointwrist.files import write_text

__all__ = ["Results", "Table", "make_tables", "read_results", "write_tables"]


def make_tables(results: Results) -> list[Table]:
    """Make every table for which there are results, followed by the list of jobs."""
    tables = []
    if "segmentation" in results.per_case:
        tables += segmentation_tables(results)
    if "erosion" in results.per_case:
        tables += erosion_tables(results)
    tables += further_tables(results)
    return [*tables, job_table(results.records)]


def write_tables(folder: Path, grid: str = "network") -> list[Table]:
    """Write every table of a results folder as Markdown, LaTeX, CSV and JSON; return the tables.

    Tables on a grid other than the network's go into a folder and a file whose names end in the grid's name.

    Raises:
        DataError: The folder has no jobs on this grid, or jobs on different data.
    """
    results = read_results(folder, grid)
    if not results.records and grid != "network":
        raise DataError(f"{folder}: no masks were measured on the grid {grid}; give run_all.py the same options first")
    if not results.records:
        raise DataError(
            f"{folder}: no jobs/*/job.json in it; give a folder that run_all.py has written, such as"
            " results/demo-phantom"
        )
    tables, ending = make_tables(results), "" if grid == "network" else f"-{grid}"
    save_tables(Path(folder) / f"tables{ending}", tables)
    write_text(Path(folder) / f"README{ending}.md", "\n".join(table.markdown() for table in tables))
    return tables


def job_table(records: list[dict[str, Any]]) -> Table:
    """One row per job: status, epochs, seconds and machine."""
    rows = [
        {
            "Job": record["run"],
            "seed": record["seed"],
            "status": record["status"] if record["status"] == "ok" else record["error"].splitlines()[0],
            "epochs": record.get("epochs", ""),
            "seconds": record["seconds"],
            "machine": record["machine"],
        }
        for record in records
    ]
    return Table("jobs", "Jobs", rows)
