"""Regions of interest (ROIs) of the joints, computed from predicted bone masks: soft regions, boxes and crops.

`jointwrist.ops.drawn_roi` computes the same regions and boxes from annotated masks, without PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
import torchvision.ops
from torch import Tensor

from jointwrist.anatomy import WRIST, JointSurface
from jointwrist.ops.derivatives import operators_needed
from jointwrist.ops.drawn_roi import LEAST_PIXELS

#: Side of a map in pixels up to which an exported program crops it by products of matrices.
_LARGEST_PRODUCT = 256


class JointRegions(NamedTuple):
    """Soft regions of the joints at one resolution, each (B, J, h, w) in [0, 1].

    Attributes:
        joint: Mask of the bone that bears the joint surface; of a long bone, its end near the articulating bones.
        articulating_bones: Masks of the bones that it articulates with.
        boundary_band: Band of pixels on both sides of the boundary of that bone, within reach of the joint.
        outer_band: Band of pixels just outside that boundary, within reach of the joint.
    """

    joint: Tensor
    articulating_bones: Tensor
    boundary_band: Tensor
    outer_band: Tensor


def joint_regions(masks: Tensor, reach: float = 0.07, joints: Sequence[JointSurface] = WRIST.joints) -> JointRegions:
    """Compute the soft regions of each joint from bone masks.

    Args:
        masks: (B, C, h, w) mask probabilities; differentiable.
        reach: Distance from the articulating bones up to which a long bone belongs to the joint, as a fraction of the
            image side.
        joints: Joint surfaces of the anatomy, J.
    """
    own, articulating = joint_masks(masks, joints)
    near = _near(own, articulating, reach, joints)
    outer = _window_max(own, 1)
    inner = -_window_max(-own, 1)
    wide = _window_max(outer, 1)
    return JointRegions(own * near, articulating, (outer - inner) * near, (wide - own) * near)


def joint_masks(masks: Tensor, joints: Sequence[JointSurface] = WRIST.joints) -> tuple[Tensor, Tensor]:
    """Select the masks of each joint.

    Args:
        masks: (B, C, h, w) mask probabilities.
        joints: Joint surfaces of the anatomy, J.

    Returns:
        Masks of the bones that bear the joint surfaces, and of the bones that they articulate with, (B, J, h, w) each.
    """
    # no matrix product: autocast would round it to 16 bits, and the boxes follow from the sums
    bones = _full(masks).unbind(1)
    own = torch.stack([bones[joint.bone] for joint in joints], 1)
    articulating = [sum(bones[bone] for bone in joint.articulating_bones) for joint in joints]
    return own, torch.stack(articulating, 1).clamp(max=1)


def common_boxes(
    masks: Tensor, size: int, reach: float = 0.07, joints: Sequence[JointSurface] = WRIST.joints
) -> tuple[Tensor, Tensor]:
    """Compute square boxes around the joint regions, all of one wrist with the same side.

    The side is that of the largest region with a margin, so that a pixel of a crop is as large in every joint.

    Args:
        masks: (B, C, h, w) mask probabilities.
        size: Side of the image that the box coordinates refer to, in pixels.
        reach: As for `joint_regions`.
        joints: Joint surfaces of the anatomy, J.

    Returns:
        Boxes (B, J, 4) and (B, J) bool, as `moment_boxes`.
    """
    own, articulating = joint_masks(masks, joints)
    region = own * _near(own, articulating, reach, joints)
    boxes, valid = moment_boxes(region, size / masks.shape[-1], extent=2.0)
    side = torch.where(valid, boxes[..., 2] - boxes[..., 0], 0.0).amax(1, keepdim=True)[..., None]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    return torch.where(valid[..., None], torch.cat([centre - side / 2, centre + side / 2], -1), boxes), valid


def _near(own: Tensor, articulating: Tensor, reach: float, joints: Sequence[JointSurface]) -> Tensor:
    """Weight (B, J, h, w) of the pixels of each joint's bone: 1, but for long bones their nearness to the joint.

    Where an erosion has removed the whole end of a long bone, no pixel of it is near; then the remaining end counts.
    """
    radius = max(int(reach * articulating.shape[-1]), 1)
    near = torch.ones_like(articulating)
    ends = [joint.index for joint in joints if joint.end]
    if ends:
        bones, others = own[:, ends], articulating[:, ends]
        reached = torch.stack([_nearness(mask, radius) for mask in others.unbind(1)], 1)
        few = (bones * reached > 0.5).sum((-2, -1), keepdim=True) < LEAST_PIXELS
        end = _remaining_end(bones, others, radius)
        near[:, ends] = torch.where(few & (end.sum((-2, -1), keepdim=True) > 0), end, reached)
    return near


@torch.no_grad()
def _remaining_end(bones: Tensor, others: Tensor, depth: int) -> Tensor:
    """Disc around the centroid of other bones that reaches `depth` pixels into each bone.

    Args:
        bones: (B, J, h, w) masks.
        others: (B, J, h, w) masks of the other bones.
        depth: Pixels by which the radius exceeds the smallest distance of the bone.

    Returns:
        (B, J, h, w), 0 or 1; 0 where either mask is empty.
    """
    rows = torch.arange(bones.shape[-2], device=bones.device, dtype=bones.dtype)[:, None]
    columns = torch.arange(bones.shape[-1], device=bones.device, dtype=bones.dtype)
    weight = (others > 0.5).to(bones.dtype)
    area = weight.sum((-2, -1), keepdim=True)
    y, x = ((weight * axis).sum((-2, -1), keepdim=True) / area.clamp_min(1) for axis in (rows, columns))
    distance = (rows - y).square().add((columns - x).square()).sqrt()
    closest = torch.where((bones > 0.5) & (area > 0), distance, torch.inf).amin((-2, -1), keepdim=True)
    return (closest.isfinite() & (distance <= closest + depth)).to(bones.dtype)


def _nearness(masks: Tensor, radius: int) -> Tensor:
    """Nearness of each pixel to (B, h, w) masks: 1 up to about `radius` pixels away, then falling to 0."""
    near, half = _window_max(masks[:, None], radius), radius // 2
    rows = F.avg_pool2d(near, (1, 2 * half + 1), 1, (0, half))
    return F.avg_pool2d(rows, (2 * half + 1, 1), 1, (half, 0))[:, 0]


def _window_max(masks: Tensor, radius: int) -> Tensor:
    """Maximum of (..., h, w) maps over the square window around each pixel, clipped to the map.

    On a CPU this takes a fifth of the time of `max_pool2d`, which compares every pixel of a window and
    stores the position of the maximum.
    """
    for dim in (-1, -2):
        reached = 1
        pad = (radius, radius, 0, 0) if dim == -1 else (0, 0, radius, radius)
        masks = F.pad(masks, pad, value=-torch.inf)
        while reached < 2 * radius + 1:  # each round at most doubles the pixels that a maximum is taken of
            step = min(reached, 2 * radius + 1 - reached)
            length = masks.shape[dim] - step
            masks = torch.maximum(masks.narrow(dim, 0, length), masks.narrow(dim, step, length))
            reached += step
    return masks


@torch.no_grad()
def moment_boxes(weight: Tensor, scale: float, extent: float = 2.4, margin: float = 0.02) -> tuple[Tensor, Tensor]:
    """Compute square boxes around thresholded weights, from their first and second moments.

    Thresholding matters: with raw probabilities, faint pixels far away would enlarge the box.

    Args:
        weight: (B, J, h, w) in [0, 1].
        scale: Pixels of the box coordinates per pixel of `weight`.
        extent: Half side in standard deviations of the longer axis.
        margin: Added to the half side, as a fraction of the image side.

    Returns:
        Boxes (B, J, 4) float32 as x0, y0, x1, y1, pixel edges at integers; and (B, J) bool, False where fewer than
        four pixels exceed the threshold; those boxes are the whole image.
    """
    height, width = weight.shape[-2:]
    inside = (weight > 0.5).float()
    area = inside.sum((-2, -1))
    valid = area >= LEAST_PIXELS
    count = area.clamp_min(1)
    x = torch.arange(width, device=weight.device) + 0.5
    y = torch.arange(height, device=weight.device) + 0.5
    columns, rows = inside.sum(-2), inside.sum(-1)
    centre_x, centre_y = (columns * x).sum(-1) / count, (rows * y).sum(-1) / count
    spread_x = (columns * (x - centre_x[..., None]) ** 2).sum(-1) / count
    spread_y = (rows * (y - centre_y[..., None]) ** 2).sum(-1) / count
    half = extent * torch.maximum(spread_x, spread_y).sqrt() + margin * width
    boxes = torch.stack([centre_x - half, centre_y - half, centre_x + half, centre_y + half], -1)
    # filled on the device: a copy to a GPU would wait for it
    whole = torch.cat([boxes.new_zeros(2), boxes.new_full((1,), width), boxes.new_full((1,), height)])
    return torch.where(valid[..., None], boxes, whole) * scale, valid


def jitter_boxes(boxes: Tensor, amount: float) -> Tensor:
    """Shift and scale (..., 4) boxes at random by up to `amount` of their side."""
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    noise = torch.rand(*boxes.shape[:-1], 3, device=boxes.device) * 2 - 1
    centre = centre + noise[..., :2] * amount * size
    half = size / 2 * (1 + noise[..., 2:] * amount)
    return torch.cat([centre - half, centre + half], -1)


def roi_align(maps: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
    """Crop boxes from feature maps by ROIAlign (Mask R-CNN, arXiv 1703.06870, section 3), 2 x 2 samples per pixel.

    torchvision's kernel computes the crops. Its gradient is slow, on a GPU it varies from run to run, and its
    forward-mode derivative is zero. Derivatives are products of matrices here, since a crop is linear in the map.
    There is no derivative with respect to the boxes.

    Args:
        maps: (B, C, h, w).
        boxes: (B, J, 4) as x0, y0, x1, y1, pixel edges at integers; same dtype as `maps`.
        side: Side of a crop.
        scale: Pixels of `maps` per pixel of the boxes.

    Returns:
        (B * J, C, side, side), the crops of one map after another.
    """
    boxes = boxes.detach()
    # onnxruntime takes several times as long for its RoiAlign, unless maps are large
    if operators_needed(maps, boxes) or (torch.compiler.is_exporting() and maps.shape[-1] <= _LARGEST_PRODUCT):
        return _crops(maps, boxes, side, scale)
    if torch.is_grad_enabled() and maps.requires_grad:
        return _RoiAlign.apply(maps, boxes, side, scale)
    return _kernel(maps, boxes, side, scale)


def _kernel(maps: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
    """`roi_align` by torchvision's kernel."""
    batch, count = boxes.shape[:2]
    index = torch.arange(batch, device=boxes.device, dtype=boxes.dtype).repeat_interleave(count)
    rois = torch.cat([index[:, None], boxes.flatten(0, 1)], 1)
    return torchvision.ops.roi_align(maps, rois, side, scale, sampling_ratio=2, aligned=True)


