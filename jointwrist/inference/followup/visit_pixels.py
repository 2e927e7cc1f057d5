"""Pixels and bone masks of a visit, reduced if the radiograph is very large."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from jointwrist.inference.joint_space import block_means
from jointwrist.inference.result import WristResult
from jointwrist.inference.similarity import Similarity
from jointwrist.ops.outlines import bounding_box

#: Number of pixels up to which radiographs are compared pixel by pixel.
MOST_PIXELS = 1500**2


@dataclass(frozen=True)
class VisitPixels:
    """The data by which two visits are compared.

    Attributes:
        pixels: (H, W) float32 grey values.
        masks: (14, H, W) bool; empty where a bone was not found.
        shares: (14, H, W) share of each pixel that a bone covers, float32, or bool where `step` is 1.
        found: (14,) bool.
        step: Side of these pixels in pixels of the radiograph.
    """

    pixels: np.ndarray
    masks: np.ndarray
    shares: np.ndarray
    found: np.ndarray
    step: int

    @classmethod
    def of(cls, result: WristResult) -> VisitPixels:
        """Return the pixels of a result, cropped to the wrist."""
        step = math.ceil(math.sqrt(result.radiograph.pixels.size / MOST_PIXELS))
        if step == 1:
            masks = result.masks * result.found[:, None, None]
            return cls(result.radiograph.pixels, masks, masks, result.found, step)
        pixels = block_means(result.radiograph.pixels, step)
        shares = np.zeros((len(result.masks), *pixels.shape), np.float32)
        for bone in np.flatnonzero(result.found):
            mask = result.masks[bone]
            rows, columns = ((part.start // step, -(-part.stop // step)) for part in bounding_box(mask))
            window = mask[rows[0] * step : rows[1] * step, columns[0] * step : columns[1] * step]
            shares[bone, slice(*rows), slice(*columns)] = block_means(window, step)
        return cls(pixels, shares > 0.5, shares, result.found, step)


def bone_areas(baseline: VisitPixels, followup: VisitPixels, registration: Similarity) -> np.ndarray:
    """Return (14, 2) areas in pixels of the baseline radiograph, within the region that both radiographs show.

    Args:
        baseline: Earlier visit.
        followup: Later visit.
        registration: Similarity from the pixels of the follow-up to those of the baseline, as they are compared.
    """
    shape = baseline.pixels.shape
    shown = registration.warp(np.ones(followup.pixels.shape, np.float32), shape)
    areas = np.full((len(baseline.shares), 2), np.nan)
    for bone in np.flatnonzero(baseline.found & followup.found):
        window = bounding_box(baseline.shares[bone] > 0)
        areas[bone] = (
            (baseline.shares[bone][window] * shown[window]).sum(),
            registration.warp_sum(followup.shares[bone], shape),
        )
    return areas * baseline.step**2
