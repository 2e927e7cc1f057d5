"""Losses of segmentation and erosion scoring. Inputs are logits unless the argument name says otherwise.

In batches with labelled and unlabelled images, `images` (B,) bool selects the labelled ones: the loss is the mean over
these, and 0 if there are none. No boolean indexing is used, which would wait for the GPU to count them.
"""

from __future__ import annotations

import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from jointwrist.anatomy import WRIST, Anatomy


def mean_over(values: Tensor, images: Tensor | None = None) -> Tensor:
    """Mean of (B, ...) values over the selected images, or over all."""
    if images is None:
        return values.mean()
    each = values.flatten(1).mean(1)
    return torch.where(images, each, 0.0).sum() / images.sum().clamp_min(1)


def dice_loss(
    values: Tensor,
    target: Tensor,
    squared: bool = False,
    smooth: float = 1e-5,
    images: Tensor | None = None,
    pixels: Tensor | None = None,
) -> Tensor:
    """Dice loss, averaged over images and channels.

    Args:
        values: (B, C, H, W) probabilities, or raw outputs as in the authors' code.
        target: (B, C, H, W) masks, 0 or 1.
        squared: Squared terms in the denominator (V-Net, arXiv 1606.04797, equation 2).
        smooth: Constant added to numerator and denominator.
        images: (B,) bool, the images that count; None means all.
        pixels: (B, 1, H, W) weights of the pixels; None weighs all the same.
    """
    values = values.float()

    def total(each: Tensor) -> Tensor:
        return (each if pixels is None else pixels * each).sum((-2, -1))

    intersection = total(values * target)
    size = total(values.square() if squared else values) + total(target)
    return mean_over(1 - (2 * intersection + smooth) / (size + smooth), images)


def cross_entropy(
    logits: Tensor,
    target: Tensor,
    rarity: float = 1.0,
    images: Tensor | None = None,
    pixels: Tensor | None = None,
) -> Tensor:
    """Binary cross-entropy of (B, ...) logits over the selected images.

    Args:
        logits: (B, ...).
        target: (B, ...) masks.
        rarity: Weight of positive pixels.
        images: (B,) bool, the images that count; None means all.
        pixels: Weights of the pixels with a mean of 1 over an image, that broadcast to `logits`.
    """
    weight = None if rarity == 1 else torch.full((), rarity, device=logits.device)
    each = F.binary_cross_entropy_with_logits(logits.float(), target, pos_weight=weight, reduction="none")
    return mean_over(each if pixels is None else each * pixels, images)


def overlap_dice_loss(
    probability: Tensor, target: Tensor, images: Tensor | None = None, anatomy: Anatomy = WRIST
) -> Tensor:
    """Dice loss of the overlap regions, whose probabilities are products of the probabilities of two bones.

    Args:
        probability: (B, C, H, W) probabilities of the bones.
        target: (B, C, H, W) masks.
        images: (B,) bool, the images that count; None means all.
        anatomy: The bones, C, and their overlap pairs.
    """
    first, second = _overlap_channels(anatomy.overlaps, probability.device)
    found, wanted = (masks.index_select(1, first) * masks.index_select(1, second) for masks in (probability, target))
    return dice_loss(found, wanted, smooth=1.0, images=images)


