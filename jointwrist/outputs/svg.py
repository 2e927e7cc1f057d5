"""Outlines of masks as SVG path data."""

from __future__ import annotations

import numpy as np

from jointwrist.ops.outlines import outlines

#: Outlines are thinned to points at least this far apart, in pixels of the picture.
STEP = 1.2


def outline_path(mask: np.ndarray, scale: float = 1.0) -> str:
    """Return the outline of an (H, W) mask as SVG path data.

    Args:
        mask: Bool; where the frame cuts a bone, the path follows the frame.
        scale: Pixels of the picture per pixel of the mask; the corner of the first pixel is at 0, 0.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if len(rows) == 0:
        return ""
    box = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    corner = np.array([columns[0], rows[0]]) - 0.5
    return "".join(_closed((line + corner) * scale) for line in outlines(np.pad(box, 1)))


def _closed(line: np.ndarray) -> str:
    kept = [line[0]]
    for point in line[1:]:
        if np.abs(point - kept[-1]).max() >= STEP:
            kept.append(point)
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in kept) + "Z" if len(kept) > 2 else ""
