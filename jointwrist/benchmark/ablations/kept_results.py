"""Compact per-case results of the ablation runs, a few hundred kilobytes in all.

The folder holds `runs.csv`, `configs.json`, and one column per run in `erosion.csv.gz` (probabilities) and
`segmentation.csv.gz` (means over bones). All figures are computed from these files. Further runs add columns.
"""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from jointwrist.benchmark.ablations.plan import Ablations
from jointwrist.benchmark.records import read_records
from jointwrist.benchmark.tables.cells import ABSENT
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.results.case_results import read_case_results
from jointwrist.files import atomic, write_text
from jointwrist.metrics.erosion_bootstrap import weighted_figures
from jointwrist.metrics.erosion_call import call_eroded
from jointwrist.metrics.statistics import resampling_weights

MASKS, CALLS = "segmentation.csv.gz", "erosion.csv.gz"
KEYS = {MASKS: ["case", "patient"], CALLS: ["case", "patient", "joint", "score"]}
MASKED = ["dsc", "nsd"]


@dataclass(frozen=True)
class KeptResults:
    """Per-case results of all runs on the test wrists.

    Attributes:
        runs: regime, arm, seed, parameters, seconds, machine, threshold and use of pixel truth, by run.
        masks: DSC and NSD of every wrist, columns "RUN FIGURE", indexed by case and patient.
        calls: Probability of every joint surface, one column per run, indexed by case, patient, joint and score.
        configs: Resolved configuration, by run.
    """

    runs: pd.DataFrame
    masks: pd.DataFrame
    calls: pd.DataFrame
    configs: dict[str, dict[str, Any]]

    @classmethod
    def read(cls, folder: Path) -> KeptResults:
        """Read a folder; without results, the tables are empty."""
        if not (folder / "runs.csv").is_file():
            return cls(pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), {})
        masks, calls = (
            read_case_results(folder / name).set_index(KEYS[name]) if (folder / name).is_file() else pd.DataFrame()
            for name in (MASKS, CALLS)
        )
        configs = json.loads((folder / "configs.json").read_text(encoding="utf-8"))
        return cls(pd.read_csv(folder / "runs.csv", index_col="run"), masks, calls, configs)

    def write(self, folder: Path) -> None:
        """Write the folder."""
        write_text(folder / "configs.json", json.dumps(self.configs, sort_keys=True))
        for name, frame in (("runs.csv", self.runs), (MASKS, self.masks), (CALLS, self.calls)):
            if frame.empty:
                continue
            text = frame.to_csv(float_format="%.5g").encode()
            with atomic(folder / name) as temporary:  # without timestamps, so that equal results give equal files
                temporary.write_bytes(gzip.compress(text, mtime=0) if name.endswith(".gz") else text)

    def with_runs(self, results: Path, plan: Ablations) -> KeptResults:
        """Add the finished runs of a results folder; they replace kept runs of the same name.

        Raises:
            DataError: The record of a run is damaged.
        """
        runs, masks, calls = (
            {name: frame[name] for name in frame.columns} for frame in (self.runs.T, self.masks, self.calls)
        )
        configs = dict(self.configs)
        for folder, record in read_records(results, "runs"):
            regime, rest = folder.name.split("-", 1)
            arm, _, seed = rest.rpartition("-")
            if record["status"] != "ok" or arm not in plan.entries:
                continue
            run = run_name(folder.name, _version(record["config"]))
            runs[run] = pd.Series(
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
            configs[run] = _portable(record["config"])
            reports = plan.arms[arm].reports if arm in plan.arms else ("erosion",)
            if "segmentation" in reports:
                rows = read_case_results(folder / "segmentation.csv")
                rows = rows[rows["kind"] == "bone"].groupby(KEYS[MASKS])[MASKED].mean()
                masks |= {f"{run} {figure}": rows[figure] for figure in MASKED}
            if "erosion" in reports:
                rows = read_case_results(folder / "erosion.csv")
                calls[run] = rows.set_index(KEYS[CALLS])["probability"]
        return KeptResults(
            pd.DataFrame(runs).T.rename_axis("run").sort_index(), _table(masks, MASKS), _table(calls, CALLS), configs
        )

    def of_versions(self, versions: dict[str, int], plan: Ablations) -> KeptResults:
        """Keep the runs of one version per regime, with the earlier ones that it left unchanged.

        Args:
            versions: Version of the plan by regime.
            plan: Plan of the ablations.
        """
        chosen = [
            run
            for run, entry in self.runs.iterrows()
            if entry["regime"] in versions
            and entry["arm"] in plan.entries
            and self.version(run) == plan.arm_version(entry["arm"], versions[entry["regime"]])
        ]
        masks = [column for column in self.masks.columns if column.rpartition(" ")[0] in chosen]
        calls = [run for run in self.calls.columns if run in chosen]
        return KeptResults(
            self.runs.loc[chosen],
            self.masks[masks].dropna(how="all"),  # wrists that other versions were tested on
            self.calls[calls].dropna(how="all"),
            {run: self.configs[run] for run in chosen},
        )

    def of(self, regime: str, arm: str) -> list[str]:
        """Runs of an arm, one per seed and version, in the order of the seeds."""
        chosen = self.runs[(self.runs["regime"] == regime) & (self.runs["arm"] == arm)]
        return list(chosen.sort_values("seed", kind="stable").index)

    def version(self, run: str) -> int:
        """Version of the plan in which the training of a run last changed."""
        return _version(self.configs[run])

    def learned_pixels(self, run: str) -> bool:
        """Whether a run was trained with eroded pixels; for records of version 1, inferred from the loss weights."""
        known = self.runs.loc[run].get("pixel_truth")
        if known in (True, False):
            return bool(known)
        config = current_keys(self.configs[run])
        return config.get("task") == "joint" and config["erosion"]["heat_map"] > 0

    def call_figures(self, run: str) -> dict[str, float]:
        """Erosion figures of one run, over all joints pooled."""
        return {name: float(value[0]) for name, value in weighted_figures(*self._columns(run)).items()}

    def resampled(self, run: str) -> dict[str, np.ndarray]:
        """The same figures on bootstrap resamples of the patients, which are the same for every run."""
        weights = resampling_weights(self.calls.index.get_level_values("patient"))
        return weighted_figures(*self._columns(run), weights)

    def _columns(self, run: str) -> tuple[np.ndarray, ...]:
        probability = self.calls[run].to_numpy(float)
        eroded = self.calls.index.get_level_values("score").to_numpy() > 0
        return eroded, probability, call_eroded(probability, self.runs.loc[run, "threshold"])


def run_name(folder: str, version: int) -> str:
    """Name of a run in the kept files: that of its folder, followed from version 2 on by the version of the plan."""
    return folder if version == 1 else f"{folder}-v{version}"


def _version(config: dict[str, Any]) -> int:
    return int(config.get("protocol", "").partition(" v")[2] or 1)


def _portable(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without machine-specific folders."""
    joint = config["joint"]
    segmenter = "/".join(Path(joint["segmenter"]).parts[-3:])
    return {**config, "joint": {**joint, "segmenter": segmenter}}


def _table(columns: dict[str, pd.Series], name: str) -> pd.DataFrame:
    return pd.DataFrame(columns).rename_axis(KEYS[name]).sort_index() if columns else pd.DataFrame()
