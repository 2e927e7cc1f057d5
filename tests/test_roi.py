"""Geometry of the joint crops: invariants on masks whose boxes are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchvision.ops
from torch import func
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from jointwrist.anatomy import JOINTS, bone_index
from jointwrist.models.erosion_head import ErosionHead
from jointwrist.ops.drawn_roi import drawn_boxes, drawn_regions
from jointwrist.ops.roi import jitter_boxes, joint_regions, masked_mean, moment_boxes, roi_align


def square(x0: int, y0: int, x1: int, y1: int, size: int = 64) -> torch.Tensor:
    mask = torch.zeros(size, size)
    mask[y0:y1, x0:x1] = 1
    return mask


def test_box_of_a_square_is_centred_on_it_and_holds_it():
    boxes, valid = moment_boxes(square(20, 10, 40, 30)[None, None], scale=2.0)
    x0, y0, x1, y1 = boxes[0, 0].tolist()
    assert valid.all()
    assert ((x0 + x1) / 2, (y0 + y1) / 2) == pytest.approx((60, 40))
    assert x0 < 40 and x1 > 80 and y0 < 20 and y1 > 60


def test_faint_far_pixels_do_not_move_the_box():
    clean = square(20, 10, 40, 30)
    haze = clean.clone()
    haze[60:, 60:] = 0.4
    assert torch.equal(moment_boxes(clean[None, None], 1.0)[0], moment_boxes(haze[None, None], 1.0)[0])


def test_empty_mask_is_invalid_and_gives_the_whole_image():
    boxes, valid = moment_boxes(torch.zeros(1, 6, 32, 32), scale=4.0)
    assert not valid.any() and torch.equal(boxes[0, 0], torch.tensor([0.0, 0.0, 128.0, 128.0]))


def test_long_bone_counts_only_near_its_articulating_bones():
    masks = torch.zeros(1, 14, 64, 64)
    radius, scaphoid = bone_index("DistalRadius"), bone_index("Scaphoid")
    masks[0, radius] = square(20, 30, 44, 64)
    masks[0, scaphoid] = square(24, 18, 36, 30)
    surface = joint_regions(masks).joint[0, 4]
    assert surface[31, 30] > 0.9 and surface[60, 30] == 0


def test_the_boundary_band_lies_on_the_boundary_and_the_outer_band_outside():
    masks = torch.zeros(1, 14, 64, 64)
    lunate = square(20, 20, 40, 40)
    masks[0, bone_index("Lunate")] = lunate
    regions = joint_regions(masks)
    assert regions.boundary_band[0, 3, 20, 30] == 1 and regions.boundary_band[0, 3, 30, 30] == 0
    assert (regions.outer_band[0, 3] * lunate).sum() == 0 and regions.outer_band[0, 3].sum() > 0


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


def test_articulating_bones_are_those_of_the_anatomy():
    for bone in range(14):
        masks = torch.zeros(1, 14, 8, 8)
        masks[0, bone] = 1
        regions = joint_regions(masks)
        assert [joint.index for joint in JOINTS if regions.articulating_bones[0, joint.index].all()] == [
            joint.index for joint in JOINTS if bone in joint.articulating_bones
        ]
        own = [joint.index for joint in JOINTS if joint.bone == bone and not joint.end]
        assert [joint.index for joint in JOINTS if regions.joint[0, joint.index].any()] == own


def test_boxes_and_means_are_those_of_float32_under_autocast():
    torch.manual_seed(0)
    masks = torch.rand(3, 14, 48, 48).pow(0.3)
    masks[..., 30:] *= 0.4
    features = torch.rand(3, 32, 48, 48).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        regions = joint_regions(masks)
        boxes, _ = moment_boxes(regions.joint, 8.0)
        mean = masked_mean(features, regions.joint)
    exact = joint_regions(masks)
    assert all(found.dtype == torch.float32 for found in (*regions, boxes, mean))
    assert (boxes - moment_boxes(exact.joint, 8.0)[0]).abs().max() < 0.01
    truth = torch.einsum("bchw,bjhw->bjc", features.double(), exact.joint.double())
    truth = truth / exact.joint.double().sum((-2, -1)).clamp_min(1.0)[..., None]
    assert (mean - truth).abs().max() < 1e-5


def test_the_crops_of_the_erosion_head_lie_where_they_lie_in_float32():
    torch.manual_seed(0)
    head = ErosionHead(16, channels=8, crop=16, dim=32).eval()
    masks, features, detail = torch.rand(2, 14, 64, 64).pow(0.3), torch.rand(2, 16, 32, 32), torch.rand(2, 1, 128, 128)
    masks[..., 40:] *= 0.4
    with torch.no_grad():
        exact = head(masks, features, detail)
        with torch.autocast("cpu", torch.bfloat16):
            found = head(masks, features.bfloat16(), detail)
    assert found.boxes.dtype == torch.float32 and (found.boxes - exact.boxes).abs().max() < 0.01
    assert torch.equal(found.valid, exact.valid)


def boxes_within_across_and_outside() -> torch.Tensor:
    """Six boxes on each of two 17 x 23 maps, at half scale: some beyond the border, one inverted, one without area."""
    generator = torch.Generator().manual_seed(0)
    corner, size = torch.rand(2, 2, 6, 2, generator=generator, dtype=torch.float64) * 40 - 8
    size[1, 4], size[1, 5] = -3, 0
    return torch.cat([corner, corner + size], -1)


def torchvision_crops(maps: torch.Tensor, boxes: torch.Tensor) -> torch.Tensor:
    return torchvision.ops.roi_align(maps, list(boxes), 8, 0.5, sampling_ratio=2, aligned=True)


def test_forward_derivative_of_a_crop_is_the_crop_of_the_tangent():
    maps, tangent = torch.randn(2, 2, 3, 17, 23, dtype=torch.float64)
    boxes = boxes_within_across_and_outside()
    crops, moved = torchvision_crops(maps, boxes), torchvision_crops(tangent, boxes)
    found = func.jvp(lambda maps: roi_align(maps, boxes, 8, 0.5), (maps,), (tangent,))
    torch.testing.assert_close(found, (crops, moved))
    with forward_ad.dual_level():
        dual = roi_align(forward_ad.make_dual(maps, tangent), boxes, 8, 0.5)
        torch.testing.assert_close(tuple(forward_ad.unpack_dual(dual)), (crops, moved))
    torch.testing.assert_close(func.vmap(lambda maps: roi_align(maps, boxes, 8, 0.5))(maps[None])[0], crops)
    assert torch.equal(roi_align(maps, boxes, 8, 0.5), crops)


def test_gradient_of_a_crop_is_that_of_torchvision_and_can_be_differentiated():
    maps = torch.randn(2, 3, 17, 23, dtype=torch.float64, requires_grad=True)
    boxes, weight = boxes_within_across_and_outside(), torch.randn(12, 3, 8, 8, dtype=torch.float64)
    found, expected = (
        torch.autograd.grad((crops * weight).sum(), maps)[0]
        for crops in (roi_align(maps, boxes, 8, 0.5), torchvision_crops(maps, boxes))
    )
    torch.testing.assert_close(found, expected)
    some = torch.stack([weight, 2 * weight])
    (batched,) = torch.autograd.grad(roi_align(maps, boxes, 8, 0.5), maps, some, is_grads_batched=True)
    torch.testing.assert_close(batched, torch.stack([expected, 2 * expected]))
    small = maps.detach()[:, :1, :9, :11].clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda maps: roi_align(maps, boxes, 3, 0.25), small)
    assert torch.autograd.gradgradcheck(lambda maps: roi_align(maps, boxes, 3, 0.25).square(), small)


def test_gradient_of_a_crop_keeps_its_precision_under_autocast():
    maps, boxes = torch.randn(2, 3, 17, 23, requires_grad=True), boxes_within_across_and_outside().float()
    (exact,) = torch.autograd.grad(roi_align(maps, boxes, 8, 0.5).square().sum(), maps)
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = torch.autograd.grad(roi_align(maps, boxes, 8, 0.5).square().sum(), maps)
        tangent = func.jvp(lambda maps: roi_align(maps, boxes, 8, 0.5), (maps.detach(),), (maps.detach(),))[1]
    assert torch.equal(found, exact)
    torch.testing.assert_close(tangent, roi_align(maps.detach(), boxes, 8, 0.5), atol=1e-4, rtol=0)


def test_forward_derivative_of_the_erosion_head_is_a_finite_difference():
    torch.manual_seed(0)
    head = ErosionHead(4, channels=8, crop=16, dim=32)
    masks, features = torch.rand(1, 14, 32, 32), torch.randn(1, 4, 16, 16)
    torch.nn.init.zeros_(head.network.map_head.bias)  # small values, which float32 resolves finely
    head(masks, features, torch.rand(1, 1, 64, 64))  # means and variances of the normalisation
    head.eval()
    detail, tangent = torch.rand(2, 1, 1, 64, 64)

    def maps(detail):
        return head(masks, features, detail).heat_maps

    with sdpa_kernel(SDPBackend.MATH):  # PyTorch refuses the forward derivative of its fused attention
        _, found = func.jvp(maps, (detail,), (tangent,))
    difference = (maps(detail + 5e-3 * tangent) - maps(detail - 5e-3 * tangent)) / 1e-2
    assert (found - difference).norm() < 0.05 * difference.norm() and difference.norm() > 0


def test_regions_and_boxes_of_drawn_masks_are_those_of_probabilities_0_and_1():
    generator = np.random.default_rng(3)
    masks = np.zeros((14, 90, 120), bool)
    for bone in range(12):  # the last two bones are not there
        y, x = generator.integers(0, 60, 2)
        masks[bone, y : y + 40, x : x + 30] = generator.random((min(40, 90 - y), 30)) < 0.9
    expected = joint_regions(torch.from_numpy(masks)[None].float())
    found = drawn_regions(masks)
    np.testing.assert_allclose(found.joint, expected.joint[0], atol=1e-6)
    np.testing.assert_allclose(found.outer_band, expected.outer_band[0], atol=1e-6)
    found.joint[3] = 0
    boxes, valid = drawn_boxes(found.joint)
    expected_boxes, expected_valid = moment_boxes(torch.from_numpy(found.joint)[None], 1.0)
    assert valid.tolist() == expected_valid[0].tolist() and 0 < valid.sum() < 6
    np.testing.assert_allclose(boxes, expected_boxes[0], rtol=1e-5)
