"""Evaluation on the radiograph's own pixels: what is measured is what `predict` writes."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator

from benchmarks import run_all
from jointwrist.anatomy import JOINT_NAMES
from jointwrist.cli import main
from jointwrist.config import build, to_dict
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.preprocess import resize_image
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.radiograph_evaluation import evaluate_radiographs
from jointwrist.inference.result import read_masks
from jointwrist.metrics.segmentation_results import segmentation_results
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights
from tests import ranks

OPTIONS = {"encoder": "conv", "roi_crop": 32}
WHOLE = ["--grid", "image", "--field", "whole"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory, dataset):
    """Random weights of a small network whose detail image is larger than what it sees; half of all pixels are bone."""
    torch.manual_seed(0)
    network = create_model("jointwrist_tiny", **OPTIONS).eval()
    image = torch.from_numpy(load_sample(dataset.cases[0]).image)[None]
    with torch.no_grad():
        half = float(network.segment(resize_image(image, 48)).sigmoid().median())
    path = tmp_path_factory.mktemp("weights") / "best.safetensors"
    config = build(
        RunConfig,
        {"model": "jointwrist_tiny", "task": "joint", "image_size": 48, "detail_size": 64, "options": OPTIONS},
    )
    info = {
        "model": "jointwrist_tiny",
        "options": OPTIONS,
        "image_size": 48,
        "detail_size": 64,
        "config": to_dict(config),
        "thresholds": {"erosion": 0.4, "mask": half},
    }
    save_weights(path, network, info)
    return path


@pytest.fixture
def cases(dataset):
    chosen = [case for case in dataset.cases if case.mask is not None and max(case.scores) >= 0][:5]
    assert {case.side for case in chosen} == {"L", "R"}
    return chosen


@pytest.mark.parametrize("tidy", [True, False])
def test_rows_are_those_of_what_the_predictor_says_of_each_radiograph(weights, cases, tidy):
    predictor = Predictor.from_pretrained(weights, localise=False)
    predictor.postprocess = tidy
    tables = evaluate_radiographs(Accelerator(cpu=True), predictor, cases, batch_size=3)
    expected, calls = [], []
    for case in sorted(cases, key=lambda case: case.identifier):
        result = predictor(case.image).single()
        who = {"case": case.identifier, "patient": case.patient, "side": case.side}
        truth = load_sample(case, right_hand=False).bones
        assert result.masks.shape[1:] == truth.shape == (128, 128)
        spacing = {"spacing_mm": case.spacing_mm}
        expected += segmentation_results(**who, scores=case.scores, predicted=result.masks, truth=truth, **spacing)
        calls += zip([case.identifier] * 6, JOINT_NAMES, case.scores, result.scored, result.probabilities, strict=True)
    key = ["case", "kind", "region"]
    expected = pd.DataFrame(expected).sort_values(key, ignore_index=True)
    pd.testing.assert_frame_equal(pd.DataFrame(tables["segmentation"]), expected)
    assert {"nsd_mm", "msd_mm"} <= set(expected) and expected["dsc"].nunique() > 20
    found = {(row["case"], row["joint"]): row for row in tables["erosion"]}
    assert len(found) == sum(score >= 0 for _, _, score, *_ in calls)
    for case, joint, score, scored, probability in calls:
        row = found[case, joint]
        assert (row["score"], row["found"]) == (score, scored)
        assert row["probability"] == pytest.approx(probability if scored else 0.0, abs=1e-6)


def test_postprocessing_is_part_of_what_is_measured(weights, cases):
    predictor = Predictor.from_pretrained(weights, localise=False)
    tables = []
    for predictor.postprocess in (True, False):
        tables.append(pd.DataFrame(evaluate_radiographs(Accelerator(cpu=True), predictor, cases)["segmentation"]))
    assert not tables[0]["dsc"].equals(tables[1]["dsc"])


def test_the_command_gives_the_rows_of_the_masks_that_predict_writes(weights, phantom_root, dataset, tmp_path, capsys):
    rows, masks = tmp_path / "rows", tmp_path / "masks"
    assert main(["evaluate", str(weights), "--data", str(phantom_root), "-o", str(rows), *WHOLE]) == 0
    assert "NSD at 0.3 mm" in capsys.readouterr().out
    measured = pd.read_csv(rows / "segmentation.csv", dtype={"patient": str})
    tested = [case for case in dataset.cases if case.identifier in set(measured["case"])]
    radiographs = [str(case.image) for case in tested]
    assert main(["predict", *radiographs, "-w", str(weights), "-o", str(masks), "--field", "whole"]) == 0
    expected = [
        row
        for case in tested
        for row in segmentation_results(
            case=case.identifier,
            patient=case.patient,
            side=case.side,
            scores=case.scores,
            predicted=read_masks(masks / f"{case.image.stem}_masks.png"),
            truth=load_sample(case, right_hand=False).bones,
            spacing_mm=case.spacing_mm,
        )
    ]
    frame = pd.DataFrame(expected).sort_values(["case", "kind", "region"])
    frame.to_csv(tmp_path / "expected.csv", index=False, float_format="%.6g")
    assert (rows / "segmentation.csv").read_text() == (tmp_path / "expected.csv").read_text()
    calls = pd.read_csv(rows / "erosion.csv")
    assert (calls["predicted"] == (calls["probability"] >= 0.4)).all()


def test_without_a_spacing_there_are_no_figures_in_mm(weights, phantom_root, tmp_path, capsys):
    root = tmp_path / "data"
    shutil.copytree(phantom_root, root)
    (root / "Metadata.xlsx").unlink()
    assert main(["evaluate", str(weights), "--data", str(root), "-o", str(tmp_path), *WHOLE]) == 0
    assert "mm" not in capsys.readouterr().out
    assert not [name for name in pd.read_csv(tmp_path / "segmentation.csv") if "mm" in name]


def test_radiographs_without_a_wrist_are_named_and_the_others_measured(
    weights, phantom_root, tmp_path, capsys, monkeypatch
):
    command = ["evaluate", str(weights), "--data", str(phantom_root), "-o", str(tmp_path), "--grid", "image"]
    locate, lost = Predictor.locate, []

    def find(self, radiograph, give_up=None):
        if not lost or radiograph.source.name == lost[0]:
            lost.append(radiograph.source.name)
            raise DataError(f"{radiograph.source}: no wrist was found")
        self.localise = False
        return locate(self, radiograph)

    monkeypatch.setattr(Predictor, "locate", find)
    assert main(command) == 2
    said = capsys.readouterr()
    cases = set(pd.read_csv(tmp_path / "erosion.csv")["case"])
    assert lost[0] in said.err and "1 of" in said.err and lost[0].partition(".")[0] not in cases and cases


@pytest.mark.parametrize("extra", [["--raw"], ["--no-postprocess"], ["--grid", "image", "--set", "image_size=32"]])
def test_options_of_the_other_grid_are_refused(extra, weights, phantom_root, tmp_path, capsys):
    assert main(["evaluate", str(weights), "--data", str(phantom_root), "-o", str(tmp_path), *extra]) == 2
    assert "--grid" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_several_processes_share_the_radiographs(weights, phantom_root, processes, tmp_path):
    for number in (1, 2):
        out = tmp_path / str(number)
        arguments = ["evaluate", str(weights), "--data", str(phantom_root), "-o", str(out)]
        assert ranks.start(processes, number, ranks.command, [*arguments, *WHOLE]) == [0] * number
    for name in ("segmentation.csv", "erosion.csv"):
        one, two = (pd.read_csv(tmp_path / number / name) for number in ("1", "2"))
        assert list(one["case"]) == list(two["case"]) and len(set(one["case"])) > 3
        figures = one.select_dtypes(float).columns
        np.testing.assert_allclose(one[figures], two[figures], atol=1e-4)


@pytest.mark.usefixtures("no_report")
def test_the_benchmark_measures_finished_jobs_on_their_radiographs(phantom_root, tmp_path, capsys):
    command = ["--data", str(phantom_root), "--results", str(tmp_path), "--protocol", "smoke", "--models", "segresnet"]
    command += ["--set", "image_size=32", "optim.epochs=1"]
    assert run_all.main(command) == 0
    (folder,) = tmp_path.glob("smoke-*")
    job = next(folder.glob("jobs/*/best.safetensors")).parent
    for extra, grid in ((["--grid", "image"], "image"), (["--grid", "image", "--no-postprocess"], "image-raw")):
        assert run_all.main([*command, *extra]) == 0
        assert "own pixels" in capsys.readouterr().out
        rows = pd.read_csv(job / grid / "segmentation.csv")
        own = pd.read_csv(job / "segmentation.csv")
        assert list(rows["case"]) == list(own["case"]) and set(rows["diagonal_px"]) == {np.hypot(128, 128).round(3)}
        assert (folder / f"tables-{grid}" / "segmentation.md").is_file()
        written = (job / grid / "segmentation.csv").stat().st_mtime_ns
        assert run_all.main([*command, *extra]) == 0
        assert (job / grid / "segmentation.csv").stat().st_mtime_ns == written
