"""The shared trunk: two gradients in balance, weights near joint contours, deep supervision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from jointwrist.anatomy import WRIST
from jointwrist.config import ConfigError, build
from jointwrist.engine.config.run_config import RunConfig, config_hash
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.masks import coarse_losses, contour_weights
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.losses import cross_entropy, dice_loss
from jointwrist.models.feature_balance import FeatureBalance, balanced_gradient, split_features
from jointwrist.registry import create_model

MICRO = {"encoder": "conv", "widths": (8, 8, 8, 8, 8), "roi_channels": 4, "roi_crop": 16, "roi_dim": 32}


def two_tasks(first: list[float], second: list[float], balance: FeatureBalance, scale: float = 1.0) -> torch.Tensor:
    """Gradient at a shared weight of two linear tasks with the given gradients."""
    weight = torch.tensor([1.0, 2.0], requires_grad=True)
    one, other = split_features(weight * 1, balance)
    (scale * (one @ torch.tensor(first) + other @ torch.tensor(second))).backward()
    return weight.grad / scale


@pytest.mark.parametrize(
    "second, balance, expected",
    [
        ([4.0, 3.0], FeatureBalance(0.5), [3 + 1.2, 0.9]),  # norm 5 to half of 3
        ([-4.0, 3.0], FeatureBalance(1.0), [3 - 2.4, 1.8]),
        ([-4.0, 3.0], FeatureBalance(1.0, True), [3.0, 3.0]),  # the opposing part is gone, then the norm is set
        ([4.0, 3.0], FeatureBalance(1.0, True), [3 + 2.4, 1.8]),  # no conflict
        ([-4.0, 0.0], FeatureBalance(1.0, True), [3.0, 0.0]),  # nothing but conflict
        ([4.0, 3.0], FeatureBalance(0.0), [3.0, 0.0]),
        ([0.0, 0.0], FeatureBalance(1.0, True), [3.0, 0.0]),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 65536.0])
def test_a_hand_made_problem_of_two_tasks(second, balance, expected, scale):
    gradient = two_tasks([3.0, 0.0], second, balance, scale)
    torch.testing.assert_close(gradient, torch.tensor(expected), rtol=1e-6, atol=1e-6)


def test_without_a_leading_gradient_there_is_none():
    assert two_tasks([0.0, 0.0], [4.0, 3.0], FeatureBalance(1.0, True)).tolist() == [0.0, 0.0]


def test_processes_share_norms_and_conflicts(monkeypatch):
    torch.manual_seed(0)
    first, second = torch.randn(2, 6), torch.randn(2, 6)
    second -= first  # they conflict
    balance = FeatureBalance(0.3, True)
    together = balanced_gradient(first, second, balance)
    sums = [torch.stack([a @ a, b @ b, a @ b]) for a, b in zip(first, second, strict=True)]
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.all_reduce", lambda tensor: tensor.copy_(sums[0] + sums[1]))
    for process in (0, 1):
        found = balanced_gradient(first[process], second[process], balance)
        torch.testing.assert_close(found, together[process])


def task_for(**values):
    plain = {"model": "jointwrist_tiny", "task": "joint", "image_size": 32, "erosion": {"pixel_truth": True}}
    return build_task(build(RunConfig, plain | values))


@pytest.fixture(scope="module")
def batch():
    torch.manual_seed(0)
    masks = torch.zeros(2, 14, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    return {
        "image": torch.rand(2, 1, 32, 32), "detail": torch.rand(2, 1, 64, 64), "masks": masks,
        "has_bones": torch.ones(2, dtype=torch.bool), "scores": torch.ones(2, 6, dtype=torch.long),
        "has_eroded": torch.ones(2, dtype=torch.bool), "eroded": torch.zeros(2, 64, 64, dtype=torch.uint8),
        "bones": torch.zeros(2, 64, 64, dtype=torch.int16),
    }  # fmt: skip


def trunk_gradients(task, batch, progress: float, **options) -> dict[str, torch.Tensor]:
    """Gradients of a training step at the decoder step that makes the shared features."""
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", **MICRO, **options).train()
    model.decoder.mask_head.bias.data.fill_(1.0)  # bones are found
    model.erosion.local_gain.gain.data.fill_(1.0)  # features reach the head
    torch.manual_seed(1)
    task.losses(model, batch, StepContext(progress))["loss"].backward()
    return {name: p.grad for name, p in model.decoder.steps[3].named_parameters()}


def norm(gradients: dict[str, torch.Tensor]) -> float:
    return float(torch.cat([g.flatten() for g in gradients.values()]).norm())


def test_a_training_step_holds_the_erosion_gradient_to_its_share(batch):
    schedule = {"segmentation_warmup": 0.0, "teacher_forcing": 0.0}
    masks = trunk_gradients(task_for(joint=schedule | {"erosion_share": 0.0}), batch, 0.5)
    constant = trunk_gradients(task_for(joint=schedule), batch, 0.5, feature_grad_scale=0.0)
    for name, gradient in masks.items():
        torch.testing.assert_close(gradient, constant[name])
    held = trunk_gradients(task_for(joint=schedule | {"erosion_share": 0.4}), batch, 0.0)
    later = trunk_gradients(task_for(joint=schedule | {"erosion_share": 0.4}), batch, 0.75)
    done = trunk_gradients(task_for(joint=schedule | {"erosion_share": 0.4, "erosion_share_end": 0.5}), batch, 0.5)
    erosion = {name: held[name] - masks[name] for name in masks}
    left = {name: later[name] - masks[name] for name in masks}
    assert norm(erosion) > 0 and norm(left) == pytest.approx(norm(erosion) / 4, rel=0.02)
    assert norm({name: done[name] - masks[name] for name in masks}) == pytest.approx(0.0, abs=1e-6 * norm(masks))


def test_joint_contours_weigh_more_and_the_mean_stays():
    masks = torch.zeros(1, 14, 60, 60)
    carpal = WRIST.bone_names.index("Scaphoid")
    masks[0, carpal, 20:40, 20:40] = 1
    weights = contour_weights(masks, 3.0)
    assert weights.shape == (1, 1, 60, 60) and float(weights.mean()) == pytest.approx(1.0, abs=1e-5)
    assert weights[0, 0, 20, 30] == weights.max() and weights[0, 0, 30, 30] == weights[0, 0, 5, 5] == weights.min()
    assert float(weights.max() / weights.min()) == pytest.approx(4.0)
    assert float(contour_weights(torch.zeros(1, 14, 32, 32), 3.0).std()) == 0.0


def test_weights_of_one_change_no_loss_and_others_count_as_repeated_pixels():
    torch.manual_seed(0)
    logits, target = torch.randn(2, 3, 8, 8), (torch.rand(2, 3, 8, 8) > 0.5).float()
    ones = torch.ones(2, 1, 8, 8)
    assert torch.equal(dice_loss(logits.sigmoid(), target, pixels=ones), dice_loss(logits.sigmoid(), target))
    assert torch.equal(cross_entropy(logits, target, pixels=ones), cross_entropy(logits, target))
    twice = ones.clone()
    twice[..., :4] = 2
    doubled = [torch.cat([t, t[..., :4]], -1) for t in (logits, target)]
    torch.testing.assert_close(
        dice_loss(logits.sigmoid(), target, pixels=twice), dice_loss(doubled[0].sigmoid(), doubled[1])
    )
    torch.testing.assert_close(cross_entropy(logits, target, pixels=twice / 1.5), cross_entropy(*doubled))


def test_deep_supervision_trains_coarse_masks_and_leaves_the_output_alone(batch):
    options = {"deep_supervision": True}
    task = task_for(options=options, segmentation={"deep_supervision": 0.5})
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", **MICRO, **options).train()
    assert [tuple(t.shape[-2:]) for t in model(batch["image"]).coarse_logits] == [(4, 4), (8, 8), (16, 16)]
    losses = task.losses(model, batch, StepContext())
    losses["coarse"].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.decoder.coarse_heads.parameters())
    assert model.eval()(batch["image"]).coarse_logits == ()
    perfect = [40 * (F.adaptive_avg_pool2d(batch["masks"], side) - 0.5) for side in (4, 8, 16)]
    assert coarse_losses(perfect, batch["masks"], task.config.segmentation) < 1e-4


@pytest.mark.parametrize(
    "values, message",
    [
        ({"joint": {"erosion_share": 0.3}, "options": {"feature_grad_scale": 0.0}}, "needs an erosion gradient"),
        ({"segmentation": {"deep_supervision": 0.5}}, "set options.deep_supervision=true"),
    ],
)
def test_contradicting_values_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        task_for(**values)


def test_runs_without_the_new_values_keep_their_hash():
    assert config_hash({"model": "jointwrist_tiny", "joint": {"erosion_share": None}, "segmentation": {}}) == (
        config_hash({"model": "jointwrist_tiny", "joint": {}, "segmentation": {"joint_contours": 0.0}})
    )
