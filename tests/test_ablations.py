"""The plan of the ablations, and its tables from rows alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from benchmarks.ablations import Ablations, kept_already, main, run_folder
from jointwrist.anatomy import JOINT_NAMES
from jointwrist.benchmark.ablations.figures import FIGURES, Figures
from jointwrist.benchmark.ablations.rows import Rows
from jointwrist.benchmark.ablations.tables import arm_table, difference, filled, write_ablations
from jointwrist.config import ConfigError, to_dict
from jointwrist.registry import list_models, model_spec

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (1, 2)
CASES = [f"{patient:04d}_0001_{side}" for patient in range(40) for side in "LR"]


@pytest.fixture(scope="module")
def plan():
    return Ablations.load()


def write_run(results, regime, arm, seed, quality, reports, config=None):
    """Rows of a network that is right about erosions as far as `quality` goes."""
    rng = np.random.default_rng([seed, len(arm)])
    eroded = np.random.default_rng(0).random((len(CASES), 6)) < 0.2
    folder = run_folder(results, regime, arm, seed)
    folder.mkdir(parents=True)
    value = 1 / (1 + np.exp(-(quality * eroded + rng.normal(size=eroded.shape))))
    if "erosion" in reports:
        pd.DataFrame(
            {"case": case, "patient": case[:4], "joint": joint, "score": int(eroded[i, j]), "probability": value[i, j]}
            for i, case in enumerate(CASES)
            for j, joint in enumerate(JOINT_NAMES)
        ).to_csv(folder / "erosion.csv", index=False)
    if "segmentation" in reports:
        pd.DataFrame(
            {
                "case": case,
                "patient": case[:4],
                "kind": kind,
                "region": "Capitate",
                "dsc": 0.9,
                "nsd": 0.8 + 0.01 * seed,
            }
            for case in CASES
            for kind in ("bone", "overlap")
        ).to_csv(folder / "segmentation.csv", index=False)
    record = {
        "status": "ok",
        "config": config or {"joint": {"segmenter": ""}},
        "parameters": 1,
        "seconds": 60.0,
        "machine": "a machine",
        "thresholds": {"erosion": 0.5},
        "revision": "abc",
    }
    (folder / "job.json").write_text(json.dumps(record))
    return eroded, value


@pytest.fixture
def results(tmp_path, plan):
    for seed in SEEDS:
        for arm, quality in (("S0", 0), ("S1", 3), ("C1", 1)):
            write_run(tmp_path, "free", arm, seed, quality, plan.arms[arm].reports)
        write_run(tmp_path, "free", "C5-moved", seed, 0.2, ("erosion",))
    return tmp_path


def test_every_arm_resolves_to_a_run_of_a_model_that_there_is(plan, tmp_path):
    runs = plan.runs(list(plan.regimes), list(plan.arms), list(plan.seeds))
    assert len(runs) == len(set(runs))
    for regime, arm, seed in runs:
        config = plan.config(regime, arm, seed, tmp_path)
        assert config.model in list_models() and config.task == model_spec(config.model).task
        assert (config.stream.wrists > 0) == (regime == "free")
    for retest in plan.retests.values():
        assert retest.of in plan.arms


def test_arms_of_the_joint_network_see_equally_many_images(plan, tmp_path):
    for regime in plan.regimes:
        seen = set()
        for arm, entry in plan.arms.items():
            if entry.model == "jointwrist_tiny" and arm != "C6" and regime in (entry.regimes or plan.regimes):
                config = plan.config(regime, arm, 1, tmp_path)
                seen.add((config.stream.wrists, config.stream.seed, config.optim.epochs, config.optim.batch_size))
        assert len(seen) == 1


def test_a_cascade_is_driven_by_the_weights_of_its_seed(plan, tmp_path):
    config = plan.config("free", "C2", 5, tmp_path)
    assert config.joint.segmenter == str(run_folder(tmp_path, "free", "S0", 5) / "best.safetensors")
    assert not plan.config("free", "S1", 5, tmp_path).joint.segmenter


def test_an_unknown_key_of_a_plan_is_an_error(tmp_path):
    (tmp_path / "plan.yaml").write_text("name: x\nphantom: {}\narmes: {}\n")
    with pytest.raises(ConfigError, match="armes"):
        Ablations.load(tmp_path / "plan.yaml")
    assert main(["--plan", str(tmp_path / "plan.yaml"), "--tables"]) == 2


def test_figures_are_those_of_the_rows(plan, results):
    rows = Rows.read(results).with_runs(results, plan)
    calls = pd.read_csv(run_folder(results, "free", "S1", 1) / "erosion.csv")
    expected = roc_auc_score(calls["score"] > 0, calls["probability"])
    assert rows.call_figures("free-S1-1")["AUROC"] == pytest.approx(expected, abs=1e-6)
    assert rows.masks["free-S1-2 nsd"].mean() == pytest.approx(0.82)


def test_differences_are_paired_and_have_the_right_sign(plan, results):
    rows = Rows.read(results).with_runs(results, plan)
    figures = Figures.of(rows)
    seeds, found, p = difference(rows, figures, "free", "S1", "C1", "AUROC")
    assert seeds == 2 and found.low < found.mean < found.high and found.mean > 0
    gaps = [figures.values[f"free-S1-{s}"]["AUROC"] - figures.values[f"free-C1-{s}"]["AUROC"] for s in SEEDS]
    seeds_alone = ttest_1samp(gaps, 0)
    low, high = seeds_alone.confidence_interval()
    assert found.low <= low + 1e-9 and found.high >= high - 1e-9 and p >= seeds_alone.pvalue - 1e-6
    seeds, same, p = difference(rows, figures, "free", "S1", "S0", "nsd")
    assert (seeds, same.mean, same.low, same.high, p) == (2, 0, 0, 0, 1)
    assert difference(rows, figures, "free", "S1", "S0", "AUROC") is None
    assert difference(rows, figures, "scarce", "S1", "C1", "AUROC") is None


def test_runs_of_different_versions_are_kept_apart(plan, results, tmp_path):
    newer = {"joint": {"segmenter": ""}, "protocol": "phantom-v1 free v2"}
    write_run(tmp_path / "new", "free", "S1", 2, 3, plan.arms["S1"].reports, newer)
    rows = Rows.read(results).with_runs(results, plan).with_runs(tmp_path / "new", plan)
    assert rows.of("free", "S1") == ["free-S1-2"] and rows.of("free", "C1") == ["free-C1-1", "free-C1-2"]
    figures = Figures.of(rows)
    assert difference(rows, figures, "free", "S1", "C1", "AUROC") is None
    table = arm_table(plan, rows, figures, "free")
    shown = {line["Arm"]: line.get("version") for line in table.rows}
    assert (shown["`S1`"], shown["`C1`"], shown["`C2`"]) == (2, 1, None)
    assert {line.get("pixels of erosions") for line in table.rows} == {"no", None}
    rows.runs["pixel_truth"] = [run == "free-S1-2" for run in rows.runs.index]
    assert arm_table(plan, rows, figures, "free").rows[1]["pixels of erosions"] == "yes"
    assert f"Version 1: {plan.versions[0]}" in table.caption and f"Version 2: {plan.versions[1]}" in table.caption
    assert plan.config("free", "S1", 1, tmp_path).protocol == f"phantom-v1 free v{plan.version}"


def test_a_single_seed_is_marked(plan, tmp_path):
    write_run(tmp_path, "free", "S1", 1, 3, plan.arms["S1"].reports)
    text = write_ablations(plan, tmp_path, tmp_path / "kept")
    assert "]†" in next(line for line in text.splitlines() if line.startswith("| `S1`"))


def test_tables_are_made_again_from_the_kept_rows_and_further_runs_add_to_them(plan, results, tmp_path):
    kept = tmp_path / "kept"
    first = write_ablations(plan, results, kept)
    assert write_ablations(plan, tmp_path / "nothing here", kept) == first
    line = next(line for line in first.splitlines() if line.startswith("| `S1`"))
    assert line.split("|")[3].strip() == "2"
    assert "not run" in next(line for line in first.splitlines() if line.startswith("| `C2`"))
    assert (kept / "ablations.png").stat().st_size > 10_000
    write_run(tmp_path / "more", "free", "S1", 3, 3, plan.arms["S1"].reports)
    more = write_ablations(plan, tmp_path / "more", kept)
    line = next(line for line in more.splitlines() if line.startswith("| `S1`"))
    assert line.split("|")[3].strip() == "3"


def test_nothing_finished_is_said(plan, tmp_path):
    assert write_ablations(plan, tmp_path) == "no run is finished yet"


def test_kept_runs_are_not_run_again_unless_their_weights_are_needed(plan, tmp_path):
    arms, kept = ("S0", "C2"), tmp_path / "kept"
    chosen = [("free", arm, 1) for arm in arms]

    def done(run):
        return kept_already(plan, Rows.read(kept), chosen, run, tmp_path)

    assert not done(chosen[0])
    for arm in arms:
        config = to_dict(plan.config("free", arm, 1, tmp_path / "elsewhere"))
        write_run(tmp_path / arm, "free", arm, 1, 1, plan.arms[arm].reports, config)
    write_ablations(plan, tmp_path / "S0", kept)
    assert not done(chosen[0])  # C2 wants its weights
    write_ablations(plan, tmp_path / "C2", kept)
    assert done(chosen[0]) and done(chosen[1])
    other = replace(plan, defaults=plan.defaults | {"image_size": 128})
    assert not kept_already(other, Rows.read(kept), chosen, chosen[1], tmp_path)


def test_the_page_holds_the_tables_of_the_kept_rows(plan):
    folder = ROOT / "docs" / "ablations"
    page = (ROOT / "docs" / "ablations.md").read_text(encoding="utf-8")
    assert filled(page, (folder / "tables.md").read_text(encoding="utf-8")) == page
    rows = Rows.read(folder)
    for regime in plan.regimes:
        for arm in plan.arms:
            runs = [run for run in rows.of(regime, arm) if run in rows.calls.columns]
            if runs:
                mean = np.mean([rows.call_figures(run)["AUROC"] for run in runs])
                table = (folder / f"ablations_{regime}.md").read_text(encoding="utf-8")
                line = next(line for line in table.splitlines() if line.startswith(f"| `{arm}`"))
                assert f"| {len(runs)} |" in line and f"| {mean:.{FIGURES['AUROC'][2]}f}" in line


def test_arms_that_are_taught_alike_do_not_differ_in_the_kept_rows(plan):
    """S0 and S5 hand encoder and decoder equal gradients."""
    table = pd.read_csv(ROOT / "docs" / "ablations" / "ablations_differences.csv")
    placebo = table[table["arms"].str.contains("placebo")]
    assert {"DSC %", "NSD %"} == set(placebo["figure"]) and "free" in set(placebo["Regime"])
    several = placebo[placebo["seeds"] > 1]
    assert {"DSC %", "NSD %"} == set(several["figure"])
    assert (several["difference low"] <= 0).all() and (several["difference high"] >= 0).all()
    assert placebo.loc[placebo["seeds"] == 1, ["difference low", "p"]].isna().all(axis=None)


def test_all_arms_choose_their_weights_by_one_rule(plan, tmp_path):
    rules = {plan.config(*run, tmp_path).optim.select for run in plan.runs(list(plan.regimes), list(plan.arms), [1])}
    assert rules == {"last"}
