"""Job records of a results folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jointwrist.errors import DataError

#: File in the folder of a job that is written when the job ends, finished or failed.
RECORD = "job.json"


def read_records(folder: str | Path, jobs: str = "jobs") -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield folder and record of every completed job, sorted by name.

    Args:
        folder: Results folder.
        jobs: Folder of the jobs in it.

    Raises:
        DataError: A record is damaged.
    """
    for path in sorted(Path(folder).glob(f"{jobs}/*/{RECORD}")):
        yield path.parent, read_record(path.parent)


def read_record(job: Path) -> dict[str, Any]:
    """Read the record of one job.

    Raises:
        DataError: The record is damaged.
    """
    path = job / RECORD
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        if missing := {"model", "seed", "status"} - set(record):
            raise ValueError(f"no {', '.join(sorted(missing))}")
    except (ValueError, TypeError) as error:
        raise DataError(f"{path}: not the record of a job ({error}); remove it and run the job again") from None
    return record
