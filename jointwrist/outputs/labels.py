"""Placement of labels on a picture: joint numbers beside the bones, with leader lines, and bone names within them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import distance_transform_edt, minimum_filter

from jointwrist.anatomy import JointSurface
from jointwrist.inference.result import WristResult
from jointwrist.outputs.leader_lines import CROSSING_WEIGHT, choose_cells, segment_distance, ways_to

#: Longer side in pixels of the grid on which places are searched.
GRID_SIDE = 320
#: Size of the bones' names in points, and the room around them, in pixels of the picture.
NAME_POINTS, NAME_PAD = 12, 6
#: Distance that a number keeps from bones, as a fraction of its room.
CLEARANCE = 0.6
#: Distance from the joint, in pixels, that a number may add for every pixel by which it would be too close to a bone.
CLEARANCE_WEIGHT = 20.0
#: Share of a bone's pixels that count as its joint surface, the nearest ones.
NEAR = 0.1
#: Distance that lines keep from the middles of other numbers, as a fraction of the room of a number.
LINE_CLEARANCE = 0.4
#: Width of the gaps between bones in which no number stands, as a fraction of the extent of all bones.
GAP = 0.2


@dataclass(frozen=True)
class JointLabel:
    """The number of a joint and its leader line, in pixels of the radiograph.

    Attributes:
        joint: Index of the joint surface.
        number: Centre of the number, x and y.
        tip: End of the line, on the contour of the joint's bone.
    """

    joint: int
    number: np.ndarray
    tip: np.ndarray


@dataclass(frozen=True)
class BoneName:
    """The name of a bone within it.

    Attributes:
        bone: Index of the bone.
        text: Name of the bone, in one or more lines.
        middle: Centre of the name, x and y in pixels of the radiograph.
    """

    bone: int
    text: str
    middle: np.ndarray


def joint_labels(result: WristResult, room: float) -> list[JointLabel]:
    """Place the numbers of the joints beside the bones and near the joints, also of those whose score is withheld.

    Each takes a cell of a regular grid, such that the lines to the joint surfaces are short, keep off other bones than
    the joint's, and cross neither each other nor a number. Cells between the bones, or too close to one, count as
    farther away.

    Args:
        result: Prediction.
        room: Side of the square that a number takes, in pixels of the radiograph.
    """
    shown = result.scored | result.withheld
    joints = [joint for joint in result.anatomy.eroded_joints if shown[joint.index]]
    if not joints:
        return []
    height, width = result.masks.shape[1:]
    step = _step(result.masks)
    coarse = result.masks[:, ::step, ::step]
    ends = np.array([_surface(result, joint, coarse, step) for joint in joints])
    cells = np.stack(np.meshgrid(_middles(width, room), _middles(height, room)), -1).reshape(-1, 2)
    clearance = step * distance_transform_edt(~_closed(coarse.any(0), GAP * extent(result.masks) / step))
    x, y = (cells / step).astype(int).T
    lacking = np.maximum(CLEARANCE * room - clearance[y, x], 0)
    ways = [
        ways_to(coarse[joint.bone], np.delete(coarse, joint.bone, 0).any(0), cells / step, end / step)
        for joint, end in zip(joints, ends, strict=True)
    ]
    tips, over = (np.array(part) for part in zip(*ways, strict=True))
    costs = _length(ends[:, None] - cells) + CLEARANCE_WEIGHT * lacking + CROSSING_WEIGHT * step * over
    places = choose_cells(costs, cells, step * tips, LINE_CLEARANCE * room)
    return [
        JointLabel(joint.index, cells[place], _first_inside(result.masks[joint.bone], cells[place], end))
        for joint, place, end in zip(joints, places, ends, strict=True)
    ]


def bone_names(result: WristResult, scale: Sequence[float], labels: Sequence[JointLabel] = ()) -> list[BoneName]:
    """Place the names of bones that have room for them, away from contours, other bones and the lines of numbers.

    Args:
        result: Prediction.
        scale: Pixels of the picture per pixel of the radiograph, across and down.
        labels: Numbers whose lines no name covers.
    """
    font, draw = ImageFont.load_default(NAME_POINTS), ImageDraw.Draw(Image.new("1", (1, 1)))
    step = _step(result.masks)
    coarse = result.masks[:, ::step, ::step]
    single = (coarse.sum(0) == 1) & ~_under_lines(coarse.shape[1:], labels, step)
    names = []
    for bone in result.anatomy.bones:
        for text in dict.fromkeys((bone.display, bone.display.replace(" ", "\n"))):
            left, top, right, bottom = draw.multiline_textbbox((0, 0), text, font)
            width, height = np.array([right - left, bottom - top]) + 2 * NAME_PAD
            middle = _room_within(coarse[bone.index], single, width / scale[0] / step, height / scale[1] / step)
            if middle is not None:
                names.append(BoneName(bone.index, text, step * (middle + 0.5)))
                break
    return names


def extent(masks: np.ndarray) -> int:
    """Return the longer side of the box around all bones in pixels, at least 1."""
    rows, columns = (np.flatnonzero(masks.any((0, axis))) for axis in (2, 1))
    return int(max(np.ptp(rows), np.ptp(columns))) + 1 if len(rows) else 1


def _under_lines(shape: tuple[int, int], labels: Sequence[JointLabel], step: int) -> np.ndarray:
    """Return which cells of a grid of every `step`-th pixel the lines of numbers cross."""
    y, x = np.indices(shape)
    middles = step * (np.stack([x, y], -1) + 0.5)
    crossed = np.zeros(shape, bool)
    for label in labels:
        crossed |= segment_distance(middles, label.number, label.tip) < step
    return crossed


def _room_within(mask: np.ndarray, single: np.ndarray, width: float, height: float) -> np.ndarray | None:
    """Return the middle, x and y, of the free rectangle nearest to a bone's centroid; None if there is none."""
    if not mask.any():
        return None
    free = minimum_filter(mask & single, (_odd(height), _odd(width)), mode="constant", cval=False)
    places = np.argwhere(free)
    centroid = np.argwhere(mask).mean(0)
    return places[_length(places - centroid).argmin()][::-1] if len(places) else None