def _crops(maps: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
    """`roi_align` by products of matrices."""
    rows, columns = _samplings(boxes, side, scale, maps.shape[-2:])
    with _without_autocast(maps):
        return (rows[:, :, None] @ maps[:, None] @ columns[:, :, None].mT).flatten(0, 1)


class _RoiAlign(torch.autograd.Function):
    """Crops by the kernel, and their gradient by products of matrices, which PyTorch can differentiate again."""

    @staticmethod
    def forward(ctx: Any, maps: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
        ctx.save_for_backward(boxes)
        ctx.size, ctx.scale = maps.shape[-2:], scale
        return _kernel(maps, boxes, side, scale)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (boxes,) = ctx.saved_tensors
        rows, columns = _samplings(boxes, gradient.shape[-1], ctx.scale, ctx.size)
        # no einsum, which gradients in batches (`is_grads_batched`) do not know
        crops = gradient.reshape(*boxes.shape[:2], *gradient.shape[1:])
        with _without_autocast(gradient):
            bands = (crops @ columns[:, :, None]).transpose(2, 3)
            maps = rows.flatten(1, 2).mT @ bands.reshape(len(boxes), rows[0, ..., 0].numel(), -1)
        return maps.reshape(len(boxes), ctx.size[0], -1, ctx.size[1]).transpose(1, 2), None, None, None


def _samplings(boxes: Tensor, side: int, scale: float, size: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Weights of the rows (B, J, side, h) and columns (B, J, side, w) of a map of a size (h, w) in the crops."""
    x0, y0, x1, y1 = (boxes * scale).unbind(-1)
    return _sampling(y0, y1, side, size[0]), _sampling(x0, x1, side, size[1])


def crop_bits(maps: Tensor, planes: Tensor, boxes: Tensor, side: int, scale: float) -> Tensor:
    """Crop one mask of a bit map per joint, as `roi_align` crops it but by the nearest pixels.

    Unpacking only what is cropped takes a fraction of the memory of all masks at the size of the radiograph.

    Args:
        maps: (B, M, h, w) integer bit maps.
        planes: (M, J) int64, the bit of each joint.
        boxes: (B, J, 4) as x0, y0, x1, y1, pixel edges at integers.
        side: Side of a crop.
        scale: Pixels of `maps` per pixel of the boxes.

    Returns:
        (B, M, J, side, side) float32: the share of 2 x 2 samples inside the mask; 0 outside of the map.
    """
    (batch, count, height, width), joints = maps.shape, boxes.shape[1]
    steps = (torch.arange(2 * side, device=maps.device) + 0.5) / (2 * side)
    x0, y0, x1, y1 = (boxes.detach().float() * scale).unbind(-1)
    columns = (x0[..., None] + (x1 - x0)[..., None] * steps).floor().long()
    rows = (y0[..., None] + (y1 - y0)[..., None] * steps).floor().long()
    inside = ((rows >= 0) & (rows < height))[..., None] & ((columns >= 0) & (columns < width))[..., None, :]
    index = rows.clamp(0, height - 1)[..., None] * width + columns.clamp(0, width - 1)[..., None, :]
    found = maps.flatten(2).gather(2, index.flatten(1)[:, None].expand(-1, count, -1))
    found = found.view(batch, count, joints, 2 * side, 2 * side)
    bits = ((found >> planes[..., None, None].to(found.dtype)) & 1) * inside[:, None]
    return bits.unflatten(-1, (side, 2)).unflatten(-3, (side, 2)).float().mean((-3, -1))


def _sampling(start: Tensor, stop: Tensor, side: int, length: int) -> Tensor:
    """Weights (..., side, length) of the pixels of an axis: the mean of two linear interpolations per crop pixel."""
    steps = (torch.arange(2 * side, device=start.device, dtype=start.dtype) + 0.5) / (2 * side)
    at = start[..., None] + (stop - start)[..., None] * steps - 0.5
    # as torchvision: samples up to one pixel outside repeat the border, those further away are 0
    inside = (at >= -1) & (at <= length)
    pixels = torch.arange(length, device=start.device, dtype=start.dtype)
    weights = (1 - (at.clamp(0, length - 1)[..., None] - pixels).abs()).clamp_min(0) * inside[..., None]
    return weights.unflatten(-2, (side, 2)).mean(-2)


def masked_mean(features: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean of (B, C, h, w) features with (B, J, h, w) weights: (B, J, C), 0 where the weights are 0.

    Computed in float32 also under autocast, since 16-bit sums over thousands of pixels keep only two digits.
    """
    features, weight = _full(features), _full(weight)
    with _without_autocast(features):
        total = torch.einsum("bchw,bjhw->bjc", features, weight)
    return total / weight.sum((-2, -1)).clamp_min(1.0)[..., None]


def _without_autocast(tensor: Tensor) -> AbstractContextManager:
    """Context in which products of matrices on a tensor's device keep its precision."""
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()


def _full(tensor: Tensor) -> Tensor:
    """Convert 16-bit floats to float32."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
