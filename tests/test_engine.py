"""Training and evaluation: resuming repeats an unbroken run, two processes agree with one, errors name their cause."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator

from jointwrist.benchmark.jobs import make_job
from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig, config_hash, hashed_values
from jointwrist.engine.loop.build import model_options
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.trainer import BEST, LAST, STATE, Trainer
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.errors import DataError, TrainingError
from jointwrist.weights.checkpoint import load_weights
from tests import ranks

ROOT = Path(__file__).parent.parent
JOINT = {
    "model": "jointwrist_tiny",
    "task": "joint",
    "image_size": 32,
    "detail_size": 64,
    "options": {"encoder": "conv", "roi_crop": 32},
    "optim": {"epochs": 2, "batch_size": 4, "lr": 1e-3, "clip_norm": 5.0, "ema": 0.9},
}


def trainer_for(values: dict, dataset, folder: Path) -> Trainer:
    config = build(RunConfig, values)
    data = load_run_data(config, dataset)
    return Trainer(Accelerator(cpu=True), config, data, build_task(config, data.prior), folder)


def weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"radiographs": {"own": True}, "workers": 1},
        {
            "radiographs": {"own": True},
            "options": {**JOINT["options"], "erosion_head": "shapes", "other_hand": True},
            "optim": {**JOINT["optim"], "batch_size": 6},
        },
    ],
    ids=["plain", "own radiographs, a worker", "own radiographs, shapes, both hands"],
)
def test_resumed_run_ends_with_the_weights_of_an_unbroken_one(more, dataset, tmp_path, monkeypatch):
    values = JOINT | more
    unbroken = trainer_for(values, dataset, tmp_path / "a")
    expected = weights(unbroken.fit())

    values |= {"optim": values["optim"] | {"save_minutes": 0.0}}
    killed = trainer_for(values, dataset, tmp_path / "b")
    original, calls = Trainer._step, []

    def step(self, batch, number):
        calls.append(number)
        if len(calls) == 3:
            raise Killed
        original(self, batch, number)

    monkeypatch.setattr(Trainer, "_step", step)
    with pytest.raises(Killed):
        killed.fit()
    monkeypatch.undo()
    resumed = trainer_for(values, dataset, tmp_path / "b")
    assert resumed.step_in_epoch == 2
    assert torch.equal(weights(resumed.fit()), expected)


def test_last_weights_are_kept_where_no_validation_figure_is_to_choose(dataset, tmp_path, monkeypatch):
    monkeypatch.setattr("jointwrist.engine.loop.trainer.mean_figures", lambda rows: {"val_dsc": 1.0})
    trainer = trainer_for(JOINT | {"optim": JOINT["optim"] | {"select": "last"}}, dataset, tmp_path)
    losses = iter([{"val_loss": 1.0}, {"val_loss": 2.0}])
    monkeypatch.setattr("jointwrist.engine.loop.trainer.evaluate_model", lambda *_, **__: (next(losses), {}))
    best = trainer.fit()
    assert torch.equal(weights(best), weights(load_weights(tmp_path / LAST)[0]))
    assert trainer.best == -1.0


def test_state_of_another_configuration_is_refused(dataset, tmp_path):
    trainer_for({**JOINT, "optim": {"epochs": 1, "batch_size": 4}}, dataset, tmp_path).fit()
    assert (tmp_path / STATE).is_file() and (tmp_path / BEST).is_file()
    same = {**JOINT, "optim": {"epochs": 1, "batch_size": 4}}
    other = {**same, "seed": 1, "workers": 1, "optim": {**same["optim"], "lr": 0.5, "save_minutes": 9}}
    with pytest.raises(DataError, match=r"another configuration; .* begun with seed=3407 optim\.lr=0\.0001$"):
        trainer_for(other, dataset, tmp_path)


def test_how_a_run_is_executed_may_change_when_it_goes_on(dataset, tmp_path):
    optim = {"epochs": 1, "batch_size": 4}
    trainer_for({**JOINT, "optim": optim}, dataset, tmp_path).fit()
    otherwise = {"workers": 2, "cache": False, "optim": {**optim, "save_minutes": 1.0}}
    assert trainer_for({**JOINT, **otherwise}, dataset, tmp_path).finished
    jobs = [
        make_job(build(RunConfig, {**JOINT, "optim": optim, **values}), "data", tmp_path).folder
        for values in ({}, otherwise, {"precision": "bf16"}, {"optim": {**optim, "lr": 0.1}})
    ]
    assert jobs[0] == jobs[1] and len(set(jobs)) == 3


def test_a_finished_job_of_an_earlier_version_of_the_network_is_not_taken_for_one_of_the_latest(tmp_path):
    latest = {"encoder_version": 3, "head_version": 2}
    jobs = [
        make_job(build(RunConfig, {**JOINT, "options": options}), "data", tmp_path)
        for options in ({}, latest, {"encoder_version": 2}, {"encoder_version": 1, "head_version": 1})
    ]
    assert jobs[0] == jobs[1] and jobs[0].config.options == latest
    assert len({job.folder for job in jobs}) == 3


def test_a_job_that_starts_from_weights_has_their_versions(tmp_path):
    job = make_job(build(RunConfig, {**JOINT, "start": "jointwrist_tiny"}), "data", tmp_path)
    assert job.config.options == JOINT["options"] and model_options(job.config)["encoder_version"] == 1


def test_loss_that_is_not_finite_names_the_images(dataset, tmp_path):
    trainer = trainer_for(JOINT, dataset, tmp_path)
    with torch.no_grad():
        next(trainer.unwrapped.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match="not_finite"):
        trainer.fit()
    known = {case.identifier for case in dataset.cases}
    named = (tmp_path / "not_finite.txt").read_text().split()
    assert named and set(named) <= known


def test_evaluation_has_every_case_once(dataset, tmp_path):
    config = build(RunConfig, JOINT)
    data = load_run_data(config, dataset)
    model = trainer_for(JOINT, dataset, tmp_path).unwrapped
    _, rows = evaluate_model(Accelerator(cpu=True), model, data.test, build_task(config, data.prior))
    masked = {c.identifier for c in dataset.segmentation("test")}
    scored = {c.identifier for c in dataset.erosion("test")}
    assert {r["case"] for r in rows["segmentation"]} >= masked
    assert {r["case"] for r in rows["erosion"]} >= scored
    assert len(rows["segmentation"]) == (14 + 14) * len({r["case"] for r in rows["segmentation"]})


def test_batch_without_masks_and_batch_without_scores_have_all_gradients(dataset, tmp_path):
    trainer = trainer_for(JOINT, dataset, tmp_path)
    batch = trainer.task.prepare(next(iter(trainer.loader)), training=True)
    for changes in (
        {"has_bones": torch.zeros_like(batch["has_bones"]), "has_eroded": torch.zeros_like(batch["has_eroded"])},
        {"scores": torch.full_like(batch["scores"], -1)},
    ):
        trainer.unwrapped.zero_grad()
        loss = trainer.task.losses(trainer.model, {**batch, **changes}, StepContext(0.5))["loss"]
        loss.backward()
        assert loss.isfinite()
        assert all(p.grad is not None for p in trainer.unwrapped.parameters())


def test_learning_rate_warms_up_and_falls_to_the_floor(dataset, tmp_path):
    values = {**JOINT, "optim": {**JOINT["optim"], "epochs": 20, "warmup": 0.1, "schedule": "step", "lr_floor": 0.01}}
    trainer = trainer_for(values, dataset, tmp_path)
    rates = [trainer.learning_rate(step) for step in range(trainer.total_steps + 1)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert max(rates) == pytest.approx(1e-3) and rates[-1] == pytest.approx(1e-5)


def test_two_processes_agree_with_one(processes, phantom_root, tmp_path):
    values = {**JOINT, "optim": {"epochs": 1, "batch_size": 4}}
    results = []
    for count in (1, 2):
        folder = tmp_path / str(count)
        assert ranks.start(processes, count, ranks.evaluate_and_train, phantom_root, folder, values) == [0] * count
        results.append(json.loads((folder / "result.json").read_text()))
    one, two = results
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["losses"] == pytest.approx(two["losses"], rel=1e-3)
    assert len(one["rows"]["segmentation"]) == len(two["rows"]["segmentation"])
    for ours, theirs in zip(one["rows"]["segmentation"], two["rows"]["segmentation"], strict=True):
        assert (ours["case"], ours["region"]) == (theirs["case"], theirs["region"])
        assert ours["dsc"] == pytest.approx(theirs["dsc"], abs=1e-3, nan_ok=True)
    for ours, theirs in zip(one["rows"]["erosion"], two["rows"]["erosion"], strict=True):
        assert ours["probability"] == pytest.approx(theirs["probability"], abs=1e-4)


def test_teacher_is_followed_where_it_is_sure(dataset, tmp_path):
    values = {**JOINT, "joint": {"consistency": 1.0, "segmentation_warmup": 0.0}}
    trainer = trainer_for(values, dataset, tmp_path)
    batch = trainer.task.prepare(next(iter(trainer.loader)), training=False)
    batch |= {"has_bones": torch.zeros_like(batch["has_bones"]), "has_eroded": torch.zeros_like(batch["has_eroded"])}
    trainer.model.eval()
    context = StepContext(0.5, mean_teacher=trainer.ema.module)
    same = trainer.task.losses(trainer.model, batch, context)["consistency"]
    logits = trainer.ema.module.segment(batch["image"])
    sure = (logits.sigmoid() - 0.5).abs() > 0.45
    own = torch.nn.functional.binary_cross_entropy_with_logits(logits[sure], (logits[sure] > 0).float())
    assert sure.any() and torch.allclose(same, own, rtol=1e-4)
    with torch.no_grad():
        for parameter in trainer.unwrapped.decoder.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    assert trainer.task.losses(trainer.model, batch, context)["consistency"] > same


def test_masks_of_a_frozen_segmenter_drive_the_erosion_head(dataset, tmp_path):
    first = trainer_for(JOINT | {"optim": JOINT["optim"] | {"epochs": 1}}, dataset, tmp_path / "segmenter")
    first.fit()
    values = JOINT | {"joint": {"segmenter": str(tmp_path / "segmenter"), "teacher_forcing": 0.0}}
    cascade = trainer_for(values, dataset, tmp_path / "cascade")
    segmenter, task = cascade.task.segmenter, cascade.task
    with torch.no_grad():
        for parameter in segmenter.decoder.parameters():
            parameter.add_(torch.randn_like(parameter))
    before = weights(segmenter)
    batch = task.prepare(next(iter(cascade.loader)), training=False)
    model = cascade.unwrapped.eval()
    with torch.no_grad():
        found = segmenter.segment(batch["image"]).sigmoid()
        expected = model(batch["image"], batch["detail"], found)
        output = task.forward(model, batch)
    assert torch.equal(output.roi_boxes, expected.roi_boxes)
    assert torch.equal(output.erosion_logits, expected.erosion_logits)
    assert not torch.equal(output.erosion_logits, model(batch["image"], batch["detail"]).erosion_logits)
    cascade.fit()
    assert torch.equal(weights(segmenter), before)


def test_doubly_labelled_training_leaves_out_the_rest(dataset):
    def cases(**joint):
        return load_run_data(build(RunConfig, JOINT | {"joint": joint}), dataset).train.cases

    everything, both = cases(), cases(doubly_labelled=True)
    expected = [c.identifier for c in everything if c.mask is not None and max(c.scores) >= 0]
    assert [case.identifier for case in both] == expected and 0 < len(both) < len(everything)


def test_segmentation_from_a_larger_image_is_measured_at_the_network_s_size(dataset):
    values = {"model": "unet", "task": "segmentation", "image_size": 32, "detail_size": 64}
    config = build(RunConfig, values)
    data, task = load_run_data(config, dataset), build_task(config)
    item = {key: torch.stack([value]) for key, value in data.val[0].items() if isinstance(value, torch.Tensor)}
    assert item["image"].shape[-1] == 64
    prepared = task.prepare(item, training=False)
    assert prepared["image"].shape == (1, 1, 32, 32) and prepared["masks"].shape == (1, 14, 32, 32)


def test_a_run_starts_from_the_weights_that_it_names(dataset, tmp_path):
    first = {**JOINT, "optim": {**JOINT["optim"], "epochs": 1}}
    kept = trainer_for(first, dataset, tmp_path / "first").fit()
    again = trainer_for({**first, "seed": 1, "start": str(tmp_path / "first")}, dataset, tmp_path / "again")
    torch.testing.assert_close(weights(again.unwrapped), weights(kept), rtol=0, atol=0)
    torch.testing.assert_close(weights(again.eval_model), weights(kept), rtol=0, atol=0)
    assert not torch.equal(
        weights(trainer_for({**first, "seed": 1}, dataset, tmp_path / "chance").unwrapped), weights(kept)
    )

    windows = {**first, "options": {"encoder": "swin", "roi_crop": 32}, "start": str(tmp_path / "first")}
    with pytest.raises(DataError, match=r"best\.safetensors: was trained with options .* give it the same"):
        trainer_for(windows, dataset, tmp_path / "windows")
    other = {"model": "unetpp", "task": "segmentation", "image_size": 32, "start": str(tmp_path / "first")}
    with pytest.raises(DataError, match="holds jointwrist_tiny, and unetpp cannot start from it"):
        trainer_for(other, dataset, tmp_path / "other")
    with pytest.raises(DataError, match="nowhere: no weights here"):
        trainer_for({**first, "start": "nowhere"}, dataset, tmp_path / "none")


def test_starting_from_chance_leaves_the_hash_of_a_run_as_it_was():
    config = build(RunConfig, JOINT)
    assert "start" not in hashed_values(config) and "uneven" not in hashed_values(config)["augment"]
    assert hashed_values(replace(config, augment=replace(config.augment, uneven=0.1)))["augment"]["uneven"] == 0.1
    assert config_hash(config) != config_hash(replace(config, start="x"))
