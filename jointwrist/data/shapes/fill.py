"""Rasterise polygons, discs and run lengths; x runs right, y down, pixel edges are at integer coordinates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def fill_polygon(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fill a closed polygon by the even-odd rule; a pixel belongs to it if its centre is inside.

    Args:
        points: (N, 2) x and y of the corners, in pixels.
        size: Height and width of the mask; parts beyond are cut off.

    Returns:
        (H, W) bool.
    """
    height, width = size
    # where an edge crosses the line through the pixel centres of a row, all pixels to its right flip
    flips = np.zeros((height, width + 1), np.int64)
    for (x0, y0), (x1, y1) in zip(points, np.roll(points, -1, axis=0), strict=True):
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        rows = np.arange(max(int(np.ceil(low - 0.5)), 0), min(int(np.ceil(high - 0.5)), height))
        x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
        flips[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)] += 1
    return flips.cumsum(axis=1)[:, :-1] % 2 == 1


def fill_through_centres(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Fill an outline on a grid whose whole numbers are pixel centres; centres on the outline count as inside.

    This restores masks traced by cv2.findContours, down to single pixels and lines, and by marching squares
    (skimage.measure.find_contours), which runs half way between centres.

    Args:
        points: (N, 2) x and y of the corners; at least one.
        size: Height and width of the mask; parts beyond are cut off.

    Returns:
        (H, W) bool.
    """
    mask = fill_polygon(points + 0.5, size)
    for start, end in zip(points, np.roll(points, -1, axis=0), strict=True):
        # points on the edge at whole numbers of its longer direction
        along = int(np.abs(end - start).argmax())
        low, high = sorted((start[along], end[along]))
        places = np.arange(max(np.ceil(low), 0), min(np.floor(high), size[1 - along] - 1) + 1)
        slope = (end - start)[1 - along] / (end - start)[along] if low < high else 0.0
        across = start[1 - along] + (places - start[along]) * slope
        near = np.round(across)
        on = (np.abs(across - near) < 1e-6) & (near >= 0) & (near < size[along])
        x, y = (places[on], near[on]) if along == 0 else (near[on], places[on])
        mask[y.astype(int), x.astype(int)] = True
    return mask


def fill_disc(centre: np.ndarray, radius: float, size: tuple[int, int]) -> np.ndarray:
    """Fill a disc: (H, W) bool, True where a pixel's centre is inside."""
    y, x = np.ogrid[: size[0], : size[1]]
    return (x + 0.5 - centre[0]) ** 2 + (y + 0.5 - centre[1]) ** 2 < radius**2


def decode_run_lengths(counts: str | Sequence[int], size: tuple[int, int]) -> np.ndarray:
    """Decode COCO's run lengths: column by column, beginning with background.

    Not left to pycocotools: for runs that do not fill the mask, its version 2.0.11 returns uninitialised memory.

    Returns:
        (H, W) bool.

    Raises:
        ValueError: The runs do not fill the mask exactly, or the text is malformed.
    """
    runs = np.asarray(_parse(counts) if isinstance(counts, str) else counts)
    height, width = size
    if runs.ndim != 1 or runs.dtype.kind not in "iu" or (runs < 0).any() or sum(runs.tolist()) != height * width:
        raise ValueError(f"the run lengths do not add up to {height} x {width} pixels")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(width, height).T


def _parse(text: str) -> list[int]:
    """Parse COCO text: 5-bit groups, lowest first; from the fourth number on, differences to the last but one."""
    counts: list[int] = []
    value = shift = 0
    for character in text:
        group = ord(character) - 48
        if not 0 <= group < 64:
            raise ValueError(f"{character!r} does not occur in COCO's run lengths")
        value |= (group & 31) << shift
        shift += 5
        if shift > 60:
            raise ValueError("a run length is too long")
        if group & 32:
            continue
        if group & 16:  # the number is negative
            value -= 1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
        value = shift = 0
    if shift:
        raise ValueError("the run lengths break off")
    return counts
