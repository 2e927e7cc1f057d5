"""The paper's tables as pure functions of per-case rows: `python benchmarks/tables.py RESULTS` rebuilds them."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.files import atomic, write_text
from jointwrist.metrics.erosion import erosion_metrics
from jointwrist.registry import model_spec

PUBLISHED = Path(__file__).parent / "published.json"
NOT_RUN = "not run"

SEGMENTATION = {
    "dsc": ("DSC", "DSC %", 100),
    "nsd": ("NSD", "NSD %", 100),
    "voe": ("VOE", "VOE %", 100),
    "msd": ("MSD", "MSD px", 1),
}
EROSION = ("BACC", "F1", "DOR", "SEN", "SPC", "AUROC", "AUPRC")


@dataclass(frozen=True)
class Table:
    """One table ready to be written.

    Attributes:
        name: File stem and marker in the README.
        caption: Protocol, data, seeds and what the columns mean.
        frame: One row a model; text cells.
    """

    name: str
    caption: str
    frame: pd.DataFrame

    def markdown(self) -> str:
        """Caption and table in GitHub's Markdown."""
        header = "| " + " | ".join(self.frame.columns) + " |"
        rule = "|" + "|".join(" --- " if i == 0 else " ---: " for i in range(self.frame.shape[1])) + "|"
        rows = ["| " + " | ".join(str(cell) for cell in row) + " |" for row in self.frame.itertuples(index=False)]
        return "\n".join([f"**{self.caption}**", "", header, rule, *rows, ""])

    def latex(self) -> str:
        """Table for LaTeX with booktabs."""

        def escape(text: Any) -> str:
            text = str(text).replace("%", r"\%").replace("_", r"\_").replace("&", r"\&")
            return re.sub(r"`(.*?)`", r"\\texttt{\1}", text).replace("±", r"$\pm$")

        lines = [" & ".join(map(escape, row)) + r" \\" for row in self.frame.itertuples(index=False)]
        head = " & ".join(map(escape, self.frame.columns)) + r" \\"
        columns = "l" + "r" * (self.frame.shape[1] - 1)
        body = [r"\toprule", head, r"\midrule", *lines, r"\bottomrule"]
        caption, tabular = rf"\caption{{{escape(self.caption)}}}", rf"\begin{{tabular}}{{{columns}}}"
        return "\n".join([r"\begin{table}", caption, tabular, *body, r"\end{tabular}", r"\end{table}", ""])


