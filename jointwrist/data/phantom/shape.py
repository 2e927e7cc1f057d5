"""Bones of one patient: atlas surfaces disturbed, shafts continued beyond the atlas' cut, cortical thickness."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from jointwrist.anatomy import BONES
from jointwrist.data.phantom.atlas import harmonic_degrees, icosphere, load_atlas, surfaces
from jointwrist.data.phantom.raster import outward

UNLABELLED = -1
_CHANNEL = {name: bone.index for bone in BONES for name in bone.atlas}


@dataclass
class Body:
    """One closed bone surface.

    Attributes:
        name: Atlas name, or a name of its own for a bone without a label.
        channel: Mask channel, `UNLABELLED` for none.
        points: (V, 3) mm; the first 642 vertices of an atlas bone are those of the level-3 icosphere.
        faces: (F, 3) int32.
        cortex: (V,) cortical thickness in mm.
        along: (V,) distance from the joint end along the shaft in mm; 0 in bones without a shaft.
        axis: Unit vector along the shaft, away from the joint end.
        base: Centre of the joint end, or of the bone.
        group: Bone with which an unlabelled bone moves.
    """

    name: str
    channel: int
    points: np.ndarray
    faces: np.ndarray
    cortex: np.ndarray
    along: np.ndarray
    axis: np.ndarray
    base: np.ndarray
    group: str = ""
    extras: dict[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True)
class _Shaft:
    """A long bone in the atlas frame, mm: where the atlas is trusted up to, and how the shaft goes on.

    Half-widths are (in the plane of the film, along the ray).
    """

    base: tuple[float, float, float]
    cut: tuple[float, float, float]
    shaft: tuple[float, float]
    head: tuple[float, float]
    length: float
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0)


#: Lengths and half-widths are adult means; the forearm bones leave every field of view, so their length is nominal.
_SHAFTS = {
    "DistalRadius": _Shaft((-11.0, -14.0, -4.0), (-13.2, -38.0, -7.5), (7.6, 6.2), (0, 0), 160.0, (0.10, 0.0, 0.1)),
    "DistalUlna": _Shaft((11.0, -22.0, -3.0), (11.3, -38.0, -4.2), (5.4, 5.4), (0, 0), 160.0, (-0.02, 0.0, 0.1)),
    "Metacarpal1st": _Shaft((-23.0, 14.5, 7.0), (-36.6, 38.5, 17.0), (5.0, 4.6), (7.8, 6.4), 45.0),
    "Metacarpal2nd": _Shaft((-10.8, 14.5, -1.2), (-10.5, 37.0, -2.6), (4.1, 4.4), (7.3, 7.0), 67.0),
    "Metacarpal3rd": _Shaft((0.6, 14.0, -1.6), (4.0, 37.0, -2.8), (4.1, 4.4), (7.3, 7.2), 64.0),
    "Metacarpal4th": _Shaft((9.3, 13.0, 1.6), (15.8, 37.0, 3.4), (3.5, 3.8), (6.4, 6.4), 57.0),
    "Metacarpal5th": _Shaft((15.8, 11.5, 7.6), (25.0, 37.0, 14.5), (3.7, 3.7), (6.2, 6.2), 53.0),
}
_FOREARM_RING_STEP = 3.0
_RING = 40


def patient_harmonics(rng: np.random.Generator, variation: float) -> np.ndarray:
    """Return the atlas coefficients of one patient, (N, 121): low degrees disturbed, sizes varied."""
    atlas = load_atlas()
    degrees = harmonic_degrees()
    spread = np.where((degrees > 0) & (degrees <= 6), 0.075 / (1.0 + degrees) ** 1.3, 0.0)
    long = np.isin(atlas.names, list(_SHAFTS))[:, None]
    mean = atlas.harmonics * np.where(long, np.exp(-((degrees / 7.5) ** 4)), 1.0)
    disturbed = mean + variation * spread * rng.standard_normal(atlas.harmonics.shape)
    scale = 1 + 0.035 * variation * np.clip(rng.standard_normal((len(atlas.names), 1)), -2, 2)
    return disturbed * scale


def _smoothstep(values: np.ndarray, start: float, stop: float) -> np.ndarray:
    t = np.clip((values - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def _frame(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors across the shaft: in the plane of the film, and nearest to the ray."""
    across = np.cross(axis, (0.0, 0.0, 1.0))
    across /= np.linalg.norm(across)
    return across, np.cross(across, axis)


