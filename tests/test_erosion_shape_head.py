"""The erosion head that draws the bone as it is and as it was: crops, figures, losses, training on a frozen trunk."""

import math

import numpy as np
import pytest
import torch

from jointwrist.anatomy import JOINTS
from jointwrist.config import build
from jointwrist.data.radiograph import Radiograph
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import build_model, build_optimizer, start_from
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.step_context import StepContext
from jointwrist.errors import DataError
from jointwrist.inference.placement import Placement
from jointwrist.inference.predictor import Predictor
from jointwrist.models.erosion_shape_head import extent_figures
from jointwrist.ops.roi import common_boxes, crop_bits
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights

SMALL = {"encoder": "conv", "widths": [8, 8, 8, 8, 8], "roi_dim": 16}
SHAPES = {**SMALL, "erosion_head": "shapes", "roi_channels": 8, "roi_crop": 32}


def run(**values) -> RunConfig:
    values = {"model": "jointwrist_tiny", "task": "joint", "image_size": 64, "options": SHAPES, **values}
    return build(RunConfig, values)


def wrists(count: int = 2, size: int = 64) -> dict:
    """Wrists of square bones, the second joint of the first wrist eroded."""
    torch.manual_seed(0)
    bones = torch.zeros(count, size, size, dtype=torch.int16)
    for number, joint in enumerate(JOINTS):
        row, column = divmod(number, 3)
        bones[:, 10 + 24 * row : 28 + 24 * row, 4 + 20 * column : 20 + 20 * column] |= 1 << joint.bone
    eroded = torch.zeros(count, size, size, dtype=torch.uint8)
    eroded[0, 10:14, 24:30] = 1 << 1
    bones[0, 10:14, 24:30] = 0
    scores = torch.zeros(count, 6, dtype=torch.long)
    scores[0, 1] = 2
    return {
        "image": torch.rand(count, 1, size, size), "bones": bones, "eroded": eroded, "scores": scores,
        "has_bones": torch.ones(count, dtype=torch.bool), "has_eroded": torch.ones(count, dtype=torch.bool),
        "identifier": ["a"] * count, "patient": ["a"] * count, "side": ["R"] * count,
    }  # fmt: skip


def test_bits_are_cropped_pixel_by_pixel_and_nothing_lies_outside():
    maps = torch.randint(0, 4, (2, 1, 12, 12), dtype=torch.int16)
    boxes = torch.tensor([[[2.0, 3, 8, 9], [-2, -2, 4, 4]]]).expand(2, -1, -1)
    found = crop_bits(maps, torch.tensor([[0, 1]]), boxes, 6, 1.0)[:, 0]
    assert torch.equal(found[:, 0], (maps[:, 0, 3:9, 2:8] & 1).float())
    assert torch.equal(found[:, 1, 2:, 2:], (maps[:, 0, :4, :4] >> 1 & 1).float())
    assert not found[:, 1, :2].any() and not found[:, 1, :, :2].any()
    # at another scale: boxes of an image of half the size
    assert torch.equal(found, crop_bits(maps, torch.tensor([[0, 1]]), boxes / 2, 6, 2.0)[:, 0])


def test_all_crops_of_a_wrist_have_the_side_of_the_largest_joint():
    masks = torch.zeros(1, 14, 64, 64)
    for number, joint in enumerate(JOINTS[:5]):
        masks[0, joint.bone, 10 + 6 * number : 20 + 7 * number, 10:30] = 1
    boxes, valid = common_boxes(masks, 128)
    sides = boxes[0, valid[0], 2:] - boxes[0, valid[0], :2]
    assert valid[0].tolist() == [True] * 5 + [False]
    torch.testing.assert_close(sides, sides[:1, :1].expand_as(sides))
    middle = (boxes[0, 2, :2] + boxes[0, 2, 2:]) / 2
    torch.testing.assert_close(middle, 2 * torch.tensor([20.0, (22 + 34) / 2]))


