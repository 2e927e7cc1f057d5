"""Geometry of the joint crops: invariants on masks whose boxes are known."""

from __future__ import annotations

import torch

from jointwrist.anatomy import JOINTS, bone_index
from jointwrist.ops.roi import jitter_boxes, joint_regions, masked_mean, moment_boxes, partner_matrix


def square(x0: int, y0: int, x1: int, y1: int, size: int = 64) -> torch.Tensor:
    mask = torch.zeros(size, size)
    mask[y0:y1, x0:x1] = 1
    return mask


def test_box_of_a_square_is_centred_on_it_and_holds_it():
    boxes, valid = moment_boxes(square(20, 10, 40, 30)[None, None], scale=2.0)
    x0, y0, x1, y1 = boxes[0, 0].tolist()
    assert valid.all()
    assert (x0 + x1) / 2 == 60 and (y0 + y1) / 2 == 40
    assert x0 < 40 and x1 > 80 and y0 < 20 and y1 > 60


def test_faint_far_pixels_do_not_move_the_box():
    clean = square(20, 10, 40, 30)
    haze = clean.clone()
    haze[60:, 60:] = 0.4
    assert torch.equal(moment_boxes(clean[None, None], 1.0)[0], moment_boxes(haze[None, None], 1.0)[0])


def test_empty_mask_is_invalid_and_gives_the_whole_image():
    boxes, valid = moment_boxes(torch.zeros(1, 6, 32, 32), scale=4.0)
    assert not valid.any() and torch.equal(boxes[0, 0], torch.tensor([0.0, 0.0, 128.0, 128.0]))


def test_long_bone_counts_only_near_its_partner():
    masks = torch.zeros(1, 14, 64, 64)
    radius, scaphoid = bone_index("DistalRadius"), bone_index("Scaphoid")
    masks[0, radius] = square(20, 30, 44, 64)
    masks[0, scaphoid] = square(24, 18, 36, 30)
    surface = joint_regions(masks).surface[0, 4]
    assert surface[31, 30] > 0.9 and surface[60, 30] == 0


def test_contour_band_lies_on_the_contour_and_ring_outside():
    masks = torch.zeros(1, 14, 64, 64)
    lunate = square(20, 20, 40, 40)
    masks[0, bone_index("Lunate")] = lunate
    regions = joint_regions(masks)
    assert regions.contour[0, 3, 20, 30] == 1 and regions.contour[0, 3, 30, 30] == 0
    assert (regions.ring[0, 3] * lunate).sum() == 0 and regions.ring[0, 3].sum() > 0


def test_masked_mean_of_a_constant_is_the_constant():
    features = torch.full((2, 5, 16, 16), 3.0)
    weight = torch.zeros(2, 6, 16, 16)
    weight[:, :3, 4:8, 4:8] = 1
    mean = masked_mean(features, weight)
    assert torch.equal(mean[:, :3], torch.full((2, 3, 5), 3.0)) and mean[:, 3:].abs().sum() == 0


def test_jitter_keeps_boxes_square_and_near():
    boxes = torch.tensor([[[10.0, 20.0, 50.0, 60.0]]])
    moved = jitter_boxes(boxes, 0.1)
    side = moved[..., 2:] - moved[..., :2]
    assert torch.allclose(side[..., 0], side[..., 1]) and ((moved - boxes).abs() <= 8).all()


def test_partners_are_those_of_the_anatomy():
    matrix = partner_matrix()
    for joint in JOINTS:
        assert matrix[joint.index].nonzero().flatten().tolist() == sorted(joint.partners)
        assert matrix[joint.index, joint.bone] == 0
