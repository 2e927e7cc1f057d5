"""Ankylosis: fused bones, with spongy bone in place of joint space and joint contours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from jointwrist.phantom.bone_shape import COARSE, Body
from jointwrist.phantom.joints import ARTICULATIONS

#: Bones that fuse first in rheumatoid arthritis; the first two seeds of a fused block are drawn from them.
_CARPUS = ("Capitate", "Hamate", "Lunate", "Triquetrum", "Scaphoid", "Trapezoid", "Trapezium")
_BASES = ("Metacarpal2nd", "Metacarpal3rd")
#: Bone this much farther from its neighbour than the nearest point still fuses with it, and how far over the fusion
#: fades, in mm; by how much fused bones grow into each other.
_FACING_MM, _FADE_MM, _INTO_MM = 3.5, 1.5, 0.35


def draw_fused(rng: np.random.Generator) -> list[tuple[str, str]]:
    """Draw the articulations of a block of two to eight bones that are fused."""
    pairs = [
        pair for pair in ARTICULATIONS if all(name in (*_CARPUS, *_BASES) for name in pair) and pair[0] not in _BASES
    ]
    radius = rng.random() < 0.25
    pairs += [pair for pair in ARTICULATIONS if pair[0] == "DistalRadius"] if radius else []
    block, count = {str(rng.choice(_CARPUS[:5]))}, int(rng.integers(2, 9))
    fused: list[tuple[str, str]] = []
    while len(block) < count:
        border = [pair for pair in pairs if (pair[0] in block) != (pair[1] in block)]
        if not border:
            break
        block.update(border[int(rng.integers(len(border)))])
    for pair in pairs:
        if pair[0] in block and pair[1] in block:
            fused.append(pair)
    return fused


def fuse(bodies: list[Body], pairs: list[tuple[str, str]]) -> list[Body]:
    """Return the bodies, radiograph frame, fused at the given articulations; others are unchanged."""
    places = {body.name: k for k, body in enumerate(bodies) if body.name == body.group}
    before = list(bodies)
    bodies = list(bodies)
    for pair in pairs:
        for name, other in (pair, pair[::-1]):
            place = places[name]
            bodies[place] = _grown_towards(bodies[place], before[place], before[places[other]])
    return bodies


def _grown_towards(body: Body, before: Body, neighbour: Body) -> Body:
    """Return a bone extended half way to its neighbour, without cortex, where the two face each other."""
    distance, nearest = cKDTree(neighbour.points[:COARSE]).query(before.points)
    share = np.clip((distance.min() + _FACING_MM + _FADE_MM - distance) / _FADE_MM, 0, 1)[:, None]
    step = neighbour.points[nearest] - before.points
    length = np.linalg.norm(step, axis=1, keepdims=True)
    growth = share * step * (0.5 + _INTO_MM / np.maximum(length, 0.5))
    return replace(
        body,
        points=body.points + growth,
        marrow=body.marrow + growth + share * (body.points - body.marrow),
    )
