"""Test-time augmentation: views of a radiograph, and the mean and spread of their predictions mapped back to it.

The views stay within the zoom and rotation of training. None is mirrored: left hands are mirrored before the network,
in training too, so that no network here was trained on mirrored wrists.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.ndimage import affine_transform

from jointwrist.inference.prediction import Prediction, sigmoid


class View(NamedTuple):
    """A zoom, then a rotation in degrees, about the centre of the image."""

    zoom: float
    degrees: float

    def matrix(self) -> np.ndarray:
        """Return the (2, 2) matrix from points x, y of the view to points of the image, both from the centre."""
        angle = math.radians(self.degrees)
        return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / self.zoom


#: The image itself, and four other views.
VIEWS = (View(1.0, 0.0), View(1.07, 0.0), View(0.93, 0.0), View(1.0, 5.0), View(1.0, -5.0))


@dataclass(frozen=True)
class Uncertainty:
    """Disagreement between the views of one radiograph.

    Attributes:
        views: Number of views.
        bone_dice: (C,) float32 mean Dice coefficient of all pairs of masks (Roy et al., NeuroImage 2019); 1 where
            they agree, nan where no view shows the bone.
        probability_sd: (J,) float32 standard deviation of the erosion probability; nan with fewer than two views.
    """

    views: int
    bone_dice: np.ndarray
    probability_sd: np.ndarray


def transform(image: np.ndarray, view: View) -> np.ndarray:
    """Return a view of (B, C, H, W) images, 0 outside of them."""
    return image if view == VIEWS[0] else _warp(image, view.matrix())


def invert(prediction: Prediction, view: View) -> tuple[Prediction, np.ndarray]:
    """Map a prediction on a view back to the coordinates of the image.

    Returns:
        The prediction, and (1, 1, S, S) float32 that is 1 where the view shows the image.
    """
    masks, size = prediction.masks, prediction.masks.shape[-1]
    shown = np.ones((1, 1, size, size), np.float32)
    if view == VIEWS[0]:
        return prediction, shown
    matrix = view.matrix()
    back = np.linalg.inv(matrix)
    # a pixel counts as shown if all pixels that it is interpolated from are
    shown = (_warp(shown, back) > 1 - 1e-4).astype(np.float32)
    boxes = prediction.boxes
    if boxes is not None:
        centre = (boxes[..., :2] + boxes[..., 2:] - size) / 2 @ matrix.T + size / 2
        half = (boxes[..., 2:] - boxes[..., :2]) / (2 * view.zoom)
        boxes = np.concatenate([centre - half, centre + half], -1).astype(np.float32)
    return prediction._replace(masks=_warp(masks, back), boxes=boxes), shown


def merge(
    predictions: list[tuple[Prediction, np.ndarray]], mask_logit: float, raw_output: bool
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
        shown * (prediction.masks if raw_output else sigmoid(prediction.masks)) for prediction, shown in predictions
    )
    masks = total / sum(shown for _, shown in predictions)
    if not raw_output:
        masks = np.clip(masks, 1e-6, 1 - 1e-6)
        masks = np.log(masks / (1 - masks))
    dice = _mean_dice(predictions, mask_logit)
    count = len(predictions)
    first = predictions[0][0]
    if first.cumulative is None:
        nothing = np.full(6, np.nan, np.float32)
        return first._replace(masks=masks), [Uncertainty(count, row, nothing) for row in dice]
    valid = np.stack([prediction.valid for prediction, _ in predictions])
    cumulative = _mean(np.stack([prediction.cumulative for prediction, _ in predictions]), valid)
    boxes = _mean(np.stack([prediction.boxes for prediction, _ in predictions]), valid)
    eroded = np.stack([prediction.cumulative[..., 0] for prediction, _ in predictions])
    uncertainty = [Uncertainty(count, row, sd) for row, sd in zip(dice, _spread(eroded, valid), strict=True)]
    found = valid.sum(0) * 2 > count
    further = None
    if first.further is not None:
        each = np.stack([prediction.further for prediction, _ in predictions], 2)
        further = np.stack([_mean(each[:, score].swapaxes(0, 1), valid) for score in range(each.shape[1])], 1)
    return Prediction(masks, cumulative, boxes, found, first.heat_maps, first.extent, further), uncertainty


def _mean_dice(predictions: list[tuple[Prediction, np.ndarray]], mask_logit: float) -> np.ndarray:
    """Return the mean Dice coefficient (B, C) of all pairs of masks, where every view shows the image."""
    everywhere = np.min([shown for _, shown in predictions], 0) > 0
    masks = [(prediction.masks > mask_logit) & everywhere for prediction, _ in predictions]
    areas = [mask.sum((-2, -1)) for mask in masks]
    with np.errstate(invalid="ignore"):
        pairs = np.array(
            [
                2 * (masks[i] & masks[j]).sum((-2, -1)) / (areas[i] + areas[j])
                for i, j in combinations(range(len(masks)), 2)
            ]
        )
        return (np.nansum(pairs, 0) / np.isfinite(pairs).sum(0)).astype(np.float32)


def _warp(images: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Resample (B, C, S, S) images linearly at points `matrix` times those of the result, 0 outside of them."""
    inverse = matrix[::-1, ::-1]  # rows and columns instead of x and y
    centre = (np.array(images.shape[-2:]) - 1) / 2
    warped = np.empty_like(images, np.float32)
    for place in np.ndindex(images.shape[:2]):
        affine_transform(
            images[place], inverse, centre - inverse @ centre, output=warped[place], order=1, mode="grid-constant"
        )
    return warped


def _mean(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of (V, B, J, n) values where (V, B, J) is true; 0 where it never is."""
    weight = valid[..., None].astype(np.float32)
    return (values * weight).sum(0) / np.maximum(weight.sum(0), 1)


def _spread(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Return the sample standard deviation over the first axis of (V, B, J) values; nan with fewer than two valid."""
    count = valid.sum(0)
    squares = ((values - _mean(values[..., None], valid)[..., 0]) ** 2 * valid).sum(0)
    spread = np.sqrt(squares / np.maximum(count - 1, 1)).astype(np.float32)
    return np.where(count > 1, spread, np.float32(np.nan))
