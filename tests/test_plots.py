"""Pictures of a results folder: every job has its own."""

from __future__ import annotations

import json

import pandas as pd
from PIL import Image

from jointwrist.benchmark.jobs import make_job
from jointwrist.benchmark.plots import write_plots
from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.results.case_results import epoch_table
from jointwrist.engine.results.learning_curves import epochs_from_one
from jointwrist.inference.predictor import Predictor


class Drawn:
    """Stands for the results of one radiograph, and for its only one."""

    def single(self) -> Drawn:
        return self

    def plot(self) -> Image.Image:
        return Image.new("RGB", (4, 4))


def test_epochs_count_from_one_and_those_of_earlier_versions_from_zero():
    figures = [{"epoch": epoch, "val_loss": 1.0, "selected_by": 1.0} for epoch in range(3)]
    table = epoch_table(figures)
    assert table["epoch"].to_list() == [1, 2, 3] and figures[0]["epoch"] == 0
    pd.testing.assert_frame_equal(epochs_from_one(table), table)
    pd.testing.assert_frame_equal(epochs_from_one(table.assign(epoch=[0, 1, 2])), table)


def test_seeds_of_a_model_do_not_overwrite_each_other(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(Predictor, "from_pretrained", lambda *_, **__: lambda *_, **__: Drawn())
    jobs = []
    for seed in (1, 2):
        config = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", "seed": seed})
        jobs.append(make_job(config, "data", tmp_path))
        jobs[-1].folder.mkdir(parents=True)
        (jobs[-1].folder / "job.json").write_text(json.dumps({"status": "ok", "model": config.model, "seed": seed}))
        history = {"epoch": [0, 1], "train_loss": [2.0, 1.0], "val_loss": [2.0, 1.5]}
        pd.DataFrame(history).to_csv(jobs[-1].folder / "history.csv", index=False)
    write_plots(tmp_path, jobs, dataset, wrists=2)
    cases = [case.identifier for case in dataset.segmentation("test")[:2]]
    overlays = {f"{job.folder.name}-{case}.png" for job in jobs for case in cases}
    assert {path.name for path in (tmp_path / "overlays").iterdir()} == overlays and len(overlays) == 4
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {f"{job.folder.name}.png" for job in jobs}
    for path in tmp_path.glob("overlays/*"):
        assert Image.open(path).format == "PNG"
