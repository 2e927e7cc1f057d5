"""Pairs of bones that can fuse, and the signs of a visible joint line between them."""

from __future__ import annotations

import numpy as np

from jointwrist.anatomy import bone_index
from jointwrist.inference.scope.joint_lines import ACROSS, ALONG, STEP_MM, JointLine

#: Neighbours in the carpus, with the bases of the metacarpals and the radius.
NEIGHBOURS = tuple(
    (bone_index(first), bone_index(second))
    for first, second in (
        ("Scaphoid", "Lunate"), ("Lunate", "TriquetrumPisiform"), ("Scaphoid", "Capitate"), ("Lunate", "Capitate"),
        ("Capitate", "Hamate"), ("Hamate", "TriquetrumPisiform"), ("Scaphoid", "Trapezium"), ("Scaphoid", "Trapezoid"),
        ("Trapezium", "Trapezoid"), ("Trapezoid", "Capitate"), ("Trapezoid", "Metacarpal2nd"),
        ("Capitate", "Metacarpal2nd"), ("Capitate", "Metacarpal3rd"), ("Hamate", "Metacarpal4th"),
        ("Hamate", "Metacarpal5th"), ("DistalRadius", "Scaphoid"), ("DistalRadius", "Lunate"),
    )
)  # fmt: skip
_MIDDLE = ACROSS // 2
#: Half the width in places within which a joint line lies, and within which its bright edges lie.
_LINE, _EDGES = round(1.0 / STEP_MM), round(2.25 / STEP_MM)


def line_signs(line: JointLine, pair: int) -> np.ndarray:
    """Return the signs of a joint line.

    Args:
        line: The straightened radiograph between two bones.
        pair: Index of the two in `NEIGHBOURS`.
    """
    grey = line.grey
    left, right = grey[:, _MIDDLE - _EDGES : _MIDDLE + 1], grey[:, _MIDDLE : _MIDDLE + _EDGES + 1]
    middle = grey[:, _MIDDLE - _LINE : _MIDDLE + _LINE + 1]
    valley = np.minimum(left.max(1), right.max(1)) - middle.min(1)
    wide = grey[:, _MIDDLE - _EDGES : _MIDDLE + _EDGES + 1]
    mean = grey.mean(0)
    profile = (mean + mean[::-1])[: _MIDDLE + 2].reshape(-1, 3).mean(1) / 2
    darkest = np.argmin(middle, 1) + _MIDDLE - _LINE
    places = np.clip(darkest[:, None] + np.arange(-_EDGES, _EDGES + 1), 0, ACROSS - 1)
    aligned = np.take_along_axis(grey, places, 1).mean(0)
    along = np.abs(np.diff(grey, axis=0)).mean()
    which = np.zeros(len(NEIGHBOURS))
    which[pair] = 1
    return np.concatenate(
        [
            np.percentile(valley, (10, 30, 50, 70, 90)),
            np.percentile(wide.max(1) - np.median(grey, 1), (25, 50, 75)),
            [wide.mean(0).std(), wide.std(1).mean(), wide.std(), along, grey.mean()],
            profile,
            ((aligned + aligned[::-1]) / 2)[: _EDGES + 1],
            np.percentile(line.gaps, (10, 50, 90)),
            which,
        ]
    )


LINE_SIGNS = len(line_signs(JointLine(np.zeros((ALONG, ACROSS)), np.zeros(ALONG)), 0))
