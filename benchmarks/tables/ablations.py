"""Rows, table, differences and picture of the ablations.

What a run says of every test wrist is kept in a few hundred kilobytes: `runs.csv`, `configs.json`, and a column a run
in `erosion.csv.gz` (probabilities) and `segmentation.csv.gz` (mean over bones). All figures are made from these, so
they can be made again wherever the folder lies, and further runs add columns.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.tables.table import ABSENT, NOT_RUN, Figure, PValue, Table
from jointwrist.anatomy import joint_index
from jointwrist.files import atomic, write_text
from jointwrist.metrics.erosion import erosion_metrics
from jointwrist.metrics.erosion_bootstrap import resample_erosion
from jointwrist.metrics.statistics import (
    bootstrap_difference,
    bootstrap_interval,
    bootstrap_p,
    percentile_interval,
)

MASKS, CALLS = "segmentation.csv.gz", "erosion.csv.gz"
KEYS = {MASKS: ["case", "patient"], CALLS: ["case", "patient", "joint", "score"]}
EROSION = {"AUROC": ("AUROC", 1), "AUPRC": ("AUPRC", 1), "BACC": ("BACC %", 100), "F1": ("F1 %", 100)}
MASK_FIGURES = {"dsc": "DSC %", "nsd": "NSD %"}


@dataclass(frozen=True)
class Rows:
    """Every run's figures of the test wrists.

    Attributes:
        runs: regime, arm, seed, parameters, seconds, machine and threshold, by run.
        masks: DSC and NSD of every wrist, columns (run, figure), by case; with the patients.
        calls: Probability of every joint surface, a column a run; with patient, joint and score.
        configs: Resolved configuration, by run.
    """

    runs: pd.DataFrame
    masks: pd.DataFrame
    calls: pd.DataFrame
    configs: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> Rows:
        """Read what was kept; a folder without rows gives empty tables."""
        if not (folder / "runs.csv").is_file():
            return cls(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {})
        masks, calls = (
            pd.read_csv(folder / name, dtype={"patient": str}).set_index(KEYS[name])
            if (folder / name).is_file()
            else pd.DataFrame()
            for name in (MASKS, CALLS)
        )
        configs = json.loads((folder / "configs.json").read_text(encoding="utf-8"))
        return cls(pd.read_csv(folder / "runs.csv", index_col="run"), masks, calls, configs)

    def write(self, folder: Path) -> None:
        """Keep the rows."""
        write_text(folder / "configs.json", json.dumps(self.configs, sort_keys=True))
        for name, frame in (("runs.csv", self.runs), (MASKS, self.masks), (CALLS, self.calls)):
            if frame.empty:
                continue
            # without the time of writing, equal rows make equal files
            packing = {"method": "gzip", "mtime": 0} if name.endswith("gz") else None
            with atomic(folder / name) as temporary:
                frame.to_csv(temporary, float_format="%.5g", compression=packing)

    def with_runs(self, results: Path, plan: Any) -> Rows:
        """Add the finished runs of a results folder; a run that was kept before is replaced."""
        runs, masks, calls = (
            {name: frame[name] for name in frame.columns} for frame in (self.runs.T, self.masks, self.calls)
        )
        configs = dict(self.configs)
        for record_path in sorted(results.glob("runs/*/job.json")):
            folder = record_path.parent
            record = json.loads(record_path.read_text(encoding="utf-8"))
            regime, rest = folder.name.split("-", 1)
            arm, _, seed = rest.rpartition("-")
            if record["status"] != "ok" or arm not in {**plan.arms, **plan.retests}:
                continue
            runs[folder.name] = pd.Series(
                {
                    "regime": regime,
                    "arm": arm,
                    "seed": int(seed),
                    "parameters": record["parameters"],
                    "seconds": record["seconds"],
                    "machine": record["machine"],
                    "threshold": record["thresholds"]["erosion"],
                    "revision": record["revision"][:12],
                }
            )
            configs[folder.name] = _portable(record["config"])
            reports = plan.arms[arm].reports if arm in plan.arms else ("erosion",)
            if "segmentation" in reports:
                rows = pd.read_csv(folder / "segmentation.csv", dtype={"patient": str})
                rows = rows[rows["kind"] == "bone"].groupby(KEYS[MASKS])[list(MASK_FIGURES)].mean()
                masks |= {f"{folder.name} {figure}": rows[figure] for figure in MASK_FIGURES}
            if "erosion" in reports:
                rows = pd.read_csv(folder / "erosion.csv", dtype={"patient": str})
                calls[folder.name] = rows.set_index(KEYS[CALLS])["probability"]
        return Rows(
            pd.DataFrame(runs).T.rename_axis("run").sort_index(), _table(masks, MASKS), _table(calls, CALLS), configs
        )

    def of(self, regime: str, arm: str) -> list[str]:
        """Runs of an arm, one a seed."""
        chosen = self.runs[(self.runs["regime"] == regime) & (self.runs["arm"] == arm)]
        return list(chosen.sort_values("seed").index)

    def call_figures(self, run: str) -> dict[str, float]:
        """Erosion figures of one run, joints pooled."""
        return erosion_metrics(*self._columns(run)).loc["pooled"].to_dict()

    def resampled(self, run: str) -> dict[str, np.ndarray]:
        """Erosion figures of bootstrap resamples of patients; the same patients for every run."""
        return resample_erosion(*self._columns(run), self.calls.index.get_level_values("patient"))["pooled"]

    def _columns(self, run: str) -> tuple[np.ndarray, ...]:
        probability = self.calls[run].to_numpy(float)
        index = self.calls.index
        joints = np.array([joint_index(name) for name in index.get_level_values("joint")])
        score = index.get_level_values("score").to_numpy()
        return score, probability, probability >= float(self.runs.loc[run, "threshold"]), joints


def write_ablations(plan: Any, results: Path, out: Path | None = None) -> str:
    """Take over the finished runs, write rows, tables and picture into a folder, return the tables as Markdown."""
    out = out or results
    rows = Rows.read(out).with_runs(results, plan)
    if rows.runs.empty:
        return "no run is finished yet"
    rows.write(out)
    resampled = {run: rows.resampled(run) for run in rows.calls.columns}
    tables = [arm_table(plan, rows, resampled, regime) for regime in plan.regimes]
    tables.append(difference_table(plan, rows, resampled))
    for table in tables:
        table.write(out)
    write_picture(plan, rows, resampled, out / "ablations.png")
    text = "\n".join(table.markdown() for table in tables)
    write_text(out / "tables.md", text)
    page = out.with_suffix(".md")
    if page.is_file():
        write_text(page, filled(page.read_text(encoding="utf-8"), text))
    return text


def filled(page: str, tables: str) -> str:
    """Return a page with the tables between its markers."""
    block = f"<!-- tables -->\n{tables.strip()}\n<!-- /tables -->"
    return re.sub("<!-- tables -->.*<!-- /tables -->", lambda _: block, page, flags=re.DOTALL)


def arm_table(plan: Any, rows: Rows, resampled: dict[str, dict[str, np.ndarray]], regime: str) -> Table:
    """Every arm of a regime: mean and SD over seeds, 95 % interval over patients."""
    lines = []
    for arm, entry in {**plan.arms, **plan.retests}.items():
        if regime not in (getattr(entry, "regimes", ()) or plan.regimes):
            continue
        runs = rows.of(regime, arm)
        line: dict[str, Any] = {"Arm": f"`{arm}`", "what": _title(plan, arm), "seeds": len(runs) or NOT_RUN}
        if runs:
            told = rows.runs.loc[runs]
            line["minutes"] = f"{told['seconds'].astype(float).mean() / 60:.1f}" if arm in plan.arms else ABSENT
            line["machine"] = ", ".join(sorted(set(told["machine"])))
            line |= {title: mask_figure(rows, runs, key) for key, title in MASK_FIGURES.items()}
            line |= {title: call_figure(rows, resampled, runs, key, by) for key, (title, by) in EROSION.items()}
        lines.append(line)
    eroded = ""
    if len(rows.calls.columns):
        share = float((rows.calls.index.get_level_values("score") > 0).mean())
        eroded = (
            f" {share:.1%} of the joint surfaces are eroded: calling all of them eroded gives F1"
            f" {2 * share / (1 + share):.1%}. Erosion: joints pooled; threshold of largest balanced accuracy on"
            " validation."
        )
    summary = (
        f"Ablations, {regime}: {plan.regimes[regime].summary}. Tested on {_count(rows)}.{eroded} Mean ± SD over seeds"
        " [95 % bootstrap interval over patients]"
    )
    return Table(f"ablations_{regime}", summary, lines)


def mask_figure(rows: Rows, runs: list[str], key: str) -> Figure | str:
    """DSC or NSD of an arm in per cent."""
    columns = [f"{run} {key}" for run in runs]
    if not set(columns) <= set(rows.masks.columns):
        return ABSENT
    values = 100 * rows.masks[columns]
    _, low, high = bootstrap_interval(values.mean(axis=1).to_numpy(), values.index.get_level_values("patient"))
    return Figure.over_seeds(values.mean(), low, high)


def call_figure(
    rows: Rows, resampled: dict[str, dict[str, np.ndarray]], runs: list[str], key: str, factor: float = 1.0
) -> Figure | str:
    """An erosion figure of an arm, times a factor."""
    if not set(runs) <= set(rows.calls.columns):
        return ABSENT
    values = [factor * rows.call_figures(run)[key] for run in runs]
    drawn = np.mean([factor * resampled[run][key] for run in runs], 0)
    _, low, high = percentile_interval(float(np.mean(values)), drawn)
    return Figure.over_seeds(values, low, high)


def difference_table(plan: Any, rows: Rows, resampled: dict[str, dict[str, np.ndarray]]) -> Table:
    """S1 minus every other arm, paired by patient over the seeds that both have."""
    lines = []
    for regime in plan.regimes:
        for arm in {**plan.arms, **plan.retests}:
            for figure, title in {**MASK_FIGURES, "AUROC": "AUROC"}.items():
                found = difference(rows, resampled, regime, arm, figure)
                if arm != "S1" and found is not None:
                    seeds, estimate, p = found
                    lines.append(
                        {
                            "Regime": regime,
                            "S1 minus": f"`{arm}`",
                            "figure": title,
                            "difference": estimate,
                            "p": PValue(p),
                            "seeds": seeds,
                        }
                    )
    caption = (
        "The joint network (S1) minus the other arms: means over the seeds that both have, the same patients resampled"
        " for both, 95 % interval and two-sided p of the bootstrap, not corrected for their number"
    )
    return Table("ablations_differences", caption, lines)


def difference(
    rows: Rows, resampled: dict[str, dict[str, np.ndarray]], regime: str, arm: str, figure: str
) -> tuple[int, Figure, float] | None:
    """Number of common seeds, S1 minus an arm with its interval, and p; None where one of them has no such figure."""
    seeds = {run.rpartition("-")[2] for run in rows.of(regime, "S1")} & {
        run.rpartition("-")[2] for run in rows.of(regime, arm)
    }
    ours, theirs = ([f"{regime}-{name}-{seed}" for seed in sorted(seeds)] for name in ("S1", arm))
    if not seeds:
        return None
    if figure in MASK_FIGURES:
        columns = [[f"{run} {figure}" for run in runs] for runs in (ours, theirs)]
        if not set(columns[1]) <= set(rows.masks.columns):
            return None
        first, second = (100 * rows.masks[chosen].mean(axis=1).to_numpy() for chosen in columns)
        found = bootstrap_difference(first, second, rows.masks.index.get_level_values("patient"))
        return len(seeds), Figure(found[0], low=found[1], high=found[2]), found[3]
    if not set(theirs) <= set(rows.calls.columns):
        return None
    mean = np.mean(
        [rows.call_figures(a)[figure] - rows.call_figures(b)[figure] for a, b in zip(ours, theirs, strict=True)]
    )
    draws = np.mean([resampled[a][figure] - resampled[b][figure] for a, b in zip(ours, theirs, strict=True)], 0)
    _, low, high = percentile_interval(float(mean), draws)
    return len(seeds), Figure(float(mean), low=low, high=high), bootstrap_p(draws)


def write_picture(plan: Any, rows: Rows, resampled: dict[str, dict[str, np.ndarray]], path: Path) -> None:
    """Draw erosion AUROC and NSD of every arm, a point a seed and the interval over patients."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    arms = [arm for arm in {**plan.arms, **plan.retests} if any(rows.of(regime, arm) for regime in plan.regimes)]
    figure, axes = plt.subplots(1, 2, figsize=(10, 0.34 * len(arms) + 1.2), sharey=True, layout="constrained")
    colours = {"free": "#1b6ca8", "scarce": "#d1495b"}
    for axis, key in zip(axes, ("AUROC", "nsd"), strict=True):
        for shift, regime in zip((-0.14, 0.14), plan.regimes, strict=True):
            for place, arm in enumerate(arms):
                runs = rows.of(regime, arm)
                if not runs:
                    continue
                if key == "nsd":
                    found = mask_figure(rows, runs, key)
                    points = [100 * rows.masks[f"{run} nsd"].mean() for run in runs if isinstance(found, Figure)]
                else:
                    found = call_figure(rows, resampled, runs, key)
                    points = [rows.call_figures(run)[key] for run in runs if isinstance(found, Figure)]
                if isinstance(found, Figure):
                    axis.plot([found.low, found.high], [place + shift] * 2, color=colours[regime], lw=2.5, alpha=0.5)
                    axis.plot(points, [place + shift] * len(points), "o", color=colours[regime], ms=4)
        axis.set_xlabel("erosion AUROC, from predicted masks" if key == "AUROC" else "NSD % (2 px)")
        axis.grid(axis="x", alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axvline(0.5, color="grey", lw=1, ls=":")
    axes[0].set_yticks(range(len(arms)), [f"{arm}: {_short(_title(plan, arm))}" for arm in arms])
    axes[0].invert_yaxis()
    handles = [plt.Line2D([], [], color=colours[r], marker="o", lw=2.5, label=r) for r in plan.regimes]
    axes[1].legend(handles=handles, frameon=False)
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without folders of the machine that it ran on."""
    joint = config["joint"]
    segmenter = "/".join(Path(joint["segmenter"]).parts[-3:])
    return {**config, "joint": {**joint, "segmenter": segmenter}}


def _table(columns: dict[str, pd.Series], name: str) -> pd.DataFrame:
    return pd.DataFrame(columns).rename_axis(KEYS[name]).sort_index() if columns else pd.DataFrame()


def _title(plan: Any, arm: str) -> str:
    entry = {**plan.arms, **plan.retests}[arm]
    return (
        f"{entry.title}, `{entry.model}`"
        if getattr(entry, "model", "jointwrist_tiny") != "jointwrist_tiny"
        else entry.title
    )


def _short(text: str, longest: int = 52) -> str:
    text = text.replace("`", "")
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _count(rows: Rows) -> str:
    index = rows.calls.index if len(rows.calls.columns) else rows.masks.index
    cases, patients = (index.get_level_values(name).nunique() for name in ("case", "patient"))
    return f"{cases} wrists of {patients} patients"
