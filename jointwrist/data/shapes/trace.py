"""Trace masks as polygons with few draggable corners that reproduce every pixel."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from jointwrist.data.shapes.fill import fill_polygon

#: Largest shift of an outline in simplification, in pixels. It runs halfway between pixel centres inside and outside,
#: and cuts corners at 0.354 px from a centre; smaller shifts cross no centre.
_SLACK = 0.35


def exact_polygons(mask: np.ndarray) -> list[np.ndarray] | None:
    """Outline each connected piece of a mask by a polygon with as few corners as reproduce every pixel.

    Args:
        mask: (H, W) bool.

    Returns:
        (N, 2) x, y of the corners, the upper left corner of the image at 0, 0: a pixel belongs to the mask where its
        centre (column + 0.5, row + 0.5) is inside. None if a piece has a hole.
    """
    from contourpy import contour_generator

    pieces, _ = ndimage.label(mask)
    polygons = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(pieces), 1):
        piece = pieces[rows, columns] == number
        # padded, so that outlines close along the frame; contourpy has the centre of the first pixel at 0, 0
        lines = contour_generator(z=np.pad(piece, 1).astype(np.float32)).lines(0.5)
        if len(lines) > 1:
            return None
        polygon = _simplified(lines[0][:-1] - 0.5)
        if not np.array_equal(fill_polygon(polygon, piece.shape), piece):
            return None
        polygons.append(polygon + np.array([columns.start, rows.start]))
    return polygons


def _simplified(ring: np.ndarray) -> np.ndarray:
    """Leave out corners of a closed outline while it stays within `_SLACK` (Douglas and Peucker 1973)."""
    far = int(np.argmax(np.hypot(*(ring - ring[0]).T)))
    keep = np.zeros(len(ring) + 1, bool)
    keep[[0, far, len(ring)]] = True
    closed = np.concatenate([ring, ring[:1]])
    stack = [(0, far), (far, len(ring))]
    while stack:
        first, last = stack.pop()
        if last - first < 2:
            continue
        start, along = closed[first], closed[last] - closed[first]
        length = np.hypot(*along)
        offset = closed[first + 1 : last] - start
        # to the stretch between the two, not to the line through them
        share = np.clip(offset @ along / max(length**2, 1e-12), 0, 1)
        distance = np.hypot(*(offset - share[:, None] * along).T)
        middle = first + 1 + int(distance.argmax())
        if distance.max() > _SLACK:
            keep[middle] = True
            stack += [(first, middle), (middle, last)]
    return closed[:-1][keep[:-1]]
