"""Read a results folder: job records, and the per-case results of finished jobs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from jointwrist.anatomy import WRIST, Anatomy, info_anatomy, shows_wrist
from jointwrist.benchmark.records import read_records
from jointwrist.benchmark.tables.cells import ABSENT, FAILED, NOT_RUN, OVER_SEEDS, NoFigure
from jointwrist.config import digest
from jointwrist.data.dataset.ram_w600 import RELEASE
from jointwrist.engine.config.run_config import hashed_values
from jointwrist.engine.results.case_results import read_case_results
from jointwrist.errors import DataError
from jointwrist.registry import list_models, model_spec
from jointwrist.text import number_of

#: Grids on which masks are measured, and the place of their results in a job's folder; see
#: `jointwrist.inference.radiograph_evaluation`.
GRIDS = {"network": ".", "image": "image", "image-raw": "image-raw"}
MEASURED = {
    "network": "masks measured at this size",
    "image": "masks measured on the radiographs' own pixels as predictions are written",
    "image-raw": "masks measured on the radiographs' own pixels without postprocessing",
}
#: Explanation of the published figures, on the network's grid and on the image grid.
PAPER = (
    "Rows marked published: the paper's figures on RAM-W600 at 512 px, {}; SAM and MedSAM were prompted there with"
    " boxes around the true bones."
)
THIRD_PARTY = (
    "Rows marked published: figures that a third party reports for nnU-Net on RAM-W600's test split, on the"
    " radiographs' own pixels, one run."
)
#: Longest list of settings in the name of a run, in characters.
LONGEST_NAME = 40
PUBLISHED = Path(__file__).parent.parent / "published.json"


@dataclass(frozen=True)
class Results:
    """Job records and per-case results.

    A run is a model in one configuration, with any number of seeds. It has the name of the model, followed by a hash of
    the configuration where a folder holds several configurations of the model.

    Attributes:
        records: One per job, with the name of its run under "run".
        per_case: Per-case results by table ("segmentation", and scores by name), of the cases that all runs of the
            table have.
        left_out: Number of cases that only some runs have, by table.
        grid: Grid of `GRIDS` on which the masks were measured.
    """

    records: list[dict[str, Any]]
    per_case: dict[str, pd.DataFrame]
    left_out: dict[str, int] = field(default_factory=dict)
    grid: str = "network"

    @cached_property
    def anatomy(self) -> Anatomy:
        """Bones and joints of the rows."""
        return info_anatomy(next((record for record in self.records if "anatomy" in record), {}))

    @property
    def case_noun(self) -> str:
        """What a case shows, in a word."""
        return "wrist" if shows_wrist(self.anatomy) else "radiograph"

    @property
    def on_release(self) -> bool:
        """Whether the figures come from RAM-W600, like the published ones."""
        return all(record.get("data", RELEASE) == RELEASE for record in self.records)

    def record(self, run: str) -> dict[str, Any]:
        """Return a finished job's record of a run."""
        return next(r for r in self.records if r["run"] == run and r["status"] == "ok")


def read_results(folder: Path, grid: str = "network") -> Results:
    """Read the records and per-case results of a results folder, on a grid of `GRIDS`.

    Raises:
        DataError: A record is damaged, or the jobs were tested on different data.
    """
    jobs = dict(read_records(folder))
    tables = ["segmentation"]
    if grid == "network":
        tables += [score.name for record in jobs.values() for score in info_anatomy(record).scores]
    rows: dict[str, list[pd.DataFrame]] = {table: [] for table in tables}
    if grid != "network":
        jobs = {job: record for job, record in jobs.items() if (job / GRIDS[grid] / "segmentation.csv").is_file()}
    records = list(jobs.values())
    name_runs(records)
    if len({record.get("data_digest") for record in records}) > 1:
        raise DataError(f"{folder}: its jobs were tested on different data; keep a results folder for each")
    for job, record in jobs.items():
        places = [job / place / f"{table}.csv" for place in GRIDS.values() for table in rows]
        if record["status"] == "ok" and not any(place.is_file() for place in places):
            raise DataError(f"{job}: is said to be finished, but holds no results; remove it and run the job again")
        for table, parts in rows.items():
            kept = job / GRIDS[grid] / f"{table}.csv"
            if record["status"] == "ok" and kept.is_file():
                part = read_case_results(kept)
                parts.append(part.assign(run=record["run"]))
    frames = {name: pd.concat(parts, ignore_index=True) for name, parts in rows.items() if parts}
    common = {name: common_cases(frame) for name, frame in frames.items()}
    left_out = {name: frames[name]["case"].nunique() - frame["case"].nunique() for name, frame in common.items()}
    return Results(records, common, left_out, grid)


