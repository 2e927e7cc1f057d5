"""Details missing from the atlas: processes of the long bones, and varied widths of the metacarpals.

A process (ulnar styloid, lip of the ulnar notch, tubercle of a base, condyle of a head) is an ellipsoid that is part of
its bone. Most of them are thin along the ray, and so fainter than the bone's rim.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from jointwrist.phantom.atlas import icosphere
from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.pose import FINGERS
from jointwrist.phantom.ray_depths import vertex_normals
from jointwrist.phantom.shaft import shaft_frame

METACARPALS = ("Metacarpal1st", *FINGERS)


@dataclass(frozen=True)
class _Range:
    """Uniform ranges in mm of centre and half-axes: along the shaft, across it (outwards), along the ray."""

    centre: tuple[tuple[float, float], ...]
    half: tuple[tuple[float, float], ...]


_STYLOID = _Range(((-1.5, 6.0), (3.0, 6.5), (-3.0, 3.0)), ((3.0, 8.0), (1.4, 2.8), (1.0, 3.0)))
_BORDER = _Range(((2.0, 14.0), (4.5, 7.0), (-3.0, 3.0)), ((5.0, 12.0), (1.2, 2.5), (0.6, 2.0)))
_RIM = _Range(((0.0, 10.0), (3.5, 6.5), (-3.0, 3.0)), ((4.0, 10.0), (2.0, 3.5), (0.5, 1.5)))
_NOTCH = _Range(((6.0, 18.0), (10.5, 13.5), (-4.0, 4.0)), ((4.0, 8.0), (2.5, 4.5), (1.5, 4.5)))
_TUBERCLE = _Range(((-1.0, 7.0), (2.5, 5.5), (-2.0, 2.0)), ((3.0, 6.5), (2.0, 3.5), (0.8, 2.5)))
_FLANGE = _Range(((0.0, 8.0), (2.5, 4.5), (-2.0, 2.0)), ((2.5, 6.0), (1.5, 2.5), (0.7, 2.0)))
_CONDYLE = _Range(((-10.0, -5.0), (2.5, 5.5), (-3.0, 3.0)), ((3.0, 5.5), (2.0, 3.5), (1.5, 4.0)))


#: Range of the factors by which metacarpals are wider than the atlas; the fifth may show its broad side.
_WIDTH, _WIDTH_OF_FIFTH = (0.85, 1.35), (0.85, 1.9)


def broaden(body: Body, strength: float, rng: np.random.Generator) -> Body:
    """Return a metacarpal with changed widths at base and head; other bones are unchanged."""
    if body.name not in METACARPALS or not strength:
        return body
    low, high = _WIDTH_OF_FIFTH if body.name == METACARPALS[-1] else _WIDTH
    base, head = 1 + strength * (rng.uniform(low, high, 2) - 1)
    across, _ = shaft_frame(body.axis)
    share = np.clip(body.along / body.along.max(), 0, 1)
    wider = ((1 - share) * base + share * head - 1)[:, None] * across

    def stretched(points: np.ndarray) -> np.ndarray:
        return points + ((points - body.base) @ across)[:, None] * wider

    return replace(body, points=stretched(body.points), marrow=stretched(body.marrow))


def _process(bone: Body, origin: np.ndarray, where: _Range, side: int, rng: np.random.Generator) -> Body:
    directions, faces = icosphere(2)
    across, depth = shaft_frame(bone.axis)
    frame = np.stack([bone.axis, across * (side if across[0] > 0 else -side), depth])
    centre = origin + rng.uniform(*np.transpose(where.centre)) @ frame
    lean = np.radians(rng.normal(0, 12))
    tilted = np.array([[np.cos(lean), np.sin(lean), 0], [-np.sin(lean), np.cos(lean), 0], [0, 0, 1]]) @ frame
    points = centre + (directions * rng.uniform(*np.transpose(where.half))) @ tilted
    if np.linalg.det(tilted) < 0:
        faces = faces[:, ::-1]
    marrow = points - rng.uniform(0.1, 0.35) * vertex_normals(points, faces)
    along = np.zeros(len(points))
    return Body("Process", bone.channel, points, marrow, faces, along, bone.axis, points.mean(0), bone.name)


def draw_relief(bodies: list[Body], strength: float, rng: np.random.Generator) -> list[Body]:
    """Return processes of the bones of a patient, in the atlas frame.

    Args:
        bodies: Bones in the atlas frame.
        strength: Probability of each process.
        rng: Separate random generator.
    """
    by_name = {body.name: body for body in bodies}
    radius, ulna, fifth = by_name["DistalRadius"], by_name["DistalUlna"], by_name["Metacarpal5th"]
    places = [(ulna, ulna.base, where, 1) for where in (_STYLOID, _BORDER, _RIM)]
    places += [(radius, radius.base, _NOTCH, 1), (fifth, fifth.base, _TUBERCLE, 1)]
    for name in METACARPALS:
        bone = by_name[name]
        head = bone.points[np.argmax(bone.along)]
        for side in (-1, 1):
            places += [(bone, bone.base, _FLANGE, side), (bone, head, _CONDYLE, side)]
    drawn = rng.random(len(places)) < strength
    return [_process(*place, rng) for place, there in zip(places, drawn, strict=True) if there]