def _surface(result: WristResult, joint: JointSurface, masks: np.ndarray, step: int) -> np.ndarray:
    """Return x and y of the middle of a joint surface: the part of its bone that is nearest to the articulating bones.

    For a bone that is too small for the grid, this is the middle of the joint's box.
    """
    y, x = np.nonzero(masks[joint.bone])
    if len(x) == 0:
        box = result.boxes[joint.index]
        height, width = result.masks.shape[1:]
        return np.clip((box[:2] + box[2:]) / 2, 0, [width - 1, height - 1])
    others = masks[list(joint.articulating_bones)].any(0)
    distances = distance_transform_edt(~others)[y, x] if others.any() else np.zeros(len(x))
    near = np.stack([x, y], 1)[distances <= np.quantile(distances, NEAR)]
    return step * near[_length(near - near.mean(0)).argmin()].astype(float)


def _closed(bones: np.ndarray, gap: float) -> np.ndarray:
    """Return the bones with the gaps between them, up to a width in pixels: a morphological closing with a disc."""
    near = distance_transform_edt(~bones) <= gap / 2
    return near if near.all() else distance_transform_edt(near) > gap / 2


def _step(masks: np.ndarray) -> int:
    return -(-max(masks.shape[1:]) // GRID_SIDE)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.linalg.norm(vectors, axis=-1)


def _odd(length: float) -> int:
    return 2 * int(np.ceil(length / 2)) + 1


def _middles(length: int, room: float) -> np.ndarray:
    """Return the middles of the cells along one side, at least six of them."""
    count = max(int(length // room), 6)
    return (np.arange(count) + 0.5) * length / count


def _first_inside(mask: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return the first point of a bone on the way from a number to its joint."""
    way = np.linspace(start, end, int(_length(end - start)) + 2)
    x, y = way.astype(int).T
    return way[mask[y, x].argmax() if mask[y, x].any() else -1]