@cache
def _overlap_channels(pairs: tuple[tuple[int, int], ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Bone channels of the pairs; cached, as a copy to the GPU would wait for it."""
    first, second = torch.tensor(pairs, device=device).unbind(1)
    return first, second


def signed_distance(mask: Tensor, radius: int = 8) -> Tensor:
    """Exact Euclidean distance to the boundary, clipped at `radius` pixels; positive inside.

    Args:
        mask: (B, C, H, W), 0 or 1.
        radius: Largest distance in pixels, and half the window of the separable minimum.

    Returns:
        (B, C, H, W) float32 in [-radius, radius]; masks are taken to continue beyond the image border.
    """
    return _of_distances(mask, _possible_distances(radius, mask.device))


def _possible_distances(radius: int, device: torch.device) -> Tensor:
    """Signed distances of the squares from -radius^2 to radius^2."""
    squares = torch.arange(-(radius**2), radius**2 + 1, device=device)
    return squares.sign() * squares.abs().sqrt()


def _of_distances(mask: Tensor, values: Tensor) -> Tensor:
    """Look up a value of the signed distance of each pixel.

    Args:
        mask: (B, C, H, W), 0 or 1.
        values: (2 R^2 + 1,) float32, the value of each of `_possible_distances(R)`.

    Returns:
        (B, C, H, W) float32.
    """
    limit = len(values) // 2
    radius = math.isqrt(limit)
    found = torch.empty(mask.shape, device=mask.device)
    # on a CPU, the intermediates of one image stay in its cache
    together = 1 if mask.device.type == "cpu" else max(len(mask), 1)
    for some, result in zip(mask.split(together), found.split(together), strict=True):
        inside = some > 0.5
        square = _squared_distance(inside, radius).add_(limit).sub_(_squared_distance(~inside, radius))
        result.copy_(values.index_select(0, square.flatten().int()).view_as(result))
    return found


def _squared_distance(free: Tensor, radius: int) -> Tensor:
    """Squared distance (integer) of each pixel to the nearest that is not free, clipped at the square of `radius`."""
    limit = radius**2
    # sums reach twice the limit; 8 bits, where they hold that, are four times as fast as 32
    cost = free.to(torch.uint8 if 2 * limit < 256 else torch.int32).mul_(limit)
    for dim in (-1, -2):
        size = cost.shape[dim]
        pad = (radius, radius, 0, 0) if dim == -1 else (0, 0, radius, radius)
        padded = F.pad(cost, pad, value=limit)
        for offset in range(1, radius + 1):
            further = padded + offset**2
            for start in (radius - offset, radius + offset):
                torch.minimum(cost, further.narrow(dim, start, size), out=cost)
    return cost


def distance_loss(distance: Tensor, target: Tensor, scale: float = 4.0, images: Tensor | None = None) -> Tensor:
    """Smooth L1 loss of tanh(d / scale), where d is the signed distance in pixels.

    Args:
        distance: (B, C, H, W) logits of the clipped distance (tanh is applied here).
        target: (B, C, H, W) masks.
        scale: Distance in pixels at which tanh saturates.
        images: (B,) bool, the images that count; None means all.
    """
    with torch.no_grad():
        truth = _of_distances(target, torch.tanh(_possible_distances(8, target.device) / scale))
    return mean_over(F.smooth_l1_loss(torch.tanh(distance.float()), truth, reduction="none"), images)


def boundary_loss(logits: Tensor, target: Tensor, images: Tensor | None = None) -> Tensor:
    """Boundary loss (Kervadec et al., arXiv 1812.07032, equation 5) with the distance clipped and scaled to [-1, 1]."""
    with torch.no_grad():
        distance = signed_distance(target) / 8.0
    return -mean_over(logits.float().sigmoid() * distance, images)


def score_levels(scores: Tensor, levels: int = WRIST.erosion.levels) -> Tensor:
    """Convert scores to levels, the last of which means all scores above it too; -1 (not scored) is kept."""
    return scores.clamp(max=levels - 1)


def level_log_odds(counts: Tensor, smooth: float = 1.0) -> Tensor:
    """Prior log odds of P(level > k), computed from level counts.

    Args:
        counts: (J, L) number of images of each joint at each level.
        smooth: Constant added to both counts.

    Returns:
        (J, L - 1) log odds.
    """
    above = counts.flip(1).cumsum(1).flip(1)[:, 1:]
    below = counts.cumsum(1)[:, :-1]
    return torch.log((above + smooth) / (below + smooth))


def ordinal_loss(logits: Tensor, levels: Tensor, valid: Tensor, adjustment: Tensor | None = None) -> Tensor:
    """Cumulative binary cross-entropy of an ordinal output.

    Args:
        logits: (B, J, K) logits of P(level > k).
        levels: (B, J) int levels, negative where not scored.
        valid: (B, J) bool, False where the joint was not found.
        adjustment: (J, K) prior log odds, added in training only, so that a threshold of 0 on the logits optimises
            balanced accuracy (logit adjustment, Menon et al., arXiv 2007.07314).

    Returns:
        Mean over the joints that are scored and found; 0, with a gradient of 0, if there are none.
    """
    logits = logits.float()
    if adjustment is not None:
        logits = logits + adjustment
    steps = torch.arange(logits.shape[-1], device=logits.device)
    target = (levels[..., None] > steps).float()
    weight = ((levels >= 0) & valid).float()[..., None].expand_as(target)
    loss = F.binary_cross_entropy_with_logits(logits, target, weight=weight, reduction="sum")
    return loss / weight.sum().clamp_min(1.0)
