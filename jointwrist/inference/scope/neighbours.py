"""Pairs of bones that can fuse, and the features of the joint line between them."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import bone_index
from jointwrist.inference.scope.joint_line import ACROSS, ALONG

#: Neighbours in the carpus, with the bases of two metacarpals and the radius.
NEIGHBOURS = tuple(
    (bone_index(first), bone_index(second))
    for first, second in (
        ("Scaphoid", "Lunate"), ("Lunate", "TriquetrumPisiform"), ("Scaphoid", "Capitate"), ("Lunate", "Capitate"),
        ("Capitate", "Hamate"), ("Hamate", "TriquetrumPisiform"), ("Scaphoid", "Trapezium"), ("Scaphoid", "Trapezoid"),
        ("Trapezium", "Trapezoid"), ("Trapezoid", "Capitate"), ("Trapezoid", "Metacarpal2nd"),
        ("Capitate", "Metacarpal2nd"), ("Capitate", "Metacarpal3rd"), ("DistalRadius", "Scaphoid"),
        ("DistalRadius", "Lunate"),
    )
)  # fmt: skip
_MIDDLE = ACROSS // 2


def line_features(line: np.ndarray) -> np.ndarray:
    """Compute the features of a joint line: a dark valley between the bones, its evenness, and the gap of the masks.

    Args:
        line: (3, `ALONG`, `ACROSS`), as `joint_line` returns it.
    """
    grey, first, second = line
    middle = grey[:, _MIDDLE - 7 : _MIDDLE + 8]  # 2.1 mm on both sides
    bright = np.minimum(middle[:, :8].max(1), middle[:, 7:].max(1))
    valley = bright - middle[:, 4:11].min(1)
    ridge = middle.max(1) - np.median(grey, 1)
    curved = np.abs(np.diff(middle, 2, axis=1))
    profile = grey.mean(0)
    gap = np.maximum(first, second)[:, _MIDDLE - 2 : _MIDDLE + 3].min(1)
    return np.concatenate(
        [
            np.percentile(valley, (10, 30, 50, 70, 90)),
            np.percentile(ridge, (25, 50, 75)),
            [curved.mean(), *np.percentile(curved, (80, 95))],
            [grey.std(), middle.mean(0).std(), np.abs(np.diff(grey, axis=0)).mean()],
            (profile - profile.mean())[1:26:2],
            np.percentile(gap, (20, 50, 80)),
            [first[:, :_MIDDLE].mean(), second[:, _MIDDLE:].mean()],
            [first[:, _MIDDLE + 3 :].mean(), second[:, : _MIDDLE - 2].mean()],
        ]
    )


LINE_FEATURES = len(line_features(np.zeros((3, ALONG, ACROSS))))
