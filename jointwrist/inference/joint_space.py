"""Width of the joint space between two bones on a radiograph, from their masks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from jointwrist.anatomy import bone_index
from jointwrist.ops.outlines import SignedDistance, bounding_box, outline_points

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
#: The facing surface ends where the gap exceeds the narrowest gap by this share of the length of the smaller bone.
FACING_SHARE = 0.15
#: An outline faces the other bone if the cosine between its normal and the direction to that bone is at least this.
FACING_COSINE = 0.7


#: Side in pixels of the window of two bones that is measured pixel by pixel.
MOST_PIXELS = 1024


@dataclass(frozen=True)
class JointSpace:
    """Gap between two bones; negative where their projections overlap.

    Attributes:
        minimum: Narrowest gap.
        mean: Mean gap over the facing surface.
        area: Area between the facing surfaces, the mean gap times their length.
        overlap: Area in which the two projections overlap.
    """

    minimum: float
    mean: float
    area: float
    overlap: float


@dataclass(frozen=True)
class FacingSurface:
    """The part of a bone's outline that faces another bone, as points about a pixel apart.

    Attributes:
        points: (N, 2) x, y in pixels.
        gaps: (N,) distances to the other bone in pixels, negative within it.
        outward: (N, 2) unit normals.
    """

    points: np.ndarray
    gaps: np.ndarray
    outward: np.ndarray

    @property
    def centre(self) -> np.ndarray:
        """Middle of the surface (2,)."""
        return self.points.mean(0)

    @property
    def direction(self) -> np.ndarray:
        """Direction (2,) of the joint: the mean of the normals, which points to the other bone."""
        mean = self.outward.mean(0)
        return mean / max(np.linalg.norm(mean), 1e-9)


def site_of(pair: tuple[int, int]) -> str | None:
    """Return the site of the Sharp/van der Heijde score between two bones, or None."""
    return _SITE.get(frozenset(pair))


def facing_surface(first: np.ndarray, second: np.ndarray) -> FacingSurface | None:
    """Find the part of a bone's outline that faces another bone.

    Args:
        first: (H, W) bool mask.
        second: (H, W) bool mask of the other bone.

    Returns:
        The surface, or None where a bone is missing or no part of the first faces the second.
    """
    if not (first.any() and second.any()):
        return None
    window = tuple(slice(max(part.start - 2, 0), part.stop + 2) for part in bounding_box(first | second))
    corner = np.array([window[1].start, window[0].start])
    first, second = first[window], second[window]
    points, opposite = outline_points(first), outline_points(second)
    if len(points) == 0 or len(opposite) == 0:
        return None
    gaps = SignedDistance(second)(points)
    inside = SignedDistance(first)
    _, nearest = cKDTree(opposite).query(points)
    way = opposite[nearest] - points
    # for a point inside the other bone, its surface is behind, not ahead
    way *= np.where(gaps < 0, -1.0, 1.0)[:, None] / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    reach = 2.0
    outward = np.stack(
        [inside(points + shift) - inside(points - shift) for shift in (np.array([reach, 0]), np.array([0, reach]))], 1
    )
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    faces = ((way * outward).sum(1) >= FACING_COSINE) | (np.abs(gaps) < 0.5)
    if not faces.any():
        return None
    length = min(np.sqrt(first.sum()), np.sqrt(second.sum()))
    near = faces & (gaps <= gaps[faces].min() + FACING_SHARE * length)
    return FacingSurface(points[near] + corner, gaps[near], outward[near])


def _bounded(first: np.ndarray, second: np.ndarray, spacing: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return masks and spacing at reduced resolution where two bones cover more than `MOST_PIXELS` per side.

    Distances over millions of pixels take minutes and gigabytes, and no radiograph shows bones in such detail.
    """
    both = first | second
    if not both.any():
        return first, second, spacing
    window = bounding_box(both)
    step = -(-max(part.stop - part.start for part in window) // MOST_PIXELS)
    if step == 1:
        return first, second, spacing
    first, second = (block_means(mask[window], step) > 0.5 for mask in (first, second))
    return first, second, spacing * step


def block_means(plane: np.ndarray, step: int) -> np.ndarray:
    """Return the means of blocks of `step` x `step` pixels of an (H, W) array; its edge is repeated to whole blocks."""
    plane = np.pad(plane, [(0, -side % step) for side in plane.shape], mode="edge")
    # adding planes is several times as fast as a mean over two short axes
    rows = sum(plane[row::step].astype(np.float32) for row in range(step))
    return sum(rows[:, column::step] for column in range(step)) / np.float32(step**2)


def joint_space(first: np.ndarray, second: np.ndarray, spacing: float = 1.0) -> JointSpace | None:
    """Measure the gap between two bones along the part of the first one's outline that faces the second.

    Args:
        first: (H, W) bool mask.
        second: (H, W) bool mask.
        spacing: Side of a pixel in the unit of the result.

    Returns:
        The gap, or None where a bone is missing or no part of the first faces the second.
    """
    first, second, spacing = _bounded(first, second, spacing)
    surface = facing_surface(first, second)
    if surface is None:
        return None
    mean = float(surface.gaps.mean()) * spacing
    return JointSpace(
        float(surface.gaps.min()) * spacing,
        mean,
        mean * len(surface.gaps) * spacing,
        float((first & second).sum()) * spacing**2,
    )
