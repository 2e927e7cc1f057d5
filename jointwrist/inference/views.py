"""Test-time augmentation: views of a radiograph, their predictions brought back to it, and the mean and spread of them.

The views stay within the zoom and rotation of training. None is mirrored: left hands are mirrored before the network,
in training too, so that no network here has ever seen a mirrored wrist.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class View(NamedTuple):
    """A zoom, then a rotation in degrees, about the centre of the image."""

    zoom: float
    degrees: float

    def matrix(self, device: torch.device) -> Tensor:
        """Return the (2, 3) matrix from points of the view to points of the image, both from -1 to 1."""
        angle = math.radians(self.degrees)
        rows = [[math.cos(angle), -math.sin(angle), 0.0], [math.sin(angle), math.cos(angle), 0.0]]
        return torch.tensor(rows, device=device) / self.zoom


#: The image itself, and four other views.
VIEWS = (View(1.0, 0.0), View(1.07, 0.0), View(0.93, 0.0), View(1.0, 5.0), View(1.0, -5.0))


class Prediction(NamedTuple):
    """Prediction of a network for a batch, in the coordinates of its image.

    Attributes:
        masks: (B, 14, S, S) raw network output.
        cumulative: (B, 6, K) probabilities P(level > k); None from a segmentation network.
        boxes: (B, 6, 4) joint boxes x0, y0, x1, y1 in pixels of the image, or None.
        valid: (B, 6) bool, False where the bone of the joint was not found, or None.
        heat_maps: (B, 6, M, M) logits of the eroded area in the boxes, or None.
        extent: (B, 6, 3) eroded share of the healthy contour, depth in pixels of the image, and area in squared pixels,
            or None.
    """

    masks: Tensor
    cumulative: Tensor | None
    boxes: Tensor | None
    valid: Tensor | None
    heat_maps: Tensor | None = None
    extent: Tensor | None = None

    @classmethod
    def of(cls, output: Any) -> Prediction:
        """Take the output of a joint or of a segmentation network."""
        if not hasattr(output, "erosion_logits"):
            return cls(output.float(), None, None, None)
        cumulative = output.erosion_logits.float().sigmoid()
        # an exported program has neither
        maps, extent = (getattr(output, name, None) for name in ("erosion_heat_maps", "erosion_extent"))
        return cls(
            output.mask_logits.float(),
            cumulative,
            output.roi_boxes.float(),
            output.roi_valid,
            None if maps is None else maps.float(),
            None if extent is None else extent.float(),
        )


@dataclass(frozen=True)
class Uncertainty:
    """Disagreement between the views of one radiograph.

    Attributes:
        views: Number of views.
        bone_dice: (14,) float32 mean Dice coefficient of all pairs of masks (Roy et al., NeuroImage 2019); 1 where
            they agree, nan where no view shows the bone.
        probability_sd: (6,) float32 standard deviation of the erosion probability; nan with fewer than two views.
    """

    views: int
    bone_dice: np.ndarray
    probability_sd: np.ndarray


def transform(image: Tensor, view: View) -> Tensor:
    """Return a view of (B, C, H, W) images, 0 outside of them."""
    if view == VIEWS[0]:
        return image
    return _warp(image, view.matrix(image.device))


def invert(prediction: Prediction, view: View) -> tuple[Prediction, Tensor]:
    """Bring a prediction on a view back to the coordinates of the image.

    Returns:
        The prediction, and (1, 1, S, S) float that is 1 where the view shows the image.
    """
    masks, size = prediction.masks, prediction.masks.shape[-1]
    shown = masks.new_ones(1, 1, size, size)
    if view == VIEWS[0]:
        return prediction, shown
    matrix = view.matrix(masks.device)
    inverse = torch.linalg.inv(matrix[:, :2])
    back = torch.cat([inverse, inverse.new_zeros(2, 1)], 1)
    # a pixel counts as shown if all pixels that it is interpolated from are
    shown = (_warp(shown, back) > 1 - 1e-4).float()
    boxes = prediction.boxes
    if boxes is not None:
        centre = (boxes[..., :2] + boxes[..., 2:]) / size - 1
        centre = (centre @ matrix[:, :2].T + 1) * size / 2
        half = (boxes[..., 2:] - boxes[..., :2]) / (2 * view.zoom)
        boxes = torch.cat([centre - half, centre + half], -1)
    return prediction._replace(masks=_warp(masks, back), boxes=boxes), shown


def merge(
    predictions: list[tuple[Prediction, Tensor]], mask_logit: float, raw_output: bool
) -> tuple[Prediction, list[Uncertainty]]:
    """Average predictions on views of the same images.

    Mask probabilities (the outputs themselves with `raw_output`) and cumulative erosion probabilities are averaged; a
    joint counts as found if most views find it. Heat maps and extent are those of the image itself.

    Args:
        predictions: Results of `invert`, one per view; the first is of the image itself.
        mask_logit: Output above which a pixel belongs to a bone.
        raw_output: The network was trained without a sigmoid.

    Returns:
        The mean prediction, and one uncertainty per radiograph.
    """
    total = sum(
        shown * (prediction.masks if raw_output else prediction.masks.sigmoid()) for prediction, shown in predictions
    )
    masks = total / sum(shown for _, shown in predictions)
    if not raw_output:
        masks = torch.logit(masks, eps=1e-6)
    dice = _mean_dice(predictions, mask_logit).cpu().numpy()
    count = len(predictions)
    first = predictions[0][0]
    if first.cumulative is None:
        nothing = np.full(6, np.nan, np.float32)
        return first._replace(masks=masks), [Uncertainty(count, row, nothing) for row in dice]
    valid = torch.stack([prediction.valid for prediction, _ in predictions])
    cumulative = _mean(torch.stack([prediction.cumulative for prediction, _ in predictions]), valid)
    boxes = _mean(torch.stack([prediction.boxes for prediction, _ in predictions]), valid)
    eroded = torch.stack([prediction.cumulative[..., 0] for prediction, _ in predictions])
    spread = _spread(eroded, valid).cpu().numpy()
    found = valid.sum(0) * 2 > count
    uncertainty = [Uncertainty(count, row, sd) for row, sd in zip(dice, spread, strict=True)]
    return Prediction(masks, cumulative, boxes, found, first.heat_maps, first.extent), uncertainty


def _mean_dice(predictions: list[tuple[Prediction, Tensor]], mask_logit: float) -> Tensor:
    """Return the mean Dice coefficient (B, 14) of all pairs of masks, where every view shows the image."""
    everywhere = torch.stack([shown for _, shown in predictions]).amin(0) > 0
    masks = [(prediction.masks > mask_logit) & everywhere for prediction, _ in predictions]
    areas = [mask.sum((-2, -1)) for mask in masks]
    pairs = [
        2 * (masks[i] & masks[j]).sum((-2, -1)) / (areas[i] + areas[j]) for i, j in combinations(range(len(masks)), 2)
    ]
    return torch.stack(pairs).nanmean(0)


def _warp(image: Tensor, matrix: Tensor) -> Tensor:
    grid = F.affine_grid(matrix.expand(len(image), 2, 3), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid.to(image.dtype), mode="bilinear", padding_mode="zeros", align_corners=False)


def _mean(values: Tensor, valid: Tensor) -> Tensor:
    """Return the mean over the first axis of (V, B, 6, n) values where (V, B, 6) is true; 0 where it never is."""
    weight = valid[..., None].to(values.dtype)
    return (values * weight).sum(0) / weight.sum(0).clamp_min(1)


def _spread(values: Tensor, valid: Tensor) -> Tensor:
    """Return the sample standard deviation over the first axis of (V, B, 6) values; nan with fewer than two valid."""
    count = valid.sum(0)
    squares = ((values - _mean(values[..., None], valid)[..., 0]) ** 2 * valid).sum(0)
    return torch.where(count > 1, (squares / (count - 1).clamp_min(1)).sqrt(), torch.nan)