@pytest.mark.parametrize("angle, depth", [(0.0, 0), (0.6, 6), (1.2, 6), (1.2, 12)])
def test_extent_figures_of_a_disc_with_a_bite_are_those_of_geometry(angle, depth):
    side, radius = 128, 40.0
    y, x = torch.meshgrid(torch.arange(side) + 0.5 - side / 2, torch.arange(side) + 0.5 - side / 2, indexing="ij")
    r, phi = torch.hypot(x, y), torch.atan2(y, x)
    before = r < radius
    bite = before & (phi.abs() < angle / 2) & (r > radius - depth)
    near = (r > radius) & (r < radius + 12)  # an articulating bone all around
    logit = lambda mask: torch.where(mask, 9.0, -9.0)[None]  # noqa: E731
    drawn = torch.stack([logit(before & ~bite), logit(before)], 1)
    eroded, lost, reach, area, peak = extent_figures(drawn, logit(bite)[None], near.float()[None, None])[0].tolist()
    share = angle / (2 * math.pi)
    assert abs(eroded - share) < 0.03 and abs(lost - share) < 0.03
    assert abs(area - math.sqrt(float(bite.float().mean()))) < 0.02
    if depth:
        assert abs(reach * 10 - depth) < 0.35 * depth and peak > 5
    else:
        assert reach < 0.01 and peak < -8


def test_the_score_follows_what_the_head_draws():
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", **SHAPES).train()
    output = model(torch.rand(1, 1, 64, 64), torch.rand(1, 1, 96, 96))
    assert output.erosion_heat_maps.shape == (1, 6, 32, 32) and output.bone_shapes.shape == (1, 6, 2, 32, 32)
    gradient = torch.autograd.grad(output.erosion_logits.sum(), output.erosion_heat_maps, allow_unused=True)[0]
    assert gradient is None  # the planes are views of one map
    gradient = torch.autograd.grad(output.erosion_logits.sum(), model.erosion.network.draw.bias)[0]
    assert (gradient.view(3, 4).abs().sum(1) > 0).all()
    unseen = model.erosion.eval()
    masks = torch.rand(1, 14, 64, 64)
    features, detail = torch.rand(1, 8, 32, 32), torch.rand(1, 1, 96, 96)
    moved = unseen(masks.flip(1), features, detail).logits
    assert not torch.equal(unseen(masks, features, detail).logits, moved)


def test_the_extent_of_an_erosion_is_measured_in_mm_of_the_radiograph():
    model = create_model("jointwrist_tiny", **SHAPES)
    model.decoder.mask_head.bias.data.fill_(1.0)  # bones are found
    with torch.no_grad():
        model.erosion.network.draw.weight.zero_()
        model.erosion.network.map_head.weight.zero_()
        model.erosion.network.map_head.bias.zero_()
        model.erosion.network.draw.bias.copy_(torch.tensor([2.0, 5.0, 1.0]).repeat_interleave(4))  # all of it is eroded
    predictor = Predictor(model, image_size=64, localise=False, postprocess=False)
    for aspect, spacing in ((1.0, 0.2), (1.0, None), (1.25, 0.2)):
        radiograph = Radiograph(
            np.random.default_rng(0).random((160, 200), np.float32), spacing_mm=spacing, aspect=aspect
        )
        [result] = predictor.predict([Placement(radiograph)])
        joint = JOINTS[1].index
        box, found = result.boxes[joint], result.to_dict()["joints"][joint]["extent"]
        area = (box[2] - box[0]) * (box[3] - box[1]) * aspect
        if spacing is None:
            assert found["area_px"] == pytest.approx(area, abs=1) and "depth_mm" not in found
        else:
            assert found["area_mm2"] == pytest.approx(area * spacing**2, rel=0.01)
        assert found["contour_share"] > 0 and result.extent.shape == (6, 3)
    pooled = Predictor(create_model("jointwrist_tiny", **SMALL, roi_crop=32), image_size=64, localise=False)
    assert pooled(radiograph.pixels).single().extent is None


