"""Erosion families left out of training in turn: plan, figures, and a small run that is interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from benchmarks import ablations, left_out_families
from benchmarks.left_out_families import KEPT, KEYS, OTHERS, REGIME, families_of, left_out_plan, read_rows
from benchmarks.left_out_tables import ALL, WITHOUT, area_table, family_values, left_out_tables
from jointwrist.anatomy import JOINT_NAMES
from jointwrist.benchmark.ablations import runs
from jointwrist.benchmark.ablations.kept_results import KeptResults
from jointwrist.benchmark.ablations.plan import Ablations
from jointwrist.benchmark.tables.table import load_tables
from jointwrist.config import build, to_dict
from jointwrist.phantom import Parts, PhantomConfig, write_phantom
from jointwrist.phantom.family_names import EROSIVE, FAMILIES, LOOK_ALIKES, NO_FAMILY, family_shares

SEEDS = (1, 2)


@pytest.fixture(scope="module")
def plan():
    return left_out_plan({})


def test_every_arm_is_the_joint_network_of_the_ablations_but_for_its_families(plan, tmp_path):
    joint = Ablations.load(ablations.FILE).config("free", "S1", 3407, tmp_path)
    for arm in plan.arms:
        config = plan.config(REGIME, arm, 3407, tmp_path)
        drawn = build(PhantomConfig, config.stream.options).families
        assert set(family_shares(drawn)) == set(FAMILIES) - {arm}
        options = {key: value for key, value in config.stream.options.items() if key != "families"}
        same = replace(config, protocol=joint.protocol, stream=replace(config.stream, options=options))
        assert same.options == {"encoder_version": 3}
        assert replace(same, options=joint.options) == joint
    assert list(plan.arms) == [ALL, *EROSIVE]


def test_values_of_a_command_replace_those_of_every_run(tmp_path):
    plan = left_out_plan({"image_size": 32, "stream": {"wrists": 8}})
    configs = [plan.config(REGIME, arm, 1, tmp_path) for arm in plan.arms]
    assert {(config.image_size, config.stream.wrists) for config in configs} == {(32, 8)}
    assert configs[1].stream.options["prevalence"] == 0.3


def test_every_family_is_tested_by_all_the_network_without_it_and_others(plan):
    networks = {family: [arm for arm in plan.arms if family in families_of(arm, list(EROSIVE))] for family in EROSIVE}
    for family, arms in networks.items():
        assert {ALL, family} <= set(arms) and len(arms) == 2 + OTHERS
    assert families_of("round", ["cluster", "long"]) == ["cluster"]


def made_up_rows(tested: str, quality: dict[str, float]) -> pd.DataFrame:
    """A test of 40 wrists with erosions of one family, by networks that see them as well as `quality` says."""
    rng = np.random.default_rng(len(tested))
    rows = []
    for wrist, joint in product(range(40), JOINT_NAMES):
        family = str(rng.choice([tested, NO_FAMILY, *LOOK_ALIKES[:2]]))
        eroded = family == tested
        row = {"tested": tested, "wrist": wrist, "case": f"{wrist:04d}", "patient": f"{wrist // 2:04d}"}
        row |= {"joint": joint, "score": 2 * eroded, "family": family, "area_mm2": 4.0 * eroded}
        for name, strength in quality.items():
            row[name] = 1 / (1 + np.exp(-(strength * eroded + rng.normal())))
            row[f"{name} heat"] = strength / 10 if eroded else np.nan
        rows.append(row)
    return pd.DataFrame(rows).set_index(KEYS)


@pytest.fixture(scope="module")
def rows():
    quality = {f"{WITHOUT} 1": 1.0, f"{WITHOUT} 2": 1.5, f"{ALL} 1": 4.0, f"{ALL} 2": 4.5}
    return made_up_rows("long", quality)


def test_figures_are_those_of_the_rows(rows):
    found = family_values(rows, [f"{WITHOUT} {seed}" for seed in SEEDS])
    plain = rows.reset_index()
    eroded = plain["score"] > 0
    for k, seed in enumerate(SEEDS):
        probability = plain[f"{WITHOUT} {seed}"]
        assert found["AUROC"].values[k] == pytest.approx(roc_auc_score(eroded, probability))
        for name, chosen in (
            ("no finding", plain["family"] == "none"),
            ("look-alike", plain["family"].isin(LOOK_ALIKES)),
        ):
            some = eroded | chosen
            assert found[name].values[k] == pytest.approx(roc_auc_score(eroded[some], probability[some]))
        threshold = probability[~eroded].quantile(0.9)
        assert (probability[~eroded] > threshold).mean() == pytest.approx(0.1, abs=0.01)
        assert found["found"].values[k] == pytest.approx((probability[eroded] > threshold).mean())
        assert found["heat"].values[k] == pytest.approx((1.0, 1.5)[k] / 10)
    assert found["AUROC"].patients == 20
    cell = found["AUROC"].figure()
    assert cell.low < cell.mean < cell.high


def test_a_family_that_both_networks_see_alike_has_no_difference_and_another_one_has(rows):
    one = rows[[column for column in rows if "2" not in column.split()]]
    table = {row["Family"]: row for row in left_out_tables(one)[0].rows}
    assert table["`long`"]["difference"].high < 0 and table["`long`"]["at least 0.90"] == "no"
    other = one.assign(
        **{"without round 1": (one.index.get_level_values("score") > 0) * 1.0, "without round 1 heat": 0}
    )
    assert next(row for row in left_out_tables(other)[0].rows if row["Family"] == "`long`")["others"] == "1.000"
    alike = rows.assign(**{f"{WITHOUT} {seed}": rows[f"{ALL} {seed}"] for seed in SEEDS})
    row = next(row for row in left_out_tables(alike)[0].rows if row["Family"] == "`long`")
    assert row["difference"].mean == row["difference"].low == row["difference"].high == 0
    assert row["at least 0.90"] == "yes" and row["seeds"] == 2


def test_a_family_counts_with_the_seeds_that_both_networks_have(rows):
    both = pd.concat([rows, made_up_rows("round", {f"{WITHOUT} 1": 2.0, f"{ALL} 1": 3.0, f"{ALL} 2": 3.0})])
    table = {row["Family"]: row for row in left_out_tables(both)[0].rows}
    assert table["`long`"]["seeds"] == 2 and table["`round`"]["seeds"] == 1
    assert table["`round`"]["others"] == "-"
    assert table["`round`"]["AUROC, left out"].one_seed and table["`cluster`"]["erosions"] == "not run"
    assert len(left_out_tables(both)[1].rows) == 2


def test_erosions_are_compared_by_their_area(rows):
    eroded = rows.index.get_level_values("score") > 0
    area = np.where(eroded, np.where(np.arange(len(rows)) % 2, 4.0, 30.0), 0.0)
    lines = area_table(rows.assign(area_mm2=area)).rows
    assert [line["mm²"] for line in lines] == ["up to 5", "above 20"]
    for line, size in zip(lines, (4.0, 30.0), strict=True):
        chosen = rows[~eroded | (area == size)]
        truth = chosen.index.get_level_values("score") > 0
        expected = np.mean([roc_auc_score(truth, chosen[f"{ALL} {seed}"]) for seed in SEEDS])
        assert line["erosions"] == truth.sum() and line["AUROC, in training"].mean == pytest.approx(expected)


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    config = PhantomConfig(prevalence=0.3, families={"all": 1})
    return write_phantom(root, 48, 32, 1, config, workers=1, parts=Parts(16, 16, 16))


def test_a_killed_run_continues_and_finished_trainings_and_tests_are_not_repeated(
    tmp_path, phantom, monkeypatch, capsys
):
    monkeypatch.setattr(runs, "open_phantom", lambda *_: runs.RamW600.open(phantom))
    command = ["--families", "round", "--seeds", "1", "--wrists", "3", "--results", str(tmp_path / "results")]
    command += ["--out", str(tmp_path / "out"), "--set", "image_size=32", "detail_size=32", "stream.wrists=8"]
    command += ["optim.epochs=1", "options.encoder=conv", "options.roi_crop=16"]
    assert left_out_families.main(command) == 0
    first = (tmp_path / "out" / "families.csv.gz").read_bytes()
    text = (tmp_path / "out" / "left_out_families.md").read_text(encoding="utf-8")
    assert "| `round` |" in text and load_tables(tmp_path / "out")[0].rows[1]["seeds"] == 1

    tests = tmp_path / "results" / "tests"
    assert sorted(path.relative_to(tests).as_posix() for path in tests.rglob("*.csv")) == [
        "free-all-1/round.csv", "free-round-1/round.csv",
    ]  # fmt: skip
    whole = pd.read_csv(tests / "free-round-1" / "round.csv", dtype={"patient": str})
    assert set(whole["family"]) <= {"round", NO_FAMILY, *LOOK_ALIKES} and (whole["score"] > 0).any()
    shared = ["case", "joint", "score", "family", "area_mm2"]
    assert whole[shared].equals(pd.read_csv(tests / "free-all-1" / "round.csv")[shared])

    # killed during the last test: nothing is trained again, and the rows are the same
    whole[whole["wrist"] < 1].to_csv(tests / "free-round-1" / "round.csv", index=False)
    monkeypatch.setattr(runs, "run_job", None)
    (tmp_path / "out" / "families.csv.gz").unlink()
    assert left_out_families.main(command) == 0
    assert (tmp_path / "out" / "families.csv.gz").read_bytes() == first
    capsys.readouterr()

    # the tables need the kept rows alone
    command[command.index("--results") + 1] = str(tmp_path / "nothing")
    assert left_out_families.main([*command, "--tables"]) == 0
    assert text.strip() in capsys.readouterr().out
    assert left_out_families.main(command) == 0
    assert "kept in" in capsys.readouterr().out


def test_other_values_are_not_mixed_with_the_kept_results(capsys):
    for option in (["--set", "image_size=32"], ["--wrists", "3"]):
        with pytest.raises(SystemExit):
            left_out_families.main(option)
        assert "--results and --out folders of their own" in capsys.readouterr().err


def test_no_finished_test_is_reported(tmp_path, capsys):
    assert left_out_families.main(["--tables", "--results", str(tmp_path), "--out", str(tmp_path)]) == 0
    assert "no test is finished yet" in capsys.readouterr().out


def test_the_page_holds_the_tables_of_the_stored_results(plan):
    page = KEPT.with_suffix(".md").read_text(encoding="utf-8")
    tables = load_tables(KEPT)
    assert all(table.markdown().strip() in page for table in tables)
    rows = read_rows(KEPT)
    for line in tables[0].rows:
        test = rows[rows.index.get_level_values("tested") == line["Family"].strip("`")]
        eroded = test.index.get_level_values("score") > 0
        for kind, title in ((WITHOUT, "left out"), (ALL, "in training")):
            columns = [name for name in test if name.startswith(kind) and not name.endswith("heat")]
            found = np.mean([roc_auc_score(eroded, test[name]) for name in columns])
            assert line[f"AUROC, {title}"].mean == pytest.approx(found)


def test_the_stored_runs_are_those_of_the_plan(plan, tmp_path):
    kept = KeptResults.read(KEPT)
    for run, entry in kept.runs.iterrows():
        config = to_dict(plan.config(REGIME, entry["arm"], int(entry["seed"]), tmp_path))
        assert kept.configs[run] == json.loads(json.dumps(config))
