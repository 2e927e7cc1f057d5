"""Evaluation of a folder with damaged files: they are named, all others have the rows of the whole folder."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from jointwrist.cli import main
from jointwrist.config import build, to_dict
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.evaluate_weights import evaluate
from jointwrist.errors import DataError
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights
from tests import ranks

OPTIONS = {"encoder": "conv", "roi_crop": 32}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Random weights of a small joint network."""
    torch.manual_seed(0)
    values = {"model": "jointwrist_tiny", "options": OPTIONS, "image_size": 32}
    config = build(RunConfig, {**values, "task": "joint"})
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    save_weights(path, create_model("jointwrist_tiny", **OPTIONS).eval(), {**values, "config": to_dict(config)})
    return path


@pytest.fixture
def copy(phantom_root, tmp_path):
    return shutil.copytree(phantom_root, tmp_path / "copy")


def cases_of(root):
    """Test radiographs that have both masks and scores."""
    dataset = RamW600.open(root)
    return [case for case in dataset.segmentation("test") if case.erosion_split == "test"]


def rows(root, weights, out, *options):
    code = main(["evaluate", str(weights), f"--data={root}", f"--out={out}", *options])
    return code, {name: pd.read_csv(out / f"{name}.csv", dtype={"case": str}) for name in ("segmentation", "erosion")}


@pytest.mark.parametrize("part", ["mask", "image"])
@pytest.mark.parametrize(
    "options",
    [(), ("--set", "optim.batch_size=1"), ("--set", "workers=1"), ("--grid=image", "--field=whole")],
    ids=["batch", "single", "worker", "image grid"],
)
def test_a_damaged_file_costs_its_own_rows_alone(part, options, weights, phantom_root, copy, tmp_path, capfd):
    _, whole = rows(phantom_root, weights, tmp_path / "whole", *options)
    case = cases_of(copy)[0]
    damaged = getattr(case, part)
    damaged.write_bytes(damaged.read_bytes()[:200])
    capfd.readouterr()
    code, found = rows(copy, weights, tmp_path / "rest", *options)
    said = [line for line in capfd.readouterr().err.splitlines() if "jointwrist: " in line and str(damaged) in line]
    assert code == 2 and len(said) == 1
    for name, table in whole.items():
        rest = table[table["case"] != case.identifier].reset_index(drop=True)
        assert len(rest) < len(table)
        # batches of other sizes round differently
        pd.testing.assert_frame_equal(found[name], rest, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "options", [("--set", "optim.batch_size=1"), ("--grid=image", "--field=whole", "--batch-size=1")], ids=str
)
def test_two_processes_name_each_damaged_file_once_and_keep_all_other_rows(options, processes, weights, copy, tmp_path):
    _, whole = rows(copy, weights, tmp_path / "whole", *options)
    first, second = cases_of(copy)[:2]
    damaged = {first.mask, second.image}
    for path in damaged:
        path.write_bytes(b"nothing")
    (tmp_path / "messages").mkdir()
    command = ["evaluate", str(weights), f"--data={copy}", f"--out={tmp_path / 'rest'}", *options]
    assert ranks.start(processes, 2, ranks.command, command, tmp_path / "messages") == [2, 2]
    said = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "messages").iterdir())
    assert [said.count(str(path)) for path in damaged] == [1, 1]
    for name, table in whole.items():
        rest = table[~table["case"].isin([first.identifier, second.identifier])].reset_index(drop=True)
        found = pd.read_csv(tmp_path / "rest" / f"{name}.csv", dtype={"case": str})
        pd.testing.assert_frame_equal(found, rest, rtol=1e-4, atol=1e-4)


def test_two_processes_end_alike_where_nothing_can_be_read(processes, weights, copy, tmp_path):
    for case in RamW600.open(copy).cases:
        case.image.write_bytes(b"nothing")
    (tmp_path / "messages").mkdir()
    command = ["evaluate", str(weights), f"--data={copy}", f"--out={tmp_path / 'rows'}"]
    assert ranks.start(processes, 2, ranks.command, command, tmp_path / "messages") == [2, 2]
    assert not list((tmp_path / "rows").glob("*.csv"))