def name_runs(records: list[dict[str, Any]]) -> None:
    """Add the name of its run to every record, under "run".

    It is the name of the model. Runs of one model in several configurations are told apart by the settings that differ,
    or, where these are too many, by a hash of them all.
    """
    configurations: dict[str, dict[str, dict[str, str]]] = {}
    for record in records:
        values = {key: value for key, value in hashed_values(record["config"]).items() if key != "seed"}
        record["run"] = digest(values)[:6]
        configurations.setdefault(record["model"], {})[record["run"]] = _settings(values)
    for record in records:
        alike = configurations[record["model"]]
        keys = sorted({key for one in alike.values() for key, _ in one.items() ^ alike[record["run"]].items()})
        named = ", ".join(f"{key}={alike[record['run']].get(key, 'default')}" for key in keys)
        suffix = named if len(named) <= LONGEST_NAME else record["run"]
        record["run"] = f"{record['model']} {suffix}" if keys else record["model"]


def _settings(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return the values of a tree as text, by their dotted keys."""
    settings: dict[str, str] = {}
    for key, value in values.items():
        settings |= (
            _settings(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": str(value)}
        )
    return settings


def common_cases(rows: pd.DataFrame) -> pd.DataFrame:
    """Keep the cases that every run and seed has, since figures over different cases cannot be compared."""
    runs = rows.groupby("case")[["run", "seed"]].apply(lambda part: len(part.drop_duplicates()))
    everywhere = runs.index[runs == len(rows[["run", "seed"]].drop_duplicates())]
    return rows[rows["case"].isin(everywhere)].reset_index(drop=True)


def ordered(runs: Iterable[str]) -> list[str]:
    """Sort runs: other tools and baselines by name, then joint networks."""
    joint = set(list_models(task="joint"))
    return sorted(runs, key=lambda run: (run.split()[0] in joint, run))


def label(run: str) -> str:
    """Name of a run in a table: the paper's name if there is one, and the name in the registry or of another tool."""
    model, *configuration = run.split()
    name = model_spec(model).published_name if model in list_models() else None
    text = f"{name} (`{model}`)" if name else f"`{model}`"
    return " ".join([text, *configuration])


def millions(parameters: int | None) -> str:
    """Parameter count in millions, or in full below ten thousand; a dash for another tool, where it is unknown."""
    if parameters is None:
        return ABSENT
    return f"{parameters / 1e6:.2f} M" if parameters >= 10_000 else f"{parameters:,}"


def published_figures(table: str, anatomy: Anatomy = WRIST) -> dict[str, dict[str, float]]:
    """Published figures by model: the paper's ("segmentation", "erosion") or those of third parties ("image_grid").

    They exist for wrists only.
    """
    if not shows_wrist(anatomy):
        return {}
    return json.loads(PUBLISHED.read_text(encoding="utf-8"))[table]


def absent_rows(
    results: Results, tasks: tuple[str, ...], columns: dict[str, str], published: dict[str, dict[str, float]]
) -> list[dict[str, Any]]:
    """Rows of models without a finished job, for some tasks; `columns` maps keys of the published table to titles."""
    finished = {record["model"] for record in results.records if record["status"] == "ok"}
    failed = {record["model"] for record in results.records} - finished
    rows = []
    for model in ordered(name for task in tasks for name in list_models(task=task)):
        if model in finished:
            continue
        spec = model_spec(model)
        figures = published.get(spec.published_name or "", {})
        cells = {
            title: NoFigure(FAILED if model in failed else NOT_RUN, figures.get(key, float("nan")))
            for key, title in columns.items()
        }
        rows.append({"Model": label(model), "parameters": millions(spec.parameters), **cells})
    return rows


def caption(what: str, results: Results, table: str, note: str = "", published: bool = False) -> str:
    """Return the caption of a table: data, protocol, sizes, prompts, seeds, and how to read the table."""
    rows = results.per_case[table]
    done = [results.record(run) for run in rows["run"].unique()]

    def values(key: str) -> str:
        return ", ".join(sorted({str(record["config"].get(key, "")) for record in done}))

    prompts = {record["config"].get("options", {}).get("prompt_source") for record in done} - {None}
    prompted = f"prompts: {', '.join(sorted(prompts))}" if prompts else "no prompts"
    seeds = sorted(map(str, rows["seed"].unique()), key=lambda seed: (len(seed), seed))
    parts = [
        f"{what}. Data: {' and '.join(sorted({record['data'] for record in done}))},"
        f" {number_of(rows['case'].nunique(), f'test {results.case_noun}')} of"
        f" {number_of(rows['patient'].nunique(), 'patient')};"
        f" protocol {', '.join(sorted({record['protocol'] for record in done}))}, images {values('image_size')} px"
        f"{', ' + MEASURED[results.grid] if table == 'segmentation' else ''};"
        f" {prompted}; {'seed' if len(seeds) == 1 else 'seeds'} {', '.join(seeds)}.",
        f"{OVER_SEEDS}.",
    ]
    if results.left_out.get(table):
        left_out = number_of(results.left_out[table], results.case_noun)
        parts.append(f"Left out: {left_out} that only some models were tested on.")
    if note:
        parts.append(note)
    if published:
        compared = (
            "in brackets our figure minus theirs"
            if results.on_release
            else "on other data, so that they cannot be compared"
        )
        parts.append(PAPER.format(compared) if results.grid == "network" else THIRD_PARTY)
    return " ".join(parts)
