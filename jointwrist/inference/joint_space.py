"""Width of the joint space between two bones on a radiograph, from their masks.

The width is the distance between the two margins of a joint across it, averaged over an interval of fixed length in its
middle, after van 't Klooster et al. (Osteoarthritis and Cartilage 16(1), 2008), who set the interval by the thickness
of a finger's bone. Here it is set by the size of the smaller bone, so that neither a lip at the side nor the shape of
the narrowest part decides where it lies. Huo et al. (IEEE TBME 64, 2017) measure the wrist by joint margins, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from jointwrist.anatomy import bone_index
from jointwrist.inference.joint_edges import on_edges
from jointwrist.inference.joint_margins import STEP, joint_margins
from jointwrist.ops.outlines import bounding_box

#: Sites of the wrist whose joint space the Sharp/van der Heijde score grades, and their pairs of bones.
SITES: dict[str, tuple[tuple[int, int], ...]] = {
    site: tuple((bone_index(first), bone_index(second)) for first, second in pairs)
    for site, pairs in {
        "SR": (("Scaphoid", "DistalRadius"), ("Lunate", "DistalRadius")),
        "SC": (("Scaphoid", "Capitate"), ("Lunate", "Capitate")),
        "STT": (("Scaphoid", "Trapezium"), ("Scaphoid", "Trapezoid")),
        "CMC3": (("Capitate", "Metacarpal3rd"),),
        "CMC4": (("Hamate", "Metacarpal4th"),),
        "CMC5": (("Hamate", "Metacarpal5th"),),
    }.items()
}
SPACES: tuple[tuple[int, int], ...] = tuple(pair for pairs in SITES.values() for pair in pairs)
_SITE = {frozenset(pair): site for site, pairs in SITES.items() for pair in pairs}
#: Side in pixels of the smaller bone up to which two bones are measured pixel by pixel.
MOST_PIXELS = 1024
#: Width of the frame around two bones that their joint is measured in, as a share of the smaller one's side; edges are
#: sought up to 6 % of the root of its area away.
_FRAME = 0.1


@dataclass(frozen=True)
class JointSpace:
    """Gap between two bones; negative where their projections overlap.

    Attributes:
        minimum: Narrowest gap in the measured part of the joint.
        mean: Mean gap over it.
        area: Area between the outlines there, the mean gap times the length of that part.
        overlap: Area in which the two projections overlap.
        mean_at_edges: Mean gap between the edges of the bones on the radiograph, near the outlines; None without a
            radiograph.
    """

    minimum: float
    mean: float
    area: float
    overlap: float
    mean_at_edges: float | None = None


def site_of(pair: tuple[int, int]) -> str | None:
    """Return the site of the Sharp/van der Heijde score between two bones, or None."""
    return _SITE.get(frozenset(pair))


def _around(
    first: np.ndarray, second: np.ndarray, pixels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return masks and pixels around both bones alone, which on a large radiograph is a small part of it.

    The frame is beyond the outlines, which end where a frame cuts a bone, and beyond the reach of the edges.
    """
    boxes = [bounding_box(mask) for mask in (first, second)]
    frame = 2 + int(_FRAME * min(map(_side, boxes)))
    window = tuple(
        slice(max(min(part.start for part in parts) - frame, 0), max(part.stop for part in parts) + frame)
        for parts in zip(*boxes, strict=True)
    )
    return first[window], second[window], None if pixels is None else pixels[window]


def _side(box: tuple[slice, slice]) -> int:
    return max(part.stop - part.start for part in box)


def _bounded(
    first: np.ndarray, second: np.ndarray, spacing: float, pixels: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, float, np.ndarray | None]:
    """Return masks, spacing and pixels at reduced resolution where the smaller bone is larger than `MOST_PIXELS`.

    Millions of pixels would cost gigabytes, and no radiograph shows bones in such detail.
    """
    step = -(-_side(bounding_box(first if first.sum() <= second.sum() else second)) // MOST_PIXELS)
    if step == 1:
        return first, second, spacing, pixels
    first, second = (block_means(mask, step) > 0.5 for mask in (first, second))
    return first, second, spacing * step, None if pixels is None else block_means(pixels, step)


def block_means(plane: np.ndarray, step: int) -> np.ndarray:
    """Return the means of blocks of `step` x `step` pixels of an (H, W) array; its edge is repeated to whole blocks."""
    plane = np.pad(plane, [(0, -side % step) for side in plane.shape], mode="edge")
    # adding planes is several times as fast as a mean over two short axes
    rows = sum(plane[row::step].astype(np.float32) for row in range(step))
    return sum(rows[:, column::step] for column in range(step)) / np.float32(step**2)


def joint_space(
    first: np.ndarray, second: np.ndarray, spacing: float = 1.0, pixels: np.ndarray | None = None
) -> JointSpace | None:
    """Measure the gap between two bones across their joint, in the middle of it.

    Args:
        first: (H, W) bool mask.
        second: (H, W) bool mask.
        spacing: Side of a pixel in the unit of the result.
        pixels: (H, W) float grey values with bright bones, for the gap between edges.

    Returns:
        The gap, or None where a bone is missing or the two do not face each other.
    """
    if not (first.any() and second.any()):
        return None
    first, second, pixels = _around(first, second, pixels)
    first, second, spacing, pixels = _bounded(first, second, spacing, pixels)
    margins = joint_margins(first, second)
    if margins is None:
        return None
    mean = margins.mean_gap * spacing
    return JointSpace(
        float(margins.gaps[margins.weights > 0].min()) * spacing,
        mean,
        mean * float(margins.weights.sum()) * STEP * spacing,
        float((first & second).sum()) * spacing**2,
        None if pixels is None else on_edges(pixels, margins).mean_gap * spacing,
    )