def test_a_damaged_truth_costs_the_families_alone(weights, copy, tmp_path, capfd):
    _, whole = rows(copy, weights, tmp_path / "whole")
    truth = cases_of(copy)[0].truth
    truth.write_bytes(b"nothing")
    code, found = rows(copy, weights, tmp_path / "rest")
    assert code == 2 and str(truth) in capfd.readouterr().err
    assert "family" in whole["erosion"] and "family" not in found["erosion"]
    pd.testing.assert_frame_equal(found["erosion"], whole["erosion"].drop(columns="family"))
    pd.testing.assert_frame_equal(found["segmentation"], whole["segmentation"])


def test_a_folder_of_damaged_files_is_refused_and_each_is_named(weights, copy, tmp_path, capfd):
    dataset = RamW600.open(copy)
    images = [case.image for case in (*dataset.segmentation("test"), *dataset.erosion("test"))]
    for image in images:
        image.write_bytes(b"nothing")
    assert main(["evaluate", str(weights), f"--data={copy}", f"--out={tmp_path / 'rows'}"]) == 2
    said = capfd.readouterr().err
    assert f"{copy}: nothing of the split test can be read" in said
    assert all(str(image) in said for image in images)


def test_the_function_raises_unless_told_what_to_do(weights, copy):
    mask = cases_of(copy)[0].mask
    mask.write_bytes(b"nothing")
    with pytest.raises(DataError, match=mask.name):
        evaluate(weights, copy)
    errors = []
    tables = evaluate(weights, copy, refused=errors.append)
    assert [mask.name in str(error) for error in errors] == [True]
    assert mask.stem not in set(tables["segmentation"]["case"])


def test_another_tools_masks_are_scored_where_the_truth_is_readable(copy, tmp_path, capsys):
    dataset = RamW600.open(copy)
    (tmp_path / "predictions").mkdir()
    cases = dataset.segmentation("test")
    for case in cases:
        shutil.copy(case.mask, tmp_path / "predictions" / case.mask.name)
    cases[0].mask.write_bytes(b"nothing")
    command = ["evaluate", f"--predictions={tmp_path / 'predictions'}", f"--data={copy}", f"--out={tmp_path / 'rows'}"]
    assert main(command) == 2
    assert str(cases[0].mask) in capsys.readouterr().err
    table = pd.read_csv(tmp_path / "rows" / "segmentation.csv", dtype={"case": str})
    assert set(table["case"]) == {case.identifier for case in cases[1:]}
    np.testing.assert_allclose(table.loc[table["kind"] == "bone", "dsc"].dropna(), 1)


@pytest.mark.parametrize("what", ["weights", "predictions"])
def test_a_dataset_is_no_folder_of_results(what, weights, copy, capsys):
    chosen = [str(weights)] if what == "weights" else [f"--predictions={copy}"]
    before = {path: path.read_bytes() for path in copy.glob("*") if path.is_file()}
    assert main(["evaluate", *chosen, f"--data={copy}", f"--out={copy}"]) == 2
    assert f"{copy}: holds a dataset" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in copy.glob("*") if path.is_file()} == before


def test_probabilities_that_are_read_are_not_replaced(phantom_root, tmp_path, capsys):
    dataset = RamW600.open(phantom_root)
    table = tmp_path / "erosion.csv"
    table.write_text("case,joint,probability\n" + f"{dataset.erosion('test')[0].identifier},Scaphoid,0.5\n")
    before = table.read_bytes()
    for options in (["--predictions", str(tmp_path)], ["--predictions", "nowhere", "--erosions", str(table)]):
        assert main(["evaluate", *options, f"--data={phantom_root}", f"--out={tmp_path}"]) == 2
        assert f"{table}: is read, and the results would replace it; choose another --out" in capsys.readouterr().err
    assert table.read_bytes() == before


@pytest.mark.parametrize("command", [["adapt"], ["detectability"]])
def test_studies_refuse_a_dataset_before_they_look_at_radiographs(command, phantom_root, capsys, monkeypatch):
    monkeypatch.setattr(
        "jointwrist.inference.predictor.Predictor.from_pretrained", lambda *_, **__: pytest.fail("work")
    )
    assert main([*command, str(phantom_root / "BoneSegmentation" / "images"), f"--out={phantom_root}"]) == 2
    assert f"{phantom_root}: holds a dataset" in capsys.readouterr().err
