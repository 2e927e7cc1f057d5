"""What ablation runs say of every test wrist, kept in a few hundred kilobytes.

`runs.csv`, `configs.json`, and a column a run in `erosion.csv.gz` (probabilities) and `segmentation.csv.gz` (mean over
bones). All figures are made from these, so they can be made again wherever the folder lies, and further runs add
columns.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.benchmark.tables.table import ABSENT
from jointwrist.files import atomic, write_text
from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.statistics import resampling_weights

MASKS, CALLS = "segmentation.csv.gz", "erosion.csv.gz"
KEYS = {MASKS: ["case", "patient"], CALLS: ["case", "patient", "joint", "score"]}
MASKED = ["dsc", "nsd"]


@dataclass(frozen=True)
class Rows:
    """Every run's figures of the test wrists.

    Attributes:
        runs: regime, arm, seed, parameters, seconds, machine, threshold and use of pixel truth, by run.
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
                    "pixel_truth": record.get("pixel_truth", ABSENT),
                    "revision": record["revision"][:12],
                }
            )
            configs[folder.name] = _portable(record["config"])
            reports = plan.arms[arm].reports if arm in plan.arms else ("erosion",)
            if "segmentation" in reports:
                rows = pd.read_csv(folder / "segmentation.csv", dtype={"patient": str})
                rows = rows[rows["kind"] == "bone"].groupby(KEYS[MASKS])[MASKED].mean()
                masks |= {f"{folder.name} {figure}": rows[figure] for figure in MASKED}
            if "erosion" in reports:
                rows = pd.read_csv(folder / "erosion.csv", dtype={"patient": str})
                calls[folder.name] = rows.set_index(KEYS[CALLS])["probability"]
        return Rows(
            pd.DataFrame(runs).T.rename_axis("run").sort_index(), _table(masks, MASKS), _table(calls, CALLS), configs
        )

    def of(self, regime: str, arm: str) -> list[str]:
        """Runs of an arm, one a seed, of the newest version of the plan that it was run by."""
        chosen = self.runs[(self.runs["regime"] == regime) & (self.runs["arm"] == arm)].sort_values("seed").index
        newest = max(map(self.version, chosen), default=0)
        return [run for run in chosen if self.version(run) == newest]

    def version(self, run: str) -> int:
        """Version of the plan that a run was made by; only runs of one version can be compared."""
        return int(self.configs[run].get("protocol", "").partition(" v")[2] or 1)

    def learned_pixels(self, run: str) -> bool:
        """Whether a run learned from the pixels of erosions, as joint runs of version 1 with a loss on them did."""
        known = self.runs.loc[run].get("pixel_truth")
        if known in (True, False):
            return bool(known)
        config = self.configs[run]
        return config.get("task") == "joint" and config["erosion"]["map"] > 0

    def call_figures(self, run: str) -> dict[str, float]:
        """Erosion figures of one run, joints pooled."""
        return {name: float(value[0]) for name, value in weighted_figures(*self._columns(run)).items()}

    def resampled(self, run: str) -> dict[str, np.ndarray]:
        """Erosion figures of bootstrap resamples of patients, joints pooled; the same patients for every run."""
        weights = resampling_weights(self.calls.index.get_level_values("patient"))
        return weighted_figures(*self._columns(run), weights)

    def _columns(self, run: str) -> tuple[np.ndarray, ...]:
        probability = self.calls[run].to_numpy(float)
        eroded = self.calls.index.get_level_values("score").to_numpy() > 0
        return eroded, probability, probability >= float(self.runs.loc[run, "threshold"])


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without folders of the machine that it ran on."""
    joint = config["joint"]
    segmenter = "/".join(Path(joint["segmenter"]).parts[-3:])
    return {**config, "joint": {**joint, "segmenter": segmenter}}


def _table(columns: dict[str, pd.Series], name: str) -> pd.DataFrame:
    return pd.DataFrame(columns).rename_axis(KEYS[name]).sort_index() if columns else pd.DataFrame()