def read_results(results: Path) -> tuple[list[dict[str, Any]], dict[str, pd.DataFrame]]:
    """Read all job records of a results folder, and the rows of its finished jobs by table."""
    records, frames = [], {"segmentation": [], "erosion": []}
    for path in sorted(Path(results).glob("jobs/*/job.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        records.append(record)
        if record["status"] == "ok":
            for table, parts in frames.items():
                if (path.parent / f"{table}.csv").is_file():
                    parts.append(pd.read_csv(path.parent / f"{table}.csv", dtype={"case": str, "patient": str}))
    return records, {name: pd.concat(parts, ignore_index=True) for name, parts in frames.items() if parts}


def case_means(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean over the regions of each case: undefined figures are left out, MSD over finite values as in the paper.

    Returns:
        One row per model, seed and case with dsc, nsd, voe, msd and `missed`, the bones missed altogether, which a
        finite MSD hides.
    """
    rows = rows.assign(
        missed=np.isinf(rows["msd"]) & (rows["dsc"] == 0), msd=rows["msd"].where(np.isfinite(rows["msd"]))
    )
    how = dict.fromkeys(SEGMENTATION, "mean") | {"missed": "sum"}
    return rows.groupby(["model", "seed", "case"], sort=False).agg(how).reset_index()


def segmentation_table(rows: pd.DataFrame, records: list[dict], kind: str = "bone") -> Table:
    """Table of the paper for bones, or the same over the 14 overlap regions (`kind="overlap"`)."""
    cases = case_means(rows[rows["kind"] == kind])
    seeds = cases.groupby(["model", "seed"]).agg({**dict.fromkeys(SEGMENTATION, "mean"), "missed": "sum"}).reset_index()
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["segmentation"] if kind == "bone" else {}
    lines = []
    for model in _ordered(seeds["model"].unique()):
        mine = seeds[seeds["model"] == model]
        name = model_spec(model).published_name
        cells = {title: spread(mine[key] * factor) for key, (_, title, factor) in SEGMENTATION.items()}
        cells["missed"] = f"{mine['missed'].mean():.1f}".removesuffix(".0")
        lines.append(_line(model, name, records, cells, published))
    lines += _not_run("segmentation", seeds["model"].unique(), published, list(SEGMENTATION_COLUMNS))
    return Table(
        "segmentation" if kind == "bone" else "overlap",
        _caption(f"{'Bones' if kind == 'bone' else 'Overlap regions'}", cases, records),
        pd.DataFrame(lines),
    )


SEGMENTATION_COLUMNS = (*(title for _, title, _ in SEGMENTATION.values()), "missed")


def erosion_table(rows: pd.DataFrame, records: list[dict], summary: str = "mean over joints") -> Table:
    """Table of the paper for erosion; `summary` is "pooled" or "mean over joints", which the published figures fit."""
    published = json.loads(PUBLISHED.read_text(encoding="utf-8"))["erosion"] if summary != "pooled" else {}
    lines = []
    figures = {
        (model, seed): erosion_figures(part).loc[summary] for (model, seed), part in rows.groupby(["model", "seed"])
    }
    models = _ordered({model for model, _ in figures})
    for model in models:
        mine = pd.DataFrame([figure for (name, _), figure in figures.items() if name == model])
        cells = {_title(key): spread(mine[key] * _factor(key)) for key in EROSION}
        lines.append(_line(model, model_spec(model).published_name, records, cells, published))
    lines += _not_run("erosion", models, published, [_title(key) for key in EROSION])
    name = "erosion" if summary != "pooled" else "erosion_pooled"
    positive = (rows.drop_duplicates(["case", "joint"])["score"] > 0).mean()
    return Table(
        name, _caption(f"Erosion, {summary}, {positive:.1%} of joints eroded", rows, records), pd.DataFrame(lines)
    )


def erosion_figures(rows: pd.DataFrame) -> pd.DataFrame:
    """Erosion metrics of one model and seed, indexed by "pooled", "mean over joints" and the joints."""
    from jointwrist.anatomy import joint_index

    return erosion_metrics(
        rows["score"].to_numpy(),
        rows["probability"].to_numpy(),
        rows["predicted"].to_numpy(),
        np.array([joint_index(name) for name in rows["joint"]]),
        rows["level"].to_numpy(),
    )


def spread(values: Iterable[float]) -> str:
    """Mean, with the standard deviation when there are several seeds."""
    values = np.asarray(list(values), float)
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return "undefined"
    text = f"{values.mean():.2f}"
    return f"{text} ± {values.std(ddof=1):.2f}" if len(values) > 1 else text


def write_tables(results: Path) -> list[Table]:
    """Write every table of a results folder as Markdown, LaTeX and CSV; return the tables."""
    records, frames = read_results(results)
    tables = []
    if "segmentation" in frames:
        tables += [segmentation_table(frames["segmentation"], records, kind) for kind in ("bone", "overlap")]
    if "erosion" in frames:
        tables += [erosion_table(frames["erosion"], records, summary) for summary in ("mean over joints", "pooled")]
    tables.append(job_table(records))
    folder = Path(results) / "tables"
    for table in tables:
        write_text(folder / f"{table.name}.md", table.markdown())
        write_text(folder / f"{table.name}.tex", table.latex())
        with atomic(folder / f"{table.name}.csv") as temporary:
            table.frame.to_csv(temporary, index=False)
    write_text(Path(results) / "README.md", "\n".join(table.markdown() for table in tables))
    return tables


def job_table(records: list[dict]) -> Table:
    """One row a job: what ran, for how long, and what failed."""
    lines = [
        {
            "Job": record["model"],
            "seed": record["seed"],
            "status": record["status"] if record["status"] == "ok" else record["error"].splitlines()[0],
            "epochs": record.get("epochs", ""),
            "seconds": record["seconds"],
            "machine": record["machine"],
        }
        for record in records
    ]
    return Table("jobs", "Jobs", pd.DataFrame(lines))


def _ordered(models: Iterable[str]) -> list[str]:
    """Joint networks last, the others by name."""
    return sorted(models, key=lambda name: (model_spec(name).task == "joint", name))


def _line(model: str, name: str | None, records: list[dict], cells: dict[str, str], published: dict) -> dict[str, str]:
    parameters = next(r["parameters"] for r in records if r["model"] == model and r["status"] == "ok")
    label = f"{name} (`{model}`)" if name else f"`{model}`"
    line = {"Model": label, "parameters": f"{parameters / 1e6:.2f} M", **cells}
    return line | _published_cells(name, published)


def _published_cells(name: str | None, published: dict) -> dict[str, str]:
    if not published:
        return {}
    columns = [key for key in next(iter(published.values())) if key != "params_M"]
    figures = published.get(name or "", {})
    return {f"published {key}": f"{figures[key]:.2f}" if key in figures else "-" for key in columns}


def _not_run(task: str, models: Iterable[str], published: dict, columns: list[str]) -> list[dict[str, str]]:
    """Rows of published models that this folder has no run of."""
    ours = {model_spec(name).published_name for name in models}
    return [
        {"Model": name, "parameters": "-", **dict.fromkeys(columns, NOT_RUN), **_published_cells(name, published)}
        for name in published
        if name not in ours
    ]


def _title(key: str) -> str:
    return key if key in ("DOR", "AUROC", "AUPRC") else f"{key} %"


def _factor(key: str) -> float:
    return 1.0 if key in ("DOR", "AUROC", "AUPRC") else 100.0


def _caption(what: str, rows: pd.DataFrame, records: list[dict]) -> str:
    done = [record for record in records if record["status"] == "ok"]
    data = " and ".join(sorted({record["data"] for record in done}))
    protocol = ", ".join(sorted({record["protocol"] for record in done}))
    sizes = ", ".join(sorted({str(record["config"]["image_size"]) for record in done}))
    seeds = ", ".join(str(seed) for seed in sorted({record["seed"] for record in done}))
    return (
        f"{what}. Data: {data}, {rows['case'].nunique()} test wrists; protocol {protocol}, images {sizes} px;"
        f" seeds {seeds}."
        " Columns marked published are the paper's, on RAM-W600 at 512 px."
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/tables.py RESULTS")
    for written in write_tables(Path(sys.argv[1])):
        print(written.markdown())
