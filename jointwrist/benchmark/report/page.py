"""The HTML report of a results folder: one self-contained file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import numpy as np

from jointwrist import __version__
from jointwrist.anatomy import info_anatomy
from jointwrist.benchmark.report.folder import Job, read_jobs, read_tables
from jointwrist.benchmark.report.gallery import gallery
from jointwrist.benchmark.report.svg import colour, line_chart, quartile_chart, strip_chart
from jointwrist.benchmark.tables.table import Table
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.results.learning_curves import epochs_from_one
from jointwrist.errors import DataError
from jointwrist.files import write_text
from jointwrist.text import NOTICE, number_of

#: How much of a file is looked at for the beginning of a web page.
_START = 256
#: Validation figures of the learning curves, by column.
FIGURES = {"val_dsc": "DSC %", "val_nsd": "NSD %", "val_auroc": "AUROC of erosion"}
#: Quantities of the per-bone charts: column, title, factor.
BONE_FIGURES = (("dsc", "DSC %", 100), ("nsd", "NSD %", 100), ("msd", "MSD px", 1))


def write_report(results: str | Path, out: str | Path | None = None, dataset: RamW600 | None = None) -> Path:
    """Write the page of a results folder.

    Args:
        results: Folder that `benchmarks/run_all.py` wrote.
        out: File; None for `report.html` in the folder.
        dataset: Radiographs that the jobs were tested on, for the gallery; None leaves it out.

    Returns:
        The file.

    Raises:
        DataError: The folder holds no jobs or no tables, the release is another one, or the file exists and is no web
            page.
    """
    path = Path(out) if out else Path(results) / "report.html"
    if path.is_file() and not path.read_bytes()[:_START].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        raise DataError(f"{path}: exists, and is no report of an earlier run; give --out another name")
    write_text(path, build_page(Path(results), dataset))
    return path


def build_page(results: Path, dataset: RamW600 | None = None) -> str:
    """Return the page of a results folder; arguments and errors are those of `write_report`."""
    jobs, tables = read_jobs(results), read_tables(results)
    done = [job for job in jobs if job.done]
    assets = files("jointwrist.benchmark.report") / "assets"
    return Template((assets / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(f"{results.resolve().name}: wrist bones and erosion"),
        style=_joined(assets, "shared.css", "page.css"),
        script=_joined(assets, "switches.js", "page.js"),
        summary=escape(_summary(jobs)),
        training=_training(done),
        notice=escape(NOTICE),
        version=escape(__version__),
        tables="".join(_table(table) for table in tables if not table.frame.empty),
        curves="".join(_curves(job) for job in done) or _absent("No finished job has a history."),
        bones=_bones(done),
        erosion="".join(_erosion(job) for job in done) or _absent("No finished job scores erosion."),
        gallery=_gallery(done, dataset),
        failures=_failures(jobs),
    )


def _joined(assets: Traversable, *names: str) -> str:
    return "\n".join((assets / name).read_text(encoding="utf-8") for name in names)


def _summary(jobs: Sequence[Job]) -> str:
    def said(key: str) -> str:
        return ", ".join(sorted({str(job.record.get(key, "unknown")) for job in jobs}))

    count = sum(job.done for job in jobs)
    return (
        f"{count} of {number_of(len(jobs), 'job')} finished. Data: {said('data')}; protocol {said('protocol')};"
        f" {said('machine')}."
    )


def _training(jobs: Sequence[Job]) -> str:
    """Describe the training data of the networks, once for all networks with the same data."""
    seen: dict[tuple[str, str], list[str]] = {}
    for job in jobs:
        history = job.training
        warning = history.warning if history and job.scores else ""
        said = str(history) if history else "There is no record of the training data."
        seen.setdefault((said, warning), []).append(job.name)
    items = (
        f"<li>{escape('; '.join(names))}: {escape(said)} <b>{escape(warning)}</b></li>"
        for (said, warning), names in seen.items()
    )
    return f'<ul class="training">{"".join(items)}</ul>' if seen else ""


def _absent(text: str) -> str:
    return f'<p class="absent">{_marked(text)}</p>'


def _marked(text: str) -> str:
    """Escape a cell; text in backquotes becomes code."""
    return re.sub(r"`(.*?)`", r"<code>\1</code>", escape(text))


def _table(table: Table) -> str:
    frame = table.frame
    head = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{_marked(name)}</button></th>' for name in frame
    )
    rows = frame.itertuples(index=False, name=None)
    body = "".join("<tr>" + "".join(f"<td>{_marked(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    note = "".join(f'<p class="hint">{_marked(text)}</p>' for text in table.notes)
    return (
        f'<p class="caption" id="caption-{table.name}">{_marked(table.caption)}</p><div class="scroll" tabindex="0"'
        f' role="region" aria-labelledby="caption-{table.name}">'
        f'<table class="sortable" aria-labelledby="caption-{table.name}">'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>{note}"
    )


def _legend(names: Sequence[str]) -> str:
    items = "".join(f'<li><i style="background:{colour(i)}"></i>{escape(name)}</li>' for i, name in enumerate(names))
    return f'<ul class="legend">{items}</ul>'


def _curves(job: Job) -> str:
    history = job.rows("history")
    if history is None or history.empty:
        return ""
    epochs = epochs_from_one(history)["epoch"].to_list()
    charts = []
    for column in history.columns:
        if column.startswith("train_"):
            name = column.removeprefix("train_")
            series = {"training": history[column].to_numpy(float)}
            if f"val_{name}" in history:
                series["validation"] = history[f"val_{name}"].to_numpy(float)
            charts.append(line_chart(name, epochs, series))
    for column, title in FIGURES.items():
        if column in history and history[column].notna().any():
            values = history[column].to_numpy(float) * (100 if title.endswith("%") else 1)
            charts.append(line_chart(title, epochs, {"training": np.full(len(values), np.nan), "validation": values}))
    legend = _legend(["training", "validation"])
    return f'<h3>{escape(job.name)}</h3>{legend}<div class="charts">{"".join(charts)}</div>'


def _bones(jobs: Sequence[Job]) -> str:
    frames = {job.name: job.rows("segmentation") for job in jobs}
    frames = {name: rows[rows["kind"] == "bone"] for name, rows in frames.items() if rows is not None}
    if not frames:
        return _absent("No finished job draws bones.")
    displays = {bone.name: bone.display for job in jobs for bone in info_anatomy(job.record).bones}
    charts = []
    for column, title, factor in BONE_FIGURES:
        series = {
            name: {displays[bone]: factor * part[column].to_numpy(float) for bone, part in rows.groupby("region")}
            for name, rows in frames.items()
        }
        if not any(np.isfinite(values).any() for by_bone in series.values() for values in by_bone.values()):
            continue
        charts.append(quartile_chart(f"{title}, median and quartiles over wrists", list(displays.values()), series))
    return _legend(list(frames)) + f'<div class="charts">{"".join(charts)}</div>'


def _erosion(job: Job) -> str:
    rows = job.rows("erosion")
    if rows is None:
        return ""
    rows = rows[np.isfinite(rows["probability"])]
    groups = {
        joint.display: [
            (float(row.probability), int(row.score), str(row.case))
            for row in rows[rows["joint"] == joint.name].itertuples()
        ]
        for joint in info_anatomy(job.record).eroded_joints
    }
    warning = job.training.warning if job.training else ""
    caution = f'<p class="caution">{escape(warning)}</p>' if warning else ""
    return strip_chart(job.name, groups, job.record.get("thresholds", {}).get("erosion")) + caution


def _gallery(jobs: Sequence[Job], dataset: RamW600 | None) -> str:
    if dataset is None:
        return _absent("No radiographs were given; `jointwrist report RESULTS --data ROOT` adds the pictures.")
    drawn = [
        job for job in jobs if job.rows("segmentation") is not None and (job.folder / "best.safetensors").is_file()
    ]
    if not drawn:
        return _absent("No finished job draws bones and has its weights here.")
    switches = "".join(
        f'<label><input type="checkbox" checked data-toggle-bone="{bone.index}"><i style="background:rgb{bone.colour}">'
        f"</i>{escape(bone.display)}</label>"
        for bone in dataset.anatomy.bones
    )
    layers = "".join(
        f'<label><input type="checkbox" checked data-toggle-layer="{kind}">{kind} bones</label>'
        for kind in ("predicted", "true")
    )
    panel = f'<div class="switches"><div>{layers}</div><div>{switches}</div></div>'
    return panel + "".join(gallery(job, dataset) for job in drawn)


def _failures(jobs: Sequence[Job]) -> str:
    parts = [
        f"<details><summary>{escape(job.name)}: {escape(str(job.record.get('error', 'no error recorded')))}</summary>"
        f"<pre>{escape(str(job.record.get('traceback', '')))}</pre></details>"
        for job in jobs
        if not job.done
    ]
    return f'<section id="failures"><h2>Failed jobs</h2>{"".join(parts)}</section>' if parts else ""
