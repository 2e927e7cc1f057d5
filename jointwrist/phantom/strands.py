"""Soft-tissue structures that resemble thin bone: skin and fat pads, tendons, and fat planes."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from jointwrist.phantom.bone_shape import Body

#: Where pads of skin and fat overlap: the bone, and the range in mm along it.
_PADS = (
    ("Metacarpal1st", -25, 5),
    ("Metacarpal1st", -10, 20),
    ("DistalRadius", -12, 12),
    ("Metacarpal5th", -25, 5),
    ("DistalUlna", -15, 12),
)


def _pads(by_name: dict[str, Body], strength: float, scale: float, rng: np.random.Generator) -> list[list[float]]:
    pads = []
    for name, first, last in _PADS:
        if rng.random() < strength:
            bone = by_name[name]
            start = (bone.base + bone.axis * rng.uniform(first, last) * scale)[:2] + rng.normal(0, 5 * scale, 2)
            angle = rng.uniform(0, 2 * np.pi)
            end = start + rng.uniform(6, 25) * scale * np.array([np.cos(angle), np.sin(angle)])
            pads.append([*start, *end, *(rng.uniform(2, 10, 2) * scale), rng.uniform(2, 12)])
    return pads


@dataclass(frozen=True)
class _Strand:
    """A tendon or a plane of fat between two bones; uniform ranges in mm.

    Attributes:
        start: Bone, range along it from its joint end, and towards the thumb.
        end: The same for the other end.
        half_width: Half the width at either end.
        thickness: Thickness that it adds along the ray; negative for a fat plane.
    """

    start: tuple[str, tuple[float, float], tuple[float, float]]
    end: tuple[str, tuple[float, float], tuple[float, float]]
    half_width: tuple[float, float]
    thickness: tuple[float, float]


#: Tendons of the abductor and extensors of the thumb, of the ulnar extensor and flexor, and of the flexors of the
#: fingers; then fat planes next to scaphoid and radius, along the tendons of the thumb, and next to the ulna.
_STRANDS = (
    _Strand(("DistalRadius", (15, 45), (9, 17)), ("Metacarpal1st", (-8, 8), (0, 6)), (2.0, 5.5), (2, 9)),
    _Strand(("DistalRadius", (0, 30), (-4, 12)), ("Metacarpal1st", (0, 25), (-6, 6)), (1.5, 4.0), (1, 6)),
    _Strand(("DistalUlna", (15, 45), (-12, -2)), ("Metacarpal5th", (-8, 8), (-8, 0)), (2.0, 5.0), (2, 8)),
    _Strand(("DistalRadius", (15, 45), (-14, 2)), ("Metacarpal3rd", (0, 40), (-8, 8)), (5.0, 12.0), (1, 6)),
    _Strand(("DistalRadius", (-4, 8), (10, 16)), ("Metacarpal1st", (-22, -8), (-4, 4)), (0.5, 1.5), (-5, -1)),
    _Strand(("DistalRadius", (5, 35), (11, 19)), ("Metacarpal1st", (-12, 5), (2, 9)), (0.5, 2.5), (-4, -0.5)),
    _Strand(("DistalUlna", (5, 35), (-14, -6)), ("Metacarpal5th", (-15, 5), (-9, -2)), (0.5, 2.5), (-4, -0.5)),
)


def draw_strands(bodies: list[Body], strength: float, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return up to five pads at the borders of the wrist, and up to seven tendons and fat planes next to the bones.

    Args:
        bodies: Bones in the radiograph frame.
        strength: Probability of each.
        scale: Size of the hand.
        rng: Separate random generator.

    Returns:
        (N, 7) tapered capsules (ax, ay, bx, by, ra, rb, thickness) in mm; the thickness of fat is negative.
    """
    by_name = {body.name: body for body in bodies}
    flank = flank_of(by_name, scale)[:2]

    def place(bone: str, along: tuple[float, float], across: tuple[float, float]) -> np.ndarray:
        body = by_name[bone]
        return body.base[:2] + scale * (rng.uniform(*along) * body.axis[:2] + rng.uniform(*across) * flank)

    strands = _pads(by_name, strength, scale, rng)
    for strand in _STRANDS:
        if rng.random() < strength:
            widths, thickness = rng.uniform(*strand.half_width, 2) * scale, rng.uniform(*strand.thickness)
            strands.append([*place(*strand.start), *place(*strand.end), *widths, thickness])
    return np.array(strands).reshape(-1, 7)


def flank_of(bodies: dict[str, Body], scale: float) -> np.ndarray:
    """Return the direction from the ulna to the radius on the radiograph, (3,), of length 1."""
    radius, ulna = bodies["DistalRadius"], bodies["DistalUlna"]
    flank = radius.base + radius.axis * 6 * scale - (ulna.base + ulna.axis * 2 * scale)
    flank = np.array([*flank[:2], 0.0])
    return flank / np.linalg.norm(flank)


@numba.njit(cache=True, fastmath=True, inline="always")
def capsule_depth(x: float, y: float, part: np.ndarray) -> float:
    """Return the depth (positive inside) below the surface of a tapered capsule (ax, ay, bx, by, ra, rb)."""
    dx, dy = part[2] - part[0], part[3] - part[1]
    t = ((x - part[0]) * dx + (y - part[1]) * dy) / max(dx * dx + dy * dy, 1e-6)
    t = min(max(t, 0.0), 1.0)
    u, v = x - part[0] - t * dx, y - part[1] - t * dy
    return part[4] + t * (part[5] - part[4]) - np.sqrt(u * u + v * v)


@numba.njit(cache=True, fastmath=True)
def strand_thickness(strands: np.ndarray, size: int, spacing: float) -> np.ndarray:
    """Return the soft-tissue thickness added by the rows of `draw_strands`, (size, size) float32 in mm."""
    added = np.zeros((size, size), np.float32)
    for k in range(strands.shape[0]):
        ax, ay, bx, by, ra, rb, thick = strands[k]
        reach = max(ra, rb)
        top, left = max(int((min(ay, by) - reach) / spacing), 0), max(int((min(ax, bx) - reach) / spacing), 0)
        for i in range(top, min(int((max(ay, by) + reach) / spacing) + 1, size)):
            for j in range(left, min(int((max(ax, bx) + reach) / spacing) + 1, size)):
                depth = capsule_depth((j + 0.5) * spacing, (i + 0.5) * spacing, strands[k]) / ra
                edge = 1 - min(max(depth, 0.0), 1.0)
                added[i, j] += thick * np.sqrt(1 - edge * edge)
    return added
