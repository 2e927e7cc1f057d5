"""The plan of the ablations, and its tables from rows alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from benchmarks import layouts
from benchmarks.ablations import FILE, main, parse_arguments
from jointwrist import registry
from jointwrist.anatomy import JOINT_NAMES
from jointwrist.benchmark.ablations import runs
from jointwrist.benchmark.ablations.estimates import FIGURES, Figures
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations, Version, run_folder
from jointwrist.benchmark.ablations.runs import kept_already
from jointwrist.benchmark.ablations.tables import difference, filled, write_ablations
from jointwrist.benchmark.ablations.versions import progress, shown_version
from jointwrist.benchmark.tables.table import load_tables
from jointwrist.config import ConfigError, to_dict
from jointwrist.engine.run_data.datasets import pairs_per_batch
from jointwrist.registry import list_models, model_spec

ROOT = Path(__file__).resolve().parent.parent
SEEDS = (1, 2)
CASES = [f"{patient:04d}_0001_{side}" for patient in range(40) for side in "LR"]


@pytest.fixture(scope="module")
def plan():
    return Ablations.load(FILE)


def write_run(results, regime, arm, seed, quality, reports, config=None):
    """KeptResults of a network that is right about erosions as far as `quality` goes."""
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
        "model": "a model",
        "seed": seed,
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


def test_the_plan_of_the_layouts_builds_the_encoders_that_its_arms_name(tmp_path, monkeypatch):
    list_models()  # registers the installed models, which would otherwise be undone after this test
    for name in ("_SPECS", "_BUILDERS", "_RENAMED", "_VERSIONS"):
        monkeypatch.setattr(registry, name, dict(getattr(registry, name)))
    layouts.enter_model()
    plan = Ablations.load(layouts.FILE)
    for arm in plan.arms:
        config = plan.config(layouts.REGIME, arm, 1, tmp_path)
        encoder = layouts.EncoderDecoder(**config.options).encoder
        named = {"mamba": "mm-mm-mmm-mm", "swin": "aa-aa-aaa-aa", "conv": "cc-cc-ccc-cc"}.get(arm, arm)
        assert layouts.letters(encoder) == named


def test_every_arm_resolves_to_a_run_of_a_model_that_there_is(plan, tmp_path):
    runs = plan.runs(list(plan.regimes), list(plan.arms), list(plan.seeds))
    assert len(runs) == len(set(runs))
    for regime, arm, seed in runs:
        config = plan.config(regime, arm, seed, tmp_path)
        assert config.model in list_models() and config.task == model_spec(config.model).task
        assert (config.stream.wrists > 0) == (regime == "free")
    for retest in plan.retests.values():
        assert retest.of in plan.arms


def test_arms_of_the_joint_network_see_equally_many_labelled_images_in_as_many_steps(plan, tmp_path):
    for regime in plan.regimes:
        seen = set()
        for arm, entry in plan.arms.items():
            if entry.model == "jointwrist_tiny" and arm != "C6" and regime in (entry.regimes or plan.regimes):
                config = plan.config(regime, arm, 1, tmp_path)
                labelled = config.optim.batch_size - 2 * pairs_per_batch(config)
                seen.add((config.stream.wrists, config.stream.seed, config.optim.epochs, labelled))
        assert len(seen) == 1


def test_a_cascade_is_driven_by_the_weights_of_its_seed(plan, tmp_path):
    config = plan.config("free", "C2", 5, tmp_path)
    assert config.joint.segmenter == str(run_folder(tmp_path, "free", "S0", 5) / "best.safetensors")
    assert not plan.config("free", "S1", 5, tmp_path).joint.segmenter


def test_arms_that_differ_in_precision_are_not_run_in_one_process(tmp_path):
    plan = Ablations.load(FILE.with_name("precision.yaml"))
    chosen = plan.runs(["free"], ["float32", "bfloat16"], [3407])
    assert [runs.common_precision(plan, [run], tmp_path) for run in chosen] == ["no", "bf16"]
    with pytest.raises(ConfigError, match=r"no: float32; bf16: bfloat16.*--arms"):
        runs.run_plan(plan, runs.Choice(), tmp_path, tmp_path)


def test_commands_in_a_plan_run_all_its_arms_in_a_folder_of_their_own():
    lines = FILE.with_name("precision.yaml").read_text().splitlines()
    comments = [line[1:].strip() for line in lines if line.startswith("#")]
    (options,) = [line.split('"')[1] for line in comments if line.startswith("options=")]
    commands = [line.replace("$options", options).split() for line in comments if line.startswith("python")]
    given = [parse_arguments(words[2:]) for words in commands]
    plan = Ablations.load(ROOT / given[0].plan)
    assert [arm for one in given for arm in one.arms] == list(plan.arms)
    assert len({(one.plan, one.results, one.out) for one in given}) == 1
    usual = parse_arguments([])
    assert given[0].results != usual.results and given[0].out != usual.out


def test_an_unknown_key_of_a_plan_is_an_error(tmp_path):
    (tmp_path / "plan.yaml").write_text("name: x\nphantom: {}\narmes: {}\n")
    with pytest.raises(ConfigError, match="armes"):
        Ablations.load(tmp_path / "plan.yaml")
    assert main(["--plan", str(tmp_path / "plan.yaml"), "--tables"]) == 2


def test_figures_are_those_of_the_rows(plan, results):
    rows = KeptResults.read(results).with_runs(results, plan)
    calls = pd.read_csv(run_folder(results, "free", "S1", 1) / "erosion.csv")
    expected = roc_auc_score(calls["score"] > 0, calls["probability"])
    assert rows.call_figures("free-S1-1")["AUROC"] == pytest.approx(expected, abs=1e-6)
    assert rows.masks["free-S1-2 nsd"].mean() == pytest.approx(0.82)


def test_differences_are_paired_and_have_the_right_sign(plan, results):
    rows = KeptResults.read(results).with_runs(results, plan)
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


NEWER = {"joint": {"segmenter": ""}, "protocol": "phantom-v1 free v2"}


@pytest.fixture
def small(plan):
    """The plan with two required arms and two seeds, and its version 2."""
    return replace(plan, required=("S0", "S1"), seeds=SEEDS, versions=(Version("the first"), Version("the second")))


def test_a_new_version_replaces_the_old_one_when_its_required_runs_are_complete(small, results, tmp_path):
    kept, new = tmp_path / "kept", tmp_path / "new"
    old = write_ablations(small, results, kept)
    for n, (arm, seed) in enumerate((arm, seed) for seed in SEEDS for arm in ("S0", "S1")):
        before = KeptResults.read(kept)
        write_run(new, "free", arm, seed, 2, small.arms[arm].reports, NEWER)
        text = write_ablations(small, new, kept)
        rows, free = KeptResults.read(kept), load_tables(kept)[0]
        assert set(before.runs.index) < set(rows.runs.index)  # nothing that was kept is lost
        versions = {row["Arm"].strip("`"): row["version"] for row in free.rows if "version" in row}
        if n < 3:
            assert versions == {"S0": 1, "S1": 1, "C1": 1, "C5-moved": 1}
            assert f"Version 2: {n + 1} of" in free.note and f", {n + 1} of the 4 that" in free.note
            assert text.replace(f"{free.note}\n\n", "") == old.replace(f"{free.note}\n\n", "")
            assert free.note in (kept / "ablations_free.tex").read_text()
    assert versions == {"S0": 2, "S1": 2} and not free.note
    assert "Version 2: the second." in free.caption and "Version 1" not in free.caption
    # C1 of version 1 is kept, but S1 of version 2 is not compared with it
    assert "free-C1-1" in rows.runs.index
    assert {row["arms"] for row in load_tables(kept)[2].rows} == {"`S1` - `S0`"}


def test_versions_of_a_run_are_kept_side_by_side(plan, results, tmp_path):
    write_run(tmp_path / "new", "free", "S1", 2, 0, plan.arms["S1"].reports, NEWER)
    old = KeptResults.read(results).with_runs(results, plan)
    rows = old.with_runs(tmp_path / "new", plan)
    assert rows.of("free", "S1") == ["free-S1-1", "free-S1-2", "free-S1-2-v2"]
    assert rows.of_versions({"free": 2}, plan).of("free", "S1") == ["free-S1-2-v2"]
    assert rows.call_figures("free-S1-2-v2")["AUROC"] < 0.7 < rows.call_figures("free-S1-2")["AUROC"]
    pd.testing.assert_frame_equal(rows.of_versions({"free": 1}, plan).calls, old.calls)


def test_the_earlier_version_with_most_required_runs_is_shown_until_the_new_one_is_complete(small, results, tmp_path):
    third = replace(small, versions=(*small.versions, Version("the third")))
    rows = KeptResults.read(results).with_runs(results, third)
    write_run(tmp_path / "2", "free", "S1", 2, 0, third.arms["S1"].reports, NEWER)
    rows = rows.with_runs(tmp_path / "2", third)
    assert shown_version(third, rows, "free") == 1
    assert progress(third, rows, "free", 1) == ""  # version 2 is given up, version 3 has no run yet
    assert shown_version(third, rows, "scarce") == 3


def test_runs_of_an_arm_that_a_version_leaves_unchanged_remain_valid(small, results, tmp_path):
    second = replace(small, versions=(small.versions[0], Version("the second", unchanged=("S0", "C1"))))
    assert [second.arm_version(entry) for entry in ("S0", "S1", "C1", "C5-moved")] == [1, 2, 1, 2]
    assert second.config("free", "S0", 1, tmp_path).protocol == "phantom-v1 free v1"
    assert second.config("free", "S1", 1, tmp_path).protocol == "phantom-v1 free v2"
    rows = KeptResults.read(results).with_runs(results, second)
    assert "2 of the 4 that" in progress(second, rows, "free", shown_version(second, rows, "free"))
    for seed in SEEDS:
        write_run(tmp_path / "2", "free", "S1", seed, 0, second.arms["S1"].reports, NEWER)
    rows = rows.with_runs(tmp_path / "2", second)
    assert shown_version(second, rows, "free") == 2
    shown = rows.of_versions({"free": 2}, second)
    assert sorted(shown.runs.index) == [
        *(f"free-{arm}-{seed}" for arm in ("C1", "S0") for seed in SEEDS),
        *(f"free-S1-{seed}-v2" for seed in SEEDS),
    ]


def test_arms_without_an_erosion_head_are_not_repeated_for_a_change_of_it(plan):
    last = plan.versions[3]
    assert set(last.unchanged) == {
        arm for arm, entry in plan.arms.items() if entry.model != "jointwrist_tiny" or "erosion" not in entry.reports
    }


def test_the_first_runs_of_a_plan_are_shown_at_once(small, tmp_path):
    write_run(tmp_path, "free", "S1", 1, 3, small.arms["S1"].reports, NEWER)
    write_ablations(small, tmp_path, tmp_path / "kept")
    table = load_tables(tmp_path / "kept")[0]
    assert [row["version"] for row in table.rows if "version" in row] == [2] and not table.note


def test_records_state_the_use_of_eroded_pixels(plan, results, tmp_path):
    write_ablations(plan, results, tmp_path / "kept")
    rows = KeptResults.read(tmp_path / "kept")
    assert not any(rows.learned_pixels(run) for run in rows.runs.index)
    rows.runs["pixel_truth"] = [run == "free-S1-2" for run in rows.runs.index]
    assert [run for run in rows.runs.index if rows.learned_pixels(run)] == ["free-S1-2"]


def test_runs_belong_to_the_newest_version_of_the_plan(plan, tmp_path):
    assert plan.config("free", "S1", 1, tmp_path).protocol == f"phantom-v1 free v{plan.version}"


def test_a_single_seed_is_marked(plan, tmp_path):
    write_run(tmp_path, "free", "S1", 1, 3, plan.arms["S1"].reports)
    text = write_ablations(plan, tmp_path, tmp_path / "kept")
    assert "]†" in next(line for line in text.splitlines() if line.startswith("| `S1`"))


def test_tables_are_rebuilt_from_stored_results_and_further_runs_add_to_them(plan, results, tmp_path):
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


@pytest.mark.parametrize("regimes", [("free",), ("free", "scarce", "a third")])
def test_plans_have_any_number_of_regimes(plan, tmp_path, regimes):
    plan = replace(plan, regimes={name: plan.regimes["free"] for name in regimes})
    for regime in regimes:
        write_run(tmp_path, regime, "S0", 1, 0, plan.arms["S0"].reports)
    assert write_ablations(plan, tmp_path, tmp_path / "kept").count("| `S0`") == len(regimes)
    assert (tmp_path / "kept" / "ablations.png").is_file()


def test_no_finished_run_is_reported(plan, tmp_path):
    assert write_ablations(plan, tmp_path) == "no run is finished yet"


def test_kept_runs_are_not_run_again_unless_their_weights_are_needed(plan, tmp_path):
    arms, kept = ("S0", "C2"), tmp_path / "kept"
    chosen = [("free", arm, 1) for arm in arms]

    def done(run):
        return kept_already(plan, KeptResults.read(kept), chosen, run, tmp_path)

    assert not done(chosen[0])
    for arm in arms:
        config = to_dict(plan.config("free", arm, 1, tmp_path / "elsewhere"))
        write_run(tmp_path / arm, "free", arm, 1, 1, plan.arms[arm].reports, config)
    write_ablations(plan, tmp_path / "S0", kept)
    assert not done(chosen[0])  # C2 wants its weights
    write_ablations(plan, tmp_path / "C2", kept)
    assert done(chosen[0]) and done(chosen[1])
    other = replace(plan, defaults=plan.defaults | {"image_size": 128})
    assert not kept_already(other, KeptResults.read(kept), chosen, chosen[1], tmp_path)


def test_a_run_that_another_process_trains_is_left_to_it(plan, tmp_path, monkeypatch, capsys):
    folder, trained = run_folder(tmp_path, "free", "S0", 3407), []
    folder.mkdir(parents=True)
    monkeypatch.setattr(runs, "open_phantom", lambda *_: None)
    monkeypatch.setattr(runs, "dataset_digest", lambda _: "digest")
    record = {"status": "failed", "seconds": 0.0}
    monkeypatch.setattr(runs, "run_job", lambda _, job, __: trained.append(job.folder) or record)
    choice = runs.Choice(["free"], ["S0"], [3407])
    with FileLock(folder / ".lock"):
        assert not runs.run_plan(plan, choice, tmp_path, tmp_path / "kept")
    assert trained == [] and "free S0 seed 3407: another process is training it" in capsys.readouterr().out
    assert runs.run_plan(plan, choice, tmp_path, tmp_path / "kept") and trained == [folder]


def test_an_arm_with_a_segmenter_by_name_waits_for_no_other_arm(plan, tmp_path, monkeypatch, capsys):
    trained = []
    monkeypatch.setattr(runs, "open_phantom", lambda *_: None)
    monkeypatch.setattr(runs, "dataset_digest", lambda _: "digest")
    monkeypatch.setattr(runs, "run_job", lambda _, job, __: trained.append(job) or {"status": "ok", "seconds": 0})
    arm = replace(plan.arms["S1"], set={"joint": {"segmenter": "jointwrist_tiny"}})
    changed = replace(plan, arms={**plan.arms, "S1": arm}, retests={})
    for arm in ("S1", "C2"):
        assert not runs.run_plan(changed, runs.Choice(["free"], [arm], [1]), tmp_path, tmp_path / "kept")
    assert [job.config.joint.segmenter for job in trained] == ["jointwrist_tiny"]
    assert "free C2 seed 1: waits for S0" in capsys.readouterr().out


def test_the_page_holds_the_tables_of_the_stored_results(plan):
    folder = ROOT / "docs" / "ablations"
    page = (ROOT / "docs" / "ablations.md").read_text(encoding="utf-8")
    assert filled(page, (folder / "tables.md").read_text(encoding="utf-8")) == page
    rows = KeptResults.read(folder)
    rows = rows.of_versions({regime: shown_version(plan, rows, regime) for regime in plan.regimes}, plan)
    for regime in plan.regimes:
        for arm in plan.arms:
            runs = [run for run in rows.of(regime, arm) if run in rows.calls.columns]
            if runs:
                mean = np.mean([rows.call_figures(run)["AUROC"] for run in runs])
                table = (folder / f"ablations_{regime}.md").read_text(encoding="utf-8")
                line = next(line for line in table.splitlines() if line.startswith(f"| `{arm}`"))
                assert f"| {len(runs)} |" in line and f"| {mean:.{FIGURES['AUROC'][2]}f}" in line


def test_arms_with_equal_training_do_not_differ_in_the_stored_results(plan):
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
