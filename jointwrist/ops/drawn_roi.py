"""Regions and boxes of the joints from annotated bone masks: `jointwrist.ops.roi` in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from jointwrist.anatomy import WRIST, JointSurface

#: Pixels of a region from which a joint has a box.
LEAST_PIXELS = 4


class DrawnRegions(NamedTuple):
    """Regions of the joints, each (J, H, W) float32 in [0, 1]; see `jointwrist.ops.roi.JointRegions`."""

    joint: np.ndarray
    outer_band: np.ndarray


def drawn_regions(
    masks: np.ndarray, reach: float = 0.07, joints: Sequence[JointSurface] = WRIST.joints
) -> DrawnRegions:
    """Compute the regions of each joint as `jointwrist.ops.roi.joint_regions` does.

    Args:
        masks: (C, H, W) bool.
        reach: Distance from the articulating bones up to which a long bone belongs to the joint, as a fraction of the
            image width.
        joints: Joint surfaces of the anatomy, J.
    """
    regions = []
    for joint in joints:
        bone = masks[joint.bone]
        outer = ndimage.maximum_filter(bone, 5) & ~bone
        near = np.ones(bone.shape)
        if joint.end:
            near = _near(masks, joint, reach)
            if lost_end(masks, joint, reach):
                near = _remaining_end(masks, joint, reach)
        regions.append((bone * near, outer * near))
    return DrawnRegions(*(np.array(part, np.float32) for part in zip(*regions, strict=True)))


def lost_end(masks: np.ndarray, joint: JointSurface, reach: float = 0.07) -> bool:
    """Whether a long bone has no pixels near its articulating bones, as if an erosion had removed its end.

    Args:
        masks: (C, H, W) bool.
        joint: Joint surface at the end of a long bone.
        reach: As for `drawn_regions`.
    """
    bone, others = masks[joint.bone], _articulating(masks, joint)
    return bool(bone.any() and others.any() and (bone * _near(masks, joint, reach) > 0.5).sum() < LEAST_PIXELS)


def _articulating(masks: np.ndarray, joint: JointSurface) -> np.ndarray:
    return masks[list(joint.articulating_bones)].any(0)


def _radius(masks: np.ndarray, reach: float) -> int:
    return max(int(reach * masks.shape[-1]), 1)


def _near(masks: np.ndarray, joint: JointSurface, reach: float) -> np.ndarray:
    """Nearness (H, W) to the articulating bones: 1 up to about `reach`, then falling to 0."""
    radius = _radius(masks, reach)
    near = ndimage.maximum_filter(_articulating(masks, joint), 2 * radius + 1).astype(float)
    return ndimage.uniform_filter(near, 2 * (radius // 2) + 1, mode="constant")


def _remaining_end(masks: np.ndarray, joint: JointSurface, reach: float) -> np.ndarray:
    """Disc (H, W) bool around the centroid of the articulating bones that extends by `reach` into the bone."""
    centre = np.argwhere(_articulating(masks, joint)).mean(0)
    distance = np.hypot(*(np.indices(masks.shape[1:]) - centre[:, None, None]))
    return distance <= distance[masks[joint.bone]].min() + _radius(masks, reach)


def drawn_boxes(joints: np.ndarray, extent: float = 2.4, margin: float = 0.02) -> tuple[np.ndarray, np.ndarray]:
    """Compute square boxes around joint regions as `jointwrist.ops.roi.moment_boxes` does.

    Args:
        joints: (J, H, W) joint regions of `drawn_regions`.
        extent: Half side in standard deviations of the longer axis.
        margin: Added to the half side, as a fraction of the image width.

    Returns:
        Boxes (J, 4) as x0, y0, x1, y1, pixel edges at integers; and (J,) bool, False where fewer than four pixels
        exceed 0.5; those boxes are the whole image.
    """
    height, width = joints.shape[-2:]
    boxes, valid = np.tile(np.array([0.0, 0.0, width, height]), (len(joints), 1)), np.zeros(len(joints), bool)
    for index, region in enumerate(joints):
        points = np.argwhere(region > 0.5)[:, ::-1] + 0.5
        if len(points) >= LEAST_PIXELS:
            centre, half = points.mean(0), extent * points.std(0).max() + margin * width
            boxes[index], valid[index] = [*(centre - half), *(centre + half)], True
    return boxes, valid