def test_without_masks_only_the_boxes_follow_from_them():
    model = create_model("jointwrist_tiny", **SHAPES, use_masks=False).erosion.eval()
    masks = torch.zeros(1, 14, 64, 64)
    masks[:, :, 20:40, 20:40] = 0.9
    features, detail = torch.rand(1, 8, 32, 32), torch.rand(1, 1, 96, 96)
    first = model(masks, features, detail)
    second = model(masks * 0.7, features, detail)
    short = [joint.index for joint in JOINTS if not joint.end]
    torch.testing.assert_close(first.logits[:, short], second.logits[:, short])


def test_pixels_are_learned_where_they_are_known_or_the_score_is_0():
    task = build_task(run())
    model = build_model(task.config).train()
    model.decoder.mask_head.bias.data.fill_(1.0)
    batch = task.prepare(wrists(), training=False)
    output = model(batch["image"], batch["detail"], batch["masks"])
    parts = task.output_losses(output, batch, StepContext(1.0))
    assert {"erosion", "map", "shapes"} <= parts.keys() and parts["map"] > 0 and parts["shapes"] > 0
    scored = {**batch, "has_eroded": torch.zeros(2, dtype=torch.bool), "has_bones": torch.zeros(2, dtype=torch.bool)}
    scored["scores"] = torch.full((2, 6), 3)
    parts = task.output_losses(output, scored, StepContext(1.0))
    assert parts["map"] == 0 and parts["shapes"] == 0
    scored["scores"][1, 3] = 0
    assert task.output_losses(output, scored, StepContext(1.0))["map"] > 0


def test_the_losses_are_least_for_the_truth():
    task = build_task(run())
    model = build_model(task.config).eval()
    batch = task.prepare(wrists(), training=False)
    output = model(batch["image"], batch["detail"], batch["masks"])
    own = [joint.bone for joint in JOINTS]
    side, boxes = 32, output.roi_boxes
    bone = crop_bits(batch["bones"][:, None], torch.tensor([own]), boxes, side, 1.0)[:, 0]
    eroded = crop_bits(batch["eroded"][:, None], torch.arange(6)[None], boxes, side, 1.0)[:, 0]
    assert eroded[0, 1].sum() > 4 and not eroded[1].any()
    logit = lambda mask: (mask - 0.5) * 20  # noqa: E731
    right = output._replace(
        erosion_heat_maps=logit(eroded), bone_shapes=torch.stack([logit(bone), logit(torch.maximum(bone, eroded))], 2)
    )
    filled = right._replace(bone_shapes=right.bone_shapes[:, :, 1:].expand(-1, -1, 2, -1, -1))
    best, worse = (task.output_losses(o, batch, StepContext(1.0)) for o in (right, filled))
    assert best["map"] < 0.2 and best["shapes"] < 0.2 < 0.4 * worse["shapes"]


def test_the_erosion_head_alone_is_trained_on_the_trunk_of_another_file(tmp_path):
    torch.manual_seed(1)
    pooled = create_model("jointwrist_tiny", **SMALL, roi_channels=8, roi_crop=32)
    path = tmp_path / "pooled.safetensors"
    save_weights(path, pooled, {"model": "jointwrist_tiny", "options": pooled.info["options"]})
    config = run(start=str(path), joint={"trained": "erosion"})
    model = build_model(config)
    start_from(model, config)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for name, value in pooled.state_dict().items():
        shared = not name.startswith("erosion.") or name.startswith("erosion.network.")
        assert not shared or torch.equal(value, before[name])
    task, optimizer = build_task(config), build_optimizer(model, config.optim)
    parts = task.losses(model, task.prepare(wrists(), training=True), StepContext(0.5))
    assert "dice" not in parts and "shapes" in parts
    parts["loss"].backward()
    optimizer.step()
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"erosion"}
    with pytest.raises(DataError, match="was trained with options"):
        start_from(model, run(start=str(path)))


def test_an_unknown_head_is_refused_by_name():
    with pytest.raises(ValueError, match="erosion head 'other' is unknown; choose one of pooled, shapes"):
        create_model("jointwrist_tiny", erosion_head="other")
