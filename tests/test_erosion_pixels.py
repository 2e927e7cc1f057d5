"""Eroded pixels in masks, crops and heat maps, of networks that draw the truth or fill the bone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from benchmarks import erosion_pixels as command
from jointwrist.anatomy import JOINTS
from jointwrist.benchmark.erosion_pixels import erosion_pixels, erosion_pixels_table, heat_in_erosion
from jointwrist.data.batches.torch_datasets import sample_to_item
from jointwrist.data.preprocess import unpack_bits
from jointwrist.data.sample import as_right_hand
from jointwrist.models.joint import JointOutput
from jointwrist.ops.roi import common_boxes, crop_bits
from jointwrist.phantom import PhantomConfig, make_wrist

SIZE, CROP = 128, 64


@pytest.fixture(scope="module")
def wrists():
    config = PhantomConfig(size=SIZE, prevalence=0.6, severity=(0, 0.5, 0.5, 0, 0))
    return [as_right_hand(make_wrist(3, index, config)) for index in range(3)]


def drawing(sample, filled: bool, blind: bool = False):
    """A network that knows the phantom: its masks and shapes are true, or lack the erosion."""
    item = sample_to_item(sample, SIZE)
    masks = unpack_bits(item["bones"][None], 14)
    eroded = unpack_bits(item["eroded"][None], 6)
    for joint in JOINTS if filled else ():
        masks[:, joint.bone] = torch.maximum(masks[:, joint.bone], eroded[:, joint.index])
    boxes, valid = common_boxes(masks, SIZE)
    own = torch.tensor([[joint.bone for joint in JOINTS]])
    bits = (masks.int() << torch.arange(14)[:, None, None]).sum(1, keepdim=True)
    shape = crop_bits(bits, own, boxes, CROP, 1.0)[:, 0]
    there = crop_bits(item["eroded"][None, None], torch.arange(6)[None], boxes, CROP, 1.0)[:, 0]
    logit = lambda values: (values - 0.5) * 20  # noqa: E731
    heat_maps = torch.zeros_like(there) if blind else logit(there)
    shapes = None if blind else logit(torch.stack([shape, shape], 2))
    nothing = torch.zeros(1)
    return lambda image, detail: JointOutput(
        logit(masks), nothing, torch.zeros(1, 6, 3), boxes, valid, heat_maps, there, shapes
    )


def test_a_network_that_draws_the_truth_calls_no_lost_pixel_bone(wrists):
    figures = [f for wrist in wrists for f in erosion_pixels(drawing(wrist, False), wrist, SIZE, SIZE)]
    assert len(figures) > 4
    assert np.mean([f.in_mask for f in figures]) < 0.1 and np.mean([f.in_shape for f in figures]) < 0.05
    assert min(f.heat_map for f in figures) > 0.99


def test_a_network_that_fills_the_erosion_calls_all_of_it_bone(wrists):
    figures = [f for wrist in wrists for f in erosion_pixels(drawing(wrist, True), wrist, SIZE, SIZE)]
    assert min(f.in_mask for f in figures) > 0.9 and min(f.in_shape for f in figures) > 0.95


def test_a_head_that_draws_no_bone_and_sees_nothing(wrists):
    figures = [f for wrist in wrists for f in erosion_pixels(drawing(wrist, False, True), wrist, SIZE, SIZE)]
    assert all(np.isnan(f.in_shape) for f in figures) and {f.heat_map for f in figures} == {0.5}
    rows = erosion_pixels_table(figures, "test").rows
    assert "lost pixels called bone, drawn in the crop" not in rows[0]
    assert rows[0]["eroded"] == len(figures) == sum(row["eroded"] for row in rows[1:])


def test_the_command_prints_the_table_of_the_shipped_weights(capsys):
    assert command.main(["--wrists", "1", "--set", "size=256", "prevalence=1"]) == 0
    assert "| all |" in capsys.readouterr().out


def test_the_share_of_a_heat_map_in_the_erosion(wrists):
    """An even heat map has the eroded share of the box there, one of the erosion all of it, its opposite nothing."""
    seen = 0
    for wrist in wrists:
        corners = [
            np.argwhere((wrist.eroded >> joint) & 1).mean(0).astype(int).clip(32, 96) - 32 if score else (0, 0)
            for joint, score in enumerate(wrist.scores)
        ]
        boxes = np.float32([(x, y, x + 64, y + 64) for y, x in corners])
        inside = np.stack([(wrist.eroded[y : y + 64, x : x + 64] >> j) & 1 for j, (y, x) in enumerate(corners)])
        shares = [
            heat_in_erosion(wrist, SimpleNamespace(boxes=boxes, heat_maps=np.float32(logits)))
            for logits in (np.zeros(inside.shape), 60.0 * inside - 30, 30 - 60.0 * inside)
        ]
        for joint, score in enumerate(wrist.scores):
            expected = [inside[joint].mean(), 1, 0] if score else [np.nan] * 3
            np.testing.assert_allclose([share[joint] for share in shares], expected, atol=1e-9)
            seen += score > 0
    assert seen > 4
    assert np.isnan(heat_in_erosion(wrists[0], SimpleNamespace(boxes=boxes * np.nan, heat_maps=inside * 1.0))).all()
    assert np.isnan(heat_in_erosion(wrists[0], SimpleNamespace(boxes=boxes, heat_maps=None))).all()
