"""Joint training in phases: when the erosion loss moves the masks, and whose gradients are clipped together."""

from __future__ import annotations

import pytest
import torch

from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.results.case_results import mean_figures
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.registry import create_model

MICRO = {"encoder": "conv", "widths": (8, 8, 8, 8, 8), "roi_channels": 4, "roi_crop": 16, "roi_dim": 32}


def task_for(**joint):
    schedule = {"mask_grad_scale": 0.1, "mask_grad_start": 0.5, "segmentation_warmup": 0.0, **joint}
    values = {"model": "jointwrist_tiny", "task": "joint", "image_size": 32, "joint": schedule, "optim": {"epochs": 4}}
    return build_task(build(RunConfig, values))


def batch():
    torch.manual_seed(0)
    masks = torch.zeros(2, 14, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    return {
        "image": torch.rand(2, 1, 32, 32), "detail": torch.rand(2, 1, 64, 64), "masks": masks,
        "has_bones": torch.ones(2, dtype=torch.bool), "scores": torch.ones(2, 6, dtype=torch.long),
        "has_eroded": torch.zeros(2, dtype=torch.bool), "eroded": torch.zeros(2, 64, 64, dtype=torch.uint8),
        "bones": torch.zeros(2, 64, 64, dtype=torch.int16),
    }  # fmt: skip


def scale_of_step(context: StepContext) -> float:
    """The share that the task gives the network in a step."""
    task, model, seen = task_for(teacher_forcing=0.0), create_model("jointwrist_tiny", **MICRO), []
    model.register_forward_pre_hook(lambda _, __, named: seen.append(named["mask_grad_scale"]), with_kwargs=True)
    task.losses(model, batch(), context)
    return seen[0]


@pytest.mark.parametrize("progress, expected", [(0.0, 0.0), (0.49, 0.0), (0.5, 0.1), (0.99, 0.1)])
def test_the_erosion_loss_moves_the_masks_in_the_last_phase(progress, expected):
    assert scale_of_step(StepContext(progress)) == expected


def mask_gradient(scale: float) -> torch.Tensor:
    """Gradient of the erosion loss at the mask head's weights."""
    torch.manual_seed(0)
    task, model = task_for(), create_model("jointwrist_tiny", **MICRO)
    model.decoder.mask_head.bias.data.fill_(1.0)  # bones are found
    data = batch()
    loss = task._level_loss(model(data["image"], data["detail"], mask_grad_scale=scale), data, StepContext())
    return torch.autograd.grad(loss, model.decoder.mask_head.weight, allow_unused=True)[0]


def test_at_scale_0_no_gradient_of_the_erosion_loss_reaches_the_mask_head():
    assert mask_gradient(0.0) is None
    whole, tenth = mask_gradient(1.0), mask_gradient(0.1)
    assert whole.abs().max() > 0
    torch.testing.assert_close(tenth, 0.1 * whole, rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize(
    "after, fell", [([], False), ([0.93], False), ([0.9285], False), ([0.927], True), ([0.927, 0.95], True)]
)
def test_masks_that_get_worse_are_left_alone_again(after, fell):
    history = [{"epoch": i, "val_nsd": nsd} for i, nsd in enumerate([0.90, 0.93, *after])]
    assert scale_of_step(StepContext(0.9, epoch_figures=history)) == (0.0 if fell else 0.1)


def test_gradients_of_masks_and_erosions_are_clipped_apart():
    task, model = task_for(), create_model("jointwrist_tiny", **MICRO)
    groups = task.clipped_together(model)
    assert sorted(id(p) for group in groups for p in group) == sorted(id(p) for p in model.parameters())
    head = {name for name, p in model.named_parameters() if id(p) in {id(q) for q in groups[0]}}
    assert head and all(name.startswith("erosion.") for name in head)
    assert not any(name.startswith("erosion.") for name in dict(model.named_parameters()).keys() - head)


def test_mean_figures_are_means_over_bones_alone():
    rows = [{"kind": "bone", "dsc": 0.5, "nsd": 0.25}, {"kind": "bone", "dsc": 1.0, "nsd": 0.75}]
    rows.append({"kind": "overlap", "dsc": 0.0, "nsd": 0.0})
    assert mean_figures({"segmentation": rows}) == {"val_dsc": 0.75, "val_nsd": 0.5}
    assert mean_figures({"erosion": []}) == {}
