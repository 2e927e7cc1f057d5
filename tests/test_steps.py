"""What a training step does: groups of accumulated gradients, no waiting for the device, evaluation mode at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from torch.utils._python_dispatch import TorchDispatchMode

from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.loop.trainer import BEST, Trainer
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.errors import TrainingError
from jointwrist.weights.checkpoint import load_weights

SMALL = {"image_size": 32, "optim": {"epochs": 1, "batch_size": 4, "lr": 1e-3}}
JOINT = {
    **SMALL,
    "model": "jointwrist_tiny",
    "task": "joint",
    "options": {"encoder": "conv", "roi_crop": 16},
    "segmentation": {"distance": 0.2, "overlap": 0.2, "boundary": 0.1},
    "joint": {"segmentation_warmup": 0.0, "consistency": 0.5},
    "erosion": {"pixel_truth": True},
}
CROPS = {**SMALL, "model": "resnet", "task": "erosion", "options": {"map_head": True}}
RUNS = {
    "joint": {**JOINT, "optim": {**SMALL["optim"], "ema": 0.9}},
    "crops": {**CROPS, "erosion": {"crop_size": 32, "pixel_truth": True, "positive_weight": 3.0}},
    "masks": {**SMALL, "model": "unet", "task": "segmentation", "segmentation": {"overlap": 0.2}},
}


def trainer_for(values: dict, dataset, folder: Path) -> Trainer:
    config = build(RunConfig, values)
    data = load_run_data(config, dataset, ("train", "val"))
    return Trainer(Accelerator(cpu=True), config, data, build_task(config, data.prior), folder)


class NoWaiting(TorchDispatchMode):
    """Refuse what a GPU has to be waited for: values and counts that Python or the next shape depend on."""

    WAITS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::is_nonzero", "aten::unique")

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        """Run an operation unless it waits."""
        name = function._schema.name
        assert not name.startswith(self.WAITS), name
        indices = arguments[1] if name.startswith(("aten::index.", "aten::index_put")) or name == "aten::index" else []
        assert not any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in indices), name
        return function(*arguments, **(options or {}))


@pytest.mark.parametrize("name", RUNS)
def test_a_step_waits_for_nothing_on_the_device(name, dataset, tmp_path):
    trainer = trainer_for(RUNS[name], dataset, tmp_path)
    trainer.model.train()
    batch = next(iter(trainer.loader))
    with NoWaiting():
        prepared = trainer.task.prepare(batch, training=True)
        loss = trainer.task.losses(trainer.model, prepared, trainer.context(0))["loss"]
        loss.backward()
    with pytest.raises(AssertionError, match="_local_scalar_dense"), NoWaiting():
        loss.detach().item()
    with pytest.raises(AssertionError, match=r"aten::index|aten::nonzero"), NoWaiting():
        loss[None][torch.tensor([True])]


def test_losses_are_read_every_so_many_steps_and_at_the_end(dataset, tmp_path, monkeypatch):
    trainer, read = trainer_for(JOINT, dataset, tmp_path), []
    original = Trainer._read_losses
    monkeypatch.setattr("jointwrist.engine.loop.trainer.READ_EVERY", 2)
    monkeypatch.setattr(Trainer, "_read_losses", lambda self: (read.append(len(self.unread)), original(self)))
    trainer.fit()
    assert read[:2] == [2, 2] and sum(read) == trainer.steps_per_epoch > 2


def test_the_erosion_head_rests_until_its_losses_begin_and_then_takes_steps_of_its_learning_rate(dataset, tmp_path):
    optim = {**SMALL["optim"], "weight_decay": 0.1, "erosion_lr": 0.5}
    true_masks = {"segmentation_warmup": 0.5, "teacher_forcing": 1e9}
    trainer = trainer_for({**JOINT, "joint": true_masks, "optim": optim}, dataset, tmp_path)
    head, largest = list(trainer.model.erosion.parameters()), []
    update = trainer.optimizer.step

    def step():
        before = [p.detach().clone() for p in head]
        update()
        largest.append(max(float((p.detach() - old).abs().max()) for p, old in zip(head, before, strict=True)))

    trainer.optimizer.step = step
    trainer.fit()
    begin = -(-trainer.steps_per_epoch // 2)
    assert begin > 1 and largest[:begin] == [0.0] * begin
    # the first step of AdamW has the size of the learning rate; the weights' decay adds little
    assert largest[begin] == pytest.approx(0.5e-3, rel=0.1)


def test_a_loss_that_is_not_finite_is_that_of_its_own_step(dataset, tmp_path, monkeypatch):
    trainer = trainer_for(JOINT, dataset, tmp_path)
    original, images = trainer.task.losses, []

    def losses(model, batch, progress):
        images.append(batch["identifier"])
        parts = original(model, batch, progress)
        return {name: value * (float("nan") if len(images) == 2 else 1.0) for name, value in parts.items()}

    monkeypatch.setattr(trainer.task, "losses", losses)
    with pytest.raises(TrainingError, match="the loss is nan at step 1;"):
        trainer.fit()
    assert len(images) > 2 and (tmp_path / "not_finite.txt").read_text().split() == images[1]
    assert not (tmp_path / "state.pt").exists(), "weights that it has spoilt are not kept"


def test_groups_of_accumulated_steps_begin_anew_each_epoch_and_weigh_their_steps_alike(dataset, tmp_path, monkeypatch):
    optim = {"epochs": 2, "batch_size": 4, "accumulate": 2, "lr": 0.1}
    values = {**RUNS["masks"], "optim": optim, "augment": {"affine_probability": 0.0, "intensity_probability": 0.0}}
    trainer = trainer_for(values, dataset, tmp_path)
    steps, groups, gradients = trainer.steps_per_epoch, [], []
    original, update = trainer.task.losses, trainer.optimizer.step
    assert steps % 2, "a short group at the end"

    def losses(model, batch, progress):
        own = original(model, batch, progress)
        gradients.append(torch.autograd.grad(own["loss"], list(model.parameters()), retain_graph=True))
        return own

    def step():
        mean = [sum(parts) / len(gradients) for parts in zip(*gradients, strict=True)]
        for parameter, expected in zip(trainer.unwrapped.parameters(), mean, strict=True):
            torch.testing.assert_close(parameter.grad, expected, rtol=1e-4, atol=1e-6)
        groups.append(len(gradients))
        gradients.clear()
        update()

    monkeypatch.setattr(trainer.task, "losses", losses)
    monkeypatch.setattr(trainer.optimizer, "step", step)
    trainer.fit()
    assert groups == 2 * ([2] * (steps // 2) + [1])


def test_networks_come_back_in_evaluation_mode(dataset, tmp_path):
    trainer = trainer_for(RUNS["crops"], dataset, tmp_path)
    model = trainer.fit()
    assert not any(module.training for module in model.modules())
    assert not any(module.training for module in load_weights(tmp_path / BEST)[0].modules())
    evaluate_model(trainer.accelerator, model.train(), trainer.data.val, trainer.task)
    assert not any(module.training for module in model.modules())
