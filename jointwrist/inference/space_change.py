"""Change of a joint space between two radiographs, from the relative motion of its two bones.

The change is the distance by which the second bone has moved away from the first along the joint's direction. It is
measured from the grey values of the bones, not from mask outlines, after Ou et al. (IEEE JBHI 27(1), 2023), who
register patches of the two bones by phase-only correlation.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from jointwrist.inference.followup.bone_motion import BoneMotion, bone_patches, match
from jointwrist.inference.followup.registration import Similarity, register
from jointwrist.inference.joint_margins import joint_margins

#: A motion is trusted if the match explains this share of the variance of the grey values, at least.
LEAST_CORRELATION = 0.5
#: And if its standard error is at most this many pixels.
MOST_ERROR = 1.0


@dataclass(frozen=True)
class SpaceChange:
    """Change of the space between two bones, positive where it has widened.

    Attributes:
        change: Displacement of the second bone away from the first, along the joint's direction.
        error: Standard error of the change.
        correlation: Share of the variance of the grey values that the matches of the two bones explain, the lesser one.
    """

    change: float
    error: float
    correlation: float


#: The motion of a bone from the first radiograph to the second, as found from the first and as found from the second.
Motions = tuple[BoneMotion, BoneMotion]


def bone_motions(
    pixels: Sequence[np.ndarray], bones: Sequence[np.ndarray], start: Similarity, wanted: Iterable[int]
) -> dict[int, Motions]:
    """Find where bones of a first radiograph lie on a second; bones that cannot be matched are left out.

    Args:
        pixels: (H, W) grey values of the two radiographs, whose sizes may differ.
        bones: (N, H, W) bool masks of each.
        start: Similarity from the second radiograph to the first, as from `register`.
        wanted: Bones to match, by their index.
    """
    patches = [bone_patches(*visit) for visit in zip(pixels, bones, strict=True)]
    found = {}
    for bone in sorted(set(wanted)):
        first, second = (patch[bone] for patch in patches)
        if first is None or second is None:
            continue
        there, back = match(first, second, start.inverse), match(second, first, start)
        if there is not None and back is not None:
            found[bone] = (there, back.inverse)
    return found


def space_change(
    first: np.ndarray, second: np.ndarray, motions: tuple[Motions, Motions], spacing: float = 1.0
) -> SpaceChange | None:
    """Measure the change of the space between two bones.

    Registrations in both directions are averaged. The standard error combines a jackknife over parts of the patches
    with half of the difference between the two directions.

    Args:
        first: (H, W) bool mask of the first bone on the first radiograph.
        second: (H, W) bool mask of the second bone on it.
        motions: Motions of the two bones.
        spacing: Side of a pixel of the first radiograph in the unit of the result.

    Returns:
        The change, or None if the bones do not face each other or do not match well enough.
    """
    margins = joint_margins(first, second)
    correlation = min(motion.correlation for bone in motions for motion in bone)
    if margins is None or correlation < LEAST_CORRELATION:
        return None

    def away(one: Similarity, other: Similarity) -> float:
        point = margins.centre[None]
        return float((one.inverse(other(point)) - point)[0] @ margins.direction)

    changes, variances = [], []
    for one, other in zip(*motions, strict=True):
        changes.append(away(one.motion, other.motion))
        parts = (
            [away(left, other.motion) for left in one.left_out],
            [away(one.motion, left) for left in other.left_out],
        )
        variances.append(sum((len(part) - 1) * np.var(part) for part in parts))
    error = np.hypot(np.sqrt(np.mean(variances)), (changes[0] - changes[1]) / 2)
    if error > MOST_ERROR:
        return None
    return SpaceChange(float(np.mean(changes)) * spacing, float(error) * spacing, correlation)


def joint_space_change(
    pixels: Sequence[np.ndarray],
    bones: Sequence[np.ndarray],
    spacing: Sequence[float] | None = None,
    start: Similarity | None = None,
) -> SpaceChange | None:
    """Measure the change of the space between any two bones from two radiographs of them.

    Args:
        pixels: (H, W) grey values of the two radiographs, whose sizes may differ.
        bones: (2, H, W) bool masks of the two bones on each.
        spacing: Pixel spacing of each in mm, or None for a result in pixels of the first radiograph.
        start: Similarity from the second radiograph to the first, or None to find it from the masks.

    Returns:
        The change, or None if a bone is missing, or if they do not face each other or do not match.

    Raises:
        DataError: The radiographs cannot be registered.
    """
    if start is None:
        start = register(*bones, spacing[1] / spacing[0] if spacing else None, bones=(0, 1))
    motions: Mapping[int, Motions] = bone_motions(pixels, bones, start, (0, 1))
    if len(motions) < 2:
        return None
    return space_change(*bones[0], (motions[0], motions[1]), spacing[0] if spacing else 1.0)
