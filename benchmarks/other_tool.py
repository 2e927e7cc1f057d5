"""Add another tool's predictions to the tables of a results folder.

python benchmarks/other_tool.py RESULTS SCORES --name NAME

SCORES is the folder that `jointwrist evaluate --predictions` wrote for the same test wrists. Its masks were measured on
the radiographs' own pixels, so they appear in the tables of `run_all.py --tables-only RESULTS --grid image`; erosion
scores appear in all tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from jointwrist.benchmark.records import RECORD, read_records
from jointwrist.benchmark.tables.results import GRIDS
from jointwrist.commands.options import seed_number
from jointwrist.config import digest
from jointwrist.engine.results.case_results import read_case_results
from jointwrist.errors import DataError
from jointwrist.files import write_frame, write_text
from jointwrist.registry import list_models

#: Place of the per-case results in the folder of a job.
_PLACES = {"segmentation": Path(GRIDS["image"], "segmentation.csv"), "erosion": Path("erosion.csv")}


def add_scores(results: Path, scores: Path, name: str, seed: int | None = None) -> Path:
    """Make a job of the per-case results of another tool.

    Args:
        results: Results folder with finished jobs of our models.
        scores: Folder with `segmentation.csv`, `erosion.csv` or both.
        name: Name of the model in the tables.
        seed: Seed of the tool's training, as tests pair models by seed; None for that of our first job.

    Returns:
        Folder of the job. A job of the same name and seed is replaced.

    Raises:
        DataError: There are no jobs or no results, a model of ours has the name, or the wrists differ.
    """
    ours = _finished(results)
    if name in list_models() or not name or name.split() != [name]:
        raise DataError(f"--name {name!r}: must be one word, and no model of ours")
    first = ours[0]
    seed = first["seed"] if seed is None else seed
    config = {key: first["config"].get(key, default) for key, default in (("image_size", 0), ("metrics", {}))}
    config |= {"model": name, "seed": seed}
    record = {
        **{key: first[key] for key in ("protocol", "data", "data_digest")},
        "model": name,
        "seed": seed,
        "config": config,
        "status": "ok",
        "parameters": None,
        "seconds": None,
        "machine": "another tool",
    }
    job = results / "jobs" / f"{name}-seed{seed}-{digest(config)}"
    found = {table: scores / f"{table}.csv" for table in _PLACES if (scores / f"{table}.csv").is_file()}
    if not found:
        raise DataError(
            f"{scores}: holds no rows; write them with `jointwrist evaluate --predictions ... --out {scores}`"
        )
    rows = {table: read_case_results(path) for table, path in found.items()}
    for table, frame in rows.items():
        known = _cases(results, table)
        if foreign := set(frame["case"]) - known:
            raise DataError(
                f"{found[table]}: {sorted(foreign)[0]} is not a test wrist of {results}; give scores of its test split"
            )
    for table, frame in rows.items():
        columns = {"model": name, "protocol": record["protocol"], "seed": seed}
        frame = frame.drop(columns=[key for key in columns if key in frame])
        write_frame(job / _PLACES[table], frame.assign(**columns))
    write_text(job / RECORD, json.dumps(record, indent=1, sort_keys=True))
    return job


def _finished(results: Path) -> list[dict[str, Any]]:
    """Records of our finished jobs."""
    records = [record for _, record in read_records(results)]
    done = [record for record in records if record["status"] == "ok" and record["model"] in list_models()]
    if not done:
        raise DataError(f"{results}: holds no finished jobs; run benchmarks/run_all.py with this folder first")
    return done


def _cases(results: Path, table: str) -> set[str]:
    """Test wrists of the jobs."""
    paths = [*results.glob(f"jobs/*/{table}.csv"), *results.glob(f"jobs/*/*/{table}.csv")]
    return {case for path in paths for case in read_case_results(path)["case"]}


def main(argv: list[str] | None = None) -> int:
    """Add the results of another tool to a results folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path, help="results folder of benchmarks/run_all.py")
    parser.add_argument("scores", type=Path, help="folder that `jointwrist evaluate --predictions` wrote")
    parser.add_argument("--name", required=True, help="name of the model in the tables, one word")
    parser.add_argument("--seed", type=seed_number, help="seed of its training (default: the first of our jobs)")
    arguments = parser.parse_args(argv)
    try:
        job = add_scores(arguments.results, arguments.scores, arguments.name, arguments.seed)
    except DataError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{job}; tables: python benchmarks/run_all.py --tables-only {arguments.results} --grid image")
    return 0


if __name__ == "__main__":
    sys.exit(main())
