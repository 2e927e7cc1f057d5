"""Where the joint surfaces lie under the predicted bone masks: weights, bands, boxes and crops."""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple

import torch
import torch.nn.functional as F
import torchvision.ops
from torch import Tensor

from jointwrist.anatomy import JOINTS
from jointwrist.ops.derivatives import operators_needed

#: Joints on long bones, which count at their joint end only.
LONG_BONE_JOINTS = tuple(
    joint.index for joint in JOINTS if joint.name in ("Metacarpal1st", "DistalRadius", "DistalUlna")
)
_BONES = [joint.bone for joint in JOINTS]


class JointRegions(NamedTuple):
    """Soft regions of the six joint surfaces at one resolution, each (B, 6, h, w) in [0, 1]."""

    surface: Tensor
    partners: Tensor
    contour: Tensor
    ring: Tensor


def joint_regions(masks: Tensor, reach: float = 0.07) -> JointRegions:
    """Weigh every pixel by how much it belongs to each joint surface.

    Args:
        masks: (B, 14, h, w) mask probabilities; differentiable.
        reach: How far from its partners a long bone still counts, as a fraction of the side.

    Returns:
        The surface (own mask, near the partners for long bones), the partners, the band on the contour, and the ring
        outside it.
    """
    # no matrix product: autocast would round it to 16 bits, and the boxes follow from the sums
    bones = _full(masks).unbind(1)
    own = torch.stack([bones[bone] for bone in _BONES], 1)
    partners = torch.stack([sum(bones[bone] for bone in joint.partners) for joint in JOINTS], 1).clamp(max=1)
    radius = max(int(reach * masks.shape[-1]), 1)
    near = torch.ones_like(partners)
    for joint in LONG_BONE_JOINTS:
        near[:, joint] = _nearness(partners[:, joint], radius)
    outer = F.max_pool2d(own, 3, 1, 1)
    inner = -F.max_pool2d(-own, 3, 1, 1)
    wide = F.max_pool2d(outer, 3, 1, 1)
    return JointRegions(own * near, partners, (outer - inner) * near, (wide - own) * near)