def _section(angles: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Fit a closed section r(angle) by a Fourier series of order 3; return its 7 coefficients."""
    return np.linalg.lstsq(_fourier(angles), radii, rcond=None)[0]


def _fourier(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(angles)] + [f(k * angles) for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=-1)


def _tube_faces(rings: int) -> np.ndarray:
    """Return the faces of `rings` rings of `_RING` vertices, closed by a point at either end."""
    ring, step = np.meshgrid(np.arange(rings - 1), np.arange(_RING), indexing="ij")
    a = ring * _RING + step
    b = ring * _RING + (step + 1) % _RING
    sides = np.concatenate([np.stack([a, b, b + _RING], -1), np.stack([a, b + _RING, a + _RING], -1)]).reshape(-1, 3)
    turn = np.arange(_RING)
    first, last = rings * _RING, rings * _RING + 1
    start = np.stack([np.full(_RING, first), (turn + 1) % _RING, turn], 1)
    end = (rings - 1) * _RING + np.stack([turn, (turn + 1) % _RING], 1)
    end = np.concatenate([end, np.full((_RING, 1), last)], 1)
    return np.concatenate([sides, start, end]).astype(np.int32)


def _tube(
    centres: np.ndarray, across: np.ndarray, depth: np.ndarray, radii: np.ndarray, ends: np.ndarray
) -> np.ndarray:
    """Return ring vertices, then the two end points; radii are (rings, _RING, 2): across and along the ray."""
    rings = centres[:, None] + radii[..., :1] * across + radii[..., 1:] * depth
    return np.concatenate([rings.reshape(-1, 3), ends])


def _long_bone(points: np.ndarray, faces: np.ndarray, shaft: _Shaft, length: float, stout: float) -> tuple:
    base, cut = np.array(shaft.base), np.array(shaft.cut)
    axis = (cut - base) / np.linalg.norm(cut - base)
    across, depth = _frame(axis)
    reach = float(np.dot(cut - base, axis))
    relative = points - base
    along = relative @ axis
    u, v = (relative - along[:, None] * axis) @ across, (relative - along[:, None] * axis) @ depth
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    near = np.abs(along - (reach - 4)) < 4
    section = _section(angle[near], radius[near])
    fitted = _fourier(angle) @ section
    weight = _smoothstep(along, reach - 14, reach - 7)
    radius = np.where(along > reach, np.minimum(radius, 0.98 * fitted), (1 - weight) * radius + weight * fitted)
    clamped = np.minimum(along, reach)
    body = (
        base
        + clamped[:, None] * axis
        + radius[:, None] * (np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * depth)
    )

    turn = 2 * np.pi * np.arange(_RING) / _RING
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    start = (_fourier(turn) @ section)[:, None] * circle
    slender = stout * np.array(shaft.shaft) * circle
    if shaft.head[0]:
        head = np.array(shaft.head)
        knob = head.mean()
        stops = np.concatenate(
            [np.arange(reach - 7, length - 2 * knob, 3.0), np.linspace(length - 2 * knob, length, 14)]
        )
        flare = _smoothstep(stops, length - 2.9 * knob, length - 1.1 * knob)[:, None, None]
        dome = np.sqrt(np.clip(1 - np.clip((stops - (length - knob)) / knob, 0, 0.985) ** 2, 0, 1))[:, None, None]
        far = ((1 - flare) * slender + flare * head * circle) * dome
    else:
        stops = np.arange(reach - 7, length, _FOREARM_RING_STEP)
        far = np.broadcast_to(slender, (len(stops), _RING, 2))
    blend = _smoothstep(stops, reach, reach + 14)[:, None, None]
    radii = (1 - blend) * start + blend * far
    bend = (
        np.clip(stops - reach, 0, None)[:, None] * _smoothstep(stops, reach, reach + 25)[:, None] * np.array(shaft.bend)
    )
    centres = base + stops[:, None] * axis + bend
    ends = np.stack([centres[0] - axis, centres[-1]])
    tube = _tube(centres, across, depth, radii, ends)
    all_along = np.concatenate([clamped, np.repeat(stops, _RING), stops[[0, -1]]])
    all_faces = np.concatenate([outward(body, faces), outward(tube, _tube_faces(len(stops))) + len(points)])
    return np.concatenate([body, tube]), all_faces, all_along, axis, base, centres[-1], across, depth


def _ellipsoid(centre: np.ndarray, radii: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    directions, faces = icosphere(2)
    return centre + (directions * radii) @ frame, faces


def _plain(name: str, points: np.ndarray, faces: np.ndarray, cortex: float, group: str) -> Body:
    size = len(points)
    centre = points.mean(0)
    faces = outward(points, faces)
    return Body(
        name, UNLABELLED, points, faces, np.full(size, cortex), np.zeros(size), np.array([0.0, 1.0, 0.0]), centre, group
    )


def _phalanx(end: np.ndarray, axis: np.ndarray, across: np.ndarray, depth: np.ndarray, scale: float) -> tuple:
    """Return a proximal phalanx that continues a metacarpal beyond its head."""
    stops = np.array([0.0, 0.6, 2.0, 5.0, 9.0, 14.0, 20.0, 27.0, 32.0, 36.0, 38.0])
    widths = np.array([6.0, 7.4, 7.9, 7.2, 5.6, 4.7, 4.5, 5.4, 6.0, 5.2, 3.0]) * scale
    turn = 2 * np.pi * np.arange(_RING) / _RING
    radii = widths[:, None, None] * np.stack([np.cos(turn), 0.75 * np.sin(turn)], 1)
    centres = end + (1.2 + stops)[:, None] * axis
    points = _tube(centres, across, depth, radii, np.stack([centres[0], centres[-1]]))
    return points, _tube_faces(len(stops)), stops


def build_bodies(harmonics: np.ndarray, rng: np.random.Generator, level: int, variation: float) -> list[Body]:
    """Return the bones of a patient in the atlas frame, right hand, mm.

    Args:
        harmonics: Coefficients of `patient_harmonics`.
        rng: The patient's generator; the same draws for every level.
        level: Subdivision of the icosphere.
        variation: Strength of the variation.
    """
    atlas = load_atlas()
    points = surfaces(harmonics, level)
    _, faces = icosphere(level)
    shaft_cortex = rng.uniform(1.3, 2.7)
    thin_cortex = rng.uniform(0.32, 0.6)
    stout = rng.normal(1, 0.06 * variation)
    bodies = []
    for name, surface in zip(atlas.names, points, strict=True):
        channel = _CHANNEL[name]
        if name not in _SHAFTS:
            cortex = np.full(len(surface), thin_cortex * rng.uniform(0.85, 1.2))
            turned = outward(surface, faces)
            bodies.append(
                Body(
                    name,
                    channel,
                    surface,
                    turned,
                    cortex,
                    np.zeros(len(surface)),
                    np.array([0.0, 1.0, 0.0]),
                    surface.mean(0),
                )
            )
            continue
        shaft = _SHAFTS[name]
        length = shaft.length * rng.normal(1, 0.03 * variation)
        verts, all_faces, along, axis, base, end, across, depth = _long_bone(surface, faces, shaft, length, stout)
        forearm = not shaft.head[0]
        thick = shaft_cortex * (1.15 if forearm else 0.9)
        cortex = thin_cortex + (thick - thin_cortex) * _smoothstep(along, 6 if forearm else 4, 42 if forearm else 26)
        if not forearm:
            cortex *= 1 - 0.75 * _smoothstep(along, length - 20, length - 8)
        bodies.append(Body(name, channel, verts, all_faces, cortex, along, axis, base))
        if not forearm:
            tilt = (
                axis + rng.normal(0, 0.12 * variation, 3) + (np.array([-0.1, 0.25, 0.0]) if name.endswith("1st") else 0)
            )
            tilt /= np.linalg.norm(tilt)
            points_p, faces_p, _ = _phalanx(end, tilt, *_frame(tilt), shaft.head[0] / 7.0 * rng.uniform(0.9, 1.05))
            bodies.append(_plain("Phalanx" + name[-3:], points_p, faces_p, 0.8, name))
        if name == "Metacarpal1st":
            for side in (-1, 1):
                centre = end - 5.5 * axis + depth * 9.0 + side * across * rng.uniform(3.5, 6.0)
                radii = rng.uniform(1.8, 3.0, 3)
                bodies.append(
                    _plain("Sesamoid", *_ellipsoid(centre, radii, np.stack([across, axis, depth])), 0.5, name)
                )
    return bodies
