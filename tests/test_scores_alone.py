"""What the erosion head learns from scores alone: where erosions are, without labels of their pixels."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import log_loss

from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig, config_hash
from jointwrist.engine.tasks.erosion_losses import map_score_loss
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.models.crop_network import CropNetwork
from jointwrist.models.joint import JointOutput


def textured_crops(count: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Crops of 24 px noise, half of them with a dark square of 4 px; whether there is one; its corner (row, column)."""
    random = torch.Generator().manual_seed(seed)
    crops = F.avg_pool2d(torch.randn(count, 1, 28, 28, generator=random), 5, 1)
    crops = crops / crops.std()
    eroded = torch.rand(count, generator=random) < 0.5
    corners = torch.randint(4, 18, (count, 2), generator=random)
    for number in torch.nonzero(eroded).flatten().tolist():
        row, column = corners[number].tolist()
        crops[number, 0, row : row + 4, column : column + 4] -= 2
    return crops, eroded.float(), corners


def located(version: int) -> float:
    """Share of the dark squares at which the heat map of a network trained on labels of whole crops is highest."""
    torch.manual_seed(0)
    network = CropNetwork(1, 1, 8, version)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for step in range(80):
        crops, eroded, _ = textured_crops(32, step)
        highest = network(crops, torch.zeros(32, 1, 12, 12)).heat_maps.flatten(1).topk(4, 1).values.mean(1)
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(highest, eroded).backward()
        optimizer.step()
    network.eval()
    crops, eroded, corners = textured_crops(128, 9999)
    with torch.no_grad():
        place = network(crops, torch.zeros(128, 1, 12, 12)).heat_maps.flatten(1).argmax(1)
    centres = 2 * torch.stack([place // 12, place % 12], 1) + 0.5
    return float(((centres - corners - 1.5).abs().amax(1) <= 3)[eroded > 0].float().mean())


def test_heat_maps_trained_on_scores_alone_point_at_erosions():
    assert located(version=2) > 0.8
    # as in earlier releases: normalising each crop by itself, as many steps teach nothing
    assert located(version=1) < 0.2


RUN = {"model": "jointwrist_tiny", "task": "joint", "image_size": 32, "erosion": {"map_scores": 0.5}}


def case(maps: torch.Tensor) -> tuple[JointOutput, dict]:
    """Three wrists: scored, partly scored with a joint that was not found, and scored with known eroded pixels."""
    nothing = torch.zeros(3, 6, 4)
    found = torch.ones(3, 6, dtype=torch.bool)
    found[1, 0] = False
    output = JointOutput(nothing, nothing, nothing, nothing, found, maps, nothing)
    scores = torch.tensor([[0, 1, 2, 0, 5, 0], [1, 1, -1, -1, 0, -1], [1, 1, 1, 1, 1, 1]])
    return output, {"scores": scores, "has_eroded": torch.tensor([False, False, True])}


def test_the_loss_is_the_cross_entropy_of_the_joints_that_are_scored_found_and_without_known_pixels():
    torch.manual_seed(0)
    maps = torch.randn(3, 6, 8, 10, requires_grad=True)
    output, batch = case(maps)
    config = build(RunConfig, RUN)
    loss = map_score_loss(output, batch, config.erosion, StepContext())
    chosen = [(0, joint) for joint in range(6)] + [(1, 1), (1, 4)]
    highest = [maps[wrist, joint].flatten().sort().values[-2:].mean().item() for wrist, joint in chosen]  # 80 / 40
    eroded = [int(batch["scores"][wrist, joint] > 0) for wrist, joint in chosen]
    expected = 0.5 * log_loss(eroded, torch.tensor(highest).sigmoid().numpy())
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    loss.backward()
    reached = maps.grad.abs().sum((-2, -1)) > 0
    assert [tuple(at) for at in torch.nonzero(reached).tolist()] == chosen


def test_without_scores_the_loss_is_0_and_so_is_its_gradient():
    maps = torch.randn(3, 6, 8, 8, requires_grad=True)
    output, batch = case(maps)
    batch["scores"] = torch.full((3, 6), -1)
    loss = map_score_loss(output, batch, build(RunConfig, RUN).erosion, StepContext())
    loss.backward()
    assert loss.item() == 0 and not maps.grad.any()


def test_runs_of_earlier_releases_keep_their_hash():
    without = {**RUN, "erosion": {}}
    assert config_hash(build(RunConfig, without)) == config_hash(
        build(RunConfig, {**without, "erosion": {"map_scores": 0.0}, "optim": {"erosion_lr": 1.0}})
    )
    assert config_hash(build(RunConfig, without)) != config_hash(build(RunConfig, RUN))
