"""Width of the joint space between two bones on a radiograph."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from jointwrist.anatomy import bone_index
from jointwrist.ops.outlines import SignedDistance, outline_points

#: Joint spaces of the wrist in which the Sharp/van der Heijde score reads narrowing, as pairs of bones.
SPACES: tuple[tuple[int, int], ...] = tuple(
    (bone_index(first), bone_index(second))
    for first, second in (
        ("Scaphoid", "DistalRadius"),
        ("Lunate", "DistalRadius"),
        ("Scaphoid", "Capitate"),
        ("Lunate", "Capitate"),
        ("Scaphoid", "Trapezium"),
        ("Scaphoid", "Trapezoid"),
        ("Capitate", "Metacarpal3rd"),
        ("Hamate", "Metacarpal4th"),
        ("Hamate", "Metacarpal5th"),
    )
)
#: The facing surface ends where the gap exceeds the narrowest gap by this share of the length of the smaller bone.
FACING_SHARE = 0.15
#: An outline faces the other bone if the cosine between its normal and the direction to that bone is at least this.
FACING_COSINE = 0.7


@dataclass(frozen=True)
class JointSpace:
    """Gap between two bones; negative where their projections overlap.

    Attributes:
        minimum: Narrowest gap.
        mean: Mean gap over the facing surface.
    """

    minimum: float
    mean: float


def joint_space(first: np.ndarray, second: np.ndarray, spacing: float = 1.0) -> JointSpace | None:
    """Measure the gap between two bones along the part of the first one's outline that faces the second.

    Args:
        first: (H, W) bool mask.
        second: (H, W) bool mask.
        spacing: Side of a pixel in the unit of the result.

    Returns:
        The gap, or None where a bone is missing or no part of the first faces the second.
    """
    if not (first.any() and second.any()):
        return None
    points, opposite = outline_points(first), outline_points(second)
    if len(points) == 0 or len(opposite) == 0:
        return None
    gap = SignedDistance(second)(points)
    inside = SignedDistance(first)
    _, nearest = cKDTree(opposite).query(points)
    way = opposite[nearest] - points
    # for a point inside the other bone, its surface is behind, not ahead
    way *= np.where(gap < 0, -1.0, 1.0)[:, None] / np.maximum(np.linalg.norm(way, axis=1, keepdims=True), 1e-9)
    reach = 2.0
    outward = np.stack(
        [inside(points + shift) - inside(points - shift) for shift in (np.array([reach, 0]), np.array([0, reach]))], 1
    )
    outward /= np.maximum(np.linalg.norm(outward, axis=1, keepdims=True), 1e-9)
    faces = ((way * outward).sum(1) >= FACING_COSINE) | (np.abs(gap) < 0.5)
    if not faces.any():
        return None
    length = min(np.sqrt(first.sum()), np.sqrt(second.sum()))
    minimum = gap[faces].min()
    near = faces & (gap <= minimum + FACING_SHARE * length)
    return JointSpace(float(minimum * spacing), float(gap[near].mean() * spacing))
