"""Another tool's rows in the benchmark's tables: the figures of a model of ours with the same rows."""

from __future__ import annotations

import json

import pytest
from test_tables import bones, calls, line, write_job

from benchmarks.other_tool import main
from jointwrist.benchmark.tables import make_tables, read_results


@pytest.fixture
def results(tmp_path):
    for seed in (1, 2):
        for model in ("unetpp", "jointwrist_tiny"):
            tables = {"image/segmentation": bones(model, seed)}
            if model == "jointwrist_tiny":
                tables["erosion"] = calls(model, seed)
            write_job(tmp_path / "results", model, seed, tables)
    scores = tmp_path / "scores"
    scores.mkdir()
    bones("unetpp", 1).assign(model="nnU-Net").to_csv(scores / "segmentation.csv", index=False)
    calls("jointwrist_tiny", 1).to_csv(scores / "erosion.csv", index=False)
    return tmp_path / "results", scores


def test_rows_of_another_tool_have_the_figures_of_a_model_with_the_same_rows(results):
    folder, scores = results
    assert main([str(folder), str(scores), "--name", "nnU-Net"]) == 0
    tables = {table.name: table for table in make_tables(read_results(folder, "image"))}
    theirs, ours = (line(tables["segmentation"], model) for model in ("nnU-Net", "unetpp"))
    assert theirs["Model"] == "`nnU-Net`" and theirs["parameters"] == "-"
    once = bones("unetpp", 1)
    wanted = once[once["kind"] == "bone"].groupby("case")["dsc"].mean().mean() * 100
    assert theirs["DSC %"].mean == pytest.approx(wanted)
    assert theirs["DSC %"].mean != ours["DSC %"].mean
    erosion = {table.name: table for table in make_tables(read_results(folder))}["erosion"]
    assert line(erosion, "nnU-Net")["parameters"] == "-"
    # again is no second job
    assert main([str(folder), str(scores), "--name", "nnU-Net"]) == 0
    assert len(list(folder.glob("jobs/nnU-Net*"))) == 1


@pytest.mark.parametrize(
    ("name", "case", "message"),
    [("unetpp", "c0", "no model of ours"), ("a b", "c0", "one word"), ("other", "x9", "x9 is not a test wrist")],
)
def test_other_wrists_and_taken_names_are_refused(name, case, message, results, capsys):
    folder, scores = results
    rows = bones("unetpp", 1)
    rows.loc[0, "case"] = case
    rows.to_csv(scores / "segmentation.csv", index=False)
    before = sorted(folder.rglob("*"))
    assert main([str(folder), str(scores), "--name", name]) == 2
    assert message in capsys.readouterr().err
    assert sorted(folder.rglob("*")) == before
    assert json.loads(next(folder.glob("jobs/*/job.json")).read_text())["status"] == "ok"
