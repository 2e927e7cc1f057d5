"""Network output for a batch of images, as arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np


class Prediction(NamedTuple):
    """Prediction of a network for B images with C bones and J joints, in the coordinates of the image.

    Attributes:
        masks: (B, C, S, S) float32 raw network output.
        cumulative: (B, J, K) probabilities P(level > k); None from a segmentation network.
        boxes: (B, J, 4) joint boxes x0, y0, x1, y1 in pixels of the image, or None.
        valid: (B, J) bool, False where the bone of the joint was not found, or None.
        heat_maps: (B, J, M, M) logits of the eroded area in the boxes, or None.
        extent: (B, J, 3) eroded share of the healthy contour, depth in pixels of the image, and area in squared pixels,
            or None.
        further: (B, F, J, K) probabilities P(level > k) of the anatomy's F further scores, or None.
    """

    masks: np.ndarray
    cumulative: np.ndarray | None = None
    boxes: np.ndarray | None = None
    valid: np.ndarray | None = None
    heat_maps: np.ndarray | None = None
    extent: np.ndarray | None = None
    further: np.ndarray | None = None

    @classmethod
    def of(cls, output: Any) -> Prediction:
        """Convert the output of a joint or segmentation network, tensors or arrays."""
        if not hasattr(output, "erosion_logits"):
            return cls(_array(output))
        # an exported program may have none of them
        maps, extent, further = (
            getattr(output, name, None) for name in ("erosion_heat_maps", "erosion_extent", "further_logits")
        )
        return cls(
            _array(output.mask_logits),
            sigmoid(_array(output.erosion_logits)),
            _array(output.roi_boxes),
            _array(output.roi_valid).astype(bool),
            None if maps is None else _array(maps),
            None if extent is None else _array(extent),
            None if further is None else sigmoid(_array(further)),
        )


def sigmoid(logits: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)), without overflow."""
    return 0.5 * np.tanh(0.5 * logits) + 0.5


def _array(values: Any) -> np.ndarray:
    """Return a tensor of any device and precision, or an array, as float32."""
    return values.float().cpu().numpy() if hasattr(values, "cpu") else np.asarray(values, np.float32)