def _nearness(partners: Tensor, radius: int) -> Tensor:
    """How near (B, h, w) pixels are to the partners: 1 up to about `radius` pixels away, then falling to 0."""
    near = partners[:, None]
    # a large window is a row of windows in a column of them
    for kernel in ((2 * radius + 1, 1), (1, 2 * radius + 1)):
        near = F.max_pool2d(near, kernel, 1, (kernel[0] // 2, kernel[1] // 2))
    return F.avg_pool2d(near, 2 * (radius // 2) + 1, 1, radius // 2)[:, 0]


@torch.no_grad()
def moment_boxes(weight: Tensor, scale: float, extent: float = 2.4, margin: float = 0.02) -> tuple[Tensor, Tensor]:
    """Square boxes round thresholded weights, from their first and second moments.

    Thresholding matters: moments of the raw probabilities let far, faint pixels blow the box up.

    Args:
        weight: (B, J, h, w) in [0, 1].
        scale: Pixels of the box coordinates per pixel of `weight`.
        extent: Half side in standard deviations of the longer axis.
        margin: Added to the half side, as a fraction of the image side.

    Returns:
        Boxes (B, J, 4) float32 as x0, y0, x1, y1, pixel edges at integers; and (B, J) bool, False where fewer than
        four pixels stand above the threshold: those boxes are the whole image.
    """
    height, width = weight.shape[-2:]
    inside = (weight > 0.5).float()
    area = inside.sum((-2, -1))
    valid = area >= 4
    count = area.clamp_min(1)
    x = torch.arange(width, device=weight.device) + 0.5
    y = torch.arange(height, device=weight.device) + 0.5
    columns, rows = inside.sum(-2), inside.sum(-1)
    centre_x, centre_y = (columns * x).sum(-1) / count, (rows * y).sum(-1) / count
    spread_x = (columns * (x - centre_x[..., None]) ** 2).sum(-1) / count
    spread_y = (rows * (y - centre_y[..., None]) ** 2).sum(-1) / count
    half = extent * torch.maximum(spread_x, spread_y).sqrt() + margin * width
    boxes = torch.stack([centre_x - half, centre_y - half, centre_x + half, centre_y + half], -1)
    # filled where it lies: sending it there would wait for a GPU
    whole = torch.cat([boxes.new_zeros(2), boxes.new_full((1,), width), boxes.new_full((1,), height)])
    return torch.where(valid[..., None], boxes, whole) * scale, valid


def jitter_boxes(boxes: Tensor, amount: float) -> Tensor:
    """Shift and scale (..., 4) boxes at random by up to `amount` of their side."""
    centre, size = (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
    noise = torch.rand(*boxes.shape[:-1], 3, device=boxes.device) * 2 - 1
    centre = centre + noise[..., :2] * amount * size
    half = size / 2 * (1 + noise[..., 2:] * amount)
    return torch.cat([centre - half, centre + half], -1)


def roi_align(maps: Tensor, rois: Tensor, side: int, scale: float) -> Tensor:
    """Cut boxes out of maps (He et al., Mask R-CNN, arXiv 1703.06870, section 3), each pixel the mean of 2 x 2 samples.

    torchvision's kernel has no forward-mode derivative: it gives zero. Where one is asked for, or a transform of
    `torch.func`, the crops are computed in PyTorch's operators. There is no derivative by the boxes.

    Args:
        maps: (B, C, h, w).
        rois: (K, 5) index in the batch, x0, y0, x1, y1, pixel edges at integers; of the same dtype.
        side: Side of a crop.
        scale: Pixels of `maps` per pixel of the boxes.

    Returns:
        (K, C, side, side).
    """
    if not operators_needed(maps, rois):
        return torchvision.ops.roi_align(maps, rois, side, scale, sampling_ratio=2, aligned=True)
    index, x0, y0, x1, y1 = rois.detach().unbind(-1)
    rows = _sampling(y0 * scale, y1 * scale, side, maps.shape[-2])
    columns = _sampling(x0 * scale, x1 * scale, side, maps.shape[-1])
    return torch.einsum("kyh,kchw,kxw->kcyx", rows, maps[index.long()], columns)


def _sampling(start: Tensor, stop: Tensor, side: int, length: int) -> Tensor:
    """Weights (K, side, length) of pixels along one axis, the mean of two linear interpolations for each pixel cut."""
    steps = (torch.arange(2 * side, device=start.device, dtype=start.dtype) + 0.5) / (2 * side)
    at = start[:, None] + (stop - start)[:, None] * steps - 0.5
    # as torchvision: samples up to a pixel outside repeat the border, further ones are 0
    inside = (at >= -1) & (at <= length)
    pixels = torch.arange(length, device=start.device, dtype=start.dtype)
    weights = (1 - (at.clamp(0, length - 1)[..., None] - pixels).abs()).clamp_min(0) * inside[..., None]
    return weights.unflatten(1, (side, 2)).mean(2)


def masked_mean(features: Tensor, weight: Tensor) -> Tensor:
    """Mean of (B, C, h, w) features under (B, J, h, w) weights, (B, J, C); weights without mass give 0.

    In float32 also under autocast: sums over thousands of pixels in 16 bits keep two digits.
    """
    features, weight, device = _full(features), _full(weight), features.device.type
    with torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext():
        total = torch.einsum("bchw,bjhw->bjc", features, weight)
    return total / weight.sum((-2, -1)).clamp_min(1.0)[..., None]


def _full(tensor: Tensor) -> Tensor:
    """Bring 16-bit numbers to float32."""
    return tensor.float() if tensor.dtype in (torch.bfloat16, torch.float16) else tensor
