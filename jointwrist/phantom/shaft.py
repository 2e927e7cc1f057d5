"""Long bones: the atlas surface at the joint end, continued as a tube to the head or out of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jointwrist.phantom.ray_depths import vertex_normals

RING = 40
#: Sections are fitted to the vertices of the level-4 icosphere, whatever the level of the mesh.
_FITTED = 2562


@dataclass(frozen=True)
class Shaft:
    """A long bone in the atlas frame, mm. Half-widths are (in the plane of the radiograph, along the ray).

    Attributes:
        base: Middle of the joint end.
        cut: Point on the axis up to which the atlas is used.
        shaft: Half-widths of the slender part.
        head: Half-widths of the far head; zeros for a shaft that leaves every frame.
        length: From the base to the far end.
        bow: Sideways bow of the shaft beyond the cut, in mm per mm.
    """

    base: tuple[float, float, float]
    cut: tuple[float, float, float]
    shaft: tuple[float, float]
    head: tuple[float, float]
    length: float
    bow: tuple[float, float, float] = (0.0, 0.0, 0.0)


#: Adult means. The length of the forearm bones is nominal: they leave every field of view.
SHAFTS = {
    "DistalRadius": Shaft((-11.0, -14.0, -4.0), (-13.4, -43.0, -8.0), (7.4, 6.2), (0, 0), 150.0, (0.05, 0.0, 0.05)),
    "DistalUlna": Shaft((11.0, -22.0, -3.0), (11.4, -42.0, -4.6), (5.6, 5.4), (0, 0), 150.0, (-0.02, 0.0, 0.05)),
    "Metacarpal1st": Shaft((-23.0, 14.5, 7.0), (-37.6, 40.5, 17.6), (5.2, 4.6), (8.0, 6.4), 46.0),
    "Metacarpal2nd": Shaft((-10.8, 14.5, -1.2), (-10.4, 41.0, -2.9), (4.2, 4.4), (7.6, 7.0), 67.0),
    "Metacarpal3rd": Shaft((0.6, 14.0, -1.6), (4.4, 40.0, -2.8), (4.3, 4.4), (7.6, 7.2), 64.0),
    "Metacarpal4th": Shaft((9.3, 13.0, 1.6), (16.2, 40.0, 3.6), (3.6, 3.8), (6.6, 6.4), 57.0),
    "Metacarpal5th": Shaft((15.8, 11.5, 7.6), (24.4, 36.0, 13.7), (3.9, 3.7), (6.4, 6.2), 53.0),
}


@dataclass
class LongBone:
    """Mesh of a long bone, its outward normals, and its frame: `axis` away from the joint end, `across`, `depth`.

    The part of the joint end inside the shaft is folded up near the axis; its normals are zero.
    """

    points: np.ndarray
    normals: np.ndarray
    faces: np.ndarray
    along: np.ndarray
    base: np.ndarray
    axis: np.ndarray
    across: np.ndarray
    depth: np.ndarray
    end: np.ndarray


def smoothstep(values: np.ndarray, start: float, stop: float) -> np.ndarray:
    """Return the cubic step that rises from 0 at `start` to 1 at `stop`."""
    t = np.clip((values - start) / (stop - start), 0, 1)
    return t * t * (3 - 2 * t)


def shaft_frame(axis: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the unit vectors across a shaft: in the plane of the radiograph, and nearest to the ray."""
    x, y, z = axis
    across = np.array([y, -x, 0.0]) / np.linalg.norm([y, -x, 0.0])
    # written out, as np.cross takes longer than all else that is done with a process
    return across, np.array([across[1] * z, -across[0] * z, across[0] * y - across[1] * x])


def _fourier(angles: np.ndarray) -> np.ndarray:
    return np.stack([np.ones_like(angles)] + [f(k * angles) for k in (1, 2, 3) for f in (np.cos, np.sin)], axis=-1)


def _sections(stops: np.ndarray, along: np.ndarray, angle: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Return Fourier coefficients (stops, 7) of closed sections fitted to the surface points near each stop."""
    basis = _fourier(angle)
    fits = []
    for stop in stops:
        weighted = np.exp(-0.5 * ((along - stop) / 2.5) ** 2)[:, None] * basis
        fits.append(np.linalg.solve(weighted.T @ basis + 1e-2 * np.eye(basis.shape[1]), weighted.T @ radius))
    return np.array(fits)


@lru_cache(maxsize=64)
def tube_faces(rings: int) -> np.ndarray:
    """Return the faces of `rings` rings of `RING` vertices, closed by a point at either end."""
    ring, step = np.meshgrid(np.arange(rings - 1), np.arange(RING), indexing="ij")
    a = ring * RING + step
    b = ring * RING + (step + 1) % RING
    sides = np.concatenate([np.stack([a, b + RING, b], -1), np.stack([a, a + RING, b + RING], -1)]).reshape(-1, 3)
    turn = np.arange(RING)
    first, last = np.full(RING, rings * RING), np.full(RING, rings * RING + 1)
    start = np.stack([first, turn, (turn + 1) % RING], 1)
    end = np.stack([(rings - 1) * RING + (turn + 1) % RING, (rings - 1) * RING + turn, last], 1)
    return np.concatenate([sides, start, end]).astype(np.int32)


def tube(centres: np.ndarray, across: np.ndarray, depth: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Return ring vertices, then the two end points; radii are (rings, RING, 2): across and along the ray."""
    rings = centres[:, None] + radii[..., :1] * across + radii[..., 1:] * depth
    return np.concatenate([rings.reshape(-1, 3), centres[[0, -1]]])


def _stops(shaft: Shaft, start: float, length: float) -> np.ndarray:
    """Return the positions of the tube's rings along the axis, dense where it is curved."""
    if not shaft.head[0]:
        return np.arange(start, length, 3.0)
    knob = float(np.mean(shaft.head))
    return np.concatenate(
        [
            np.arange(start, length - 3.0 * knob, 2.5),
            np.linspace(length - 3.0 * knob, length - knob, 9)[:-1],
            length - knob + knob * np.sin(np.linspace(0, 0.48 * np.pi, 9)),
        ]
    )


def long_bone(points: np.ndarray, faces: np.ndarray, shaft: Shaft, length: float, stout: float) -> LongBone:
    """Continue an atlas surface (V, 3) beyond its cut.

    Args:
        points: Surface in the atlas frame.
        faces: Faces of the surface, facing outwards.
        shaft: Shaft by which it is continued.
        length: From base to far end in mm.
        stout: Factor of the shaft's half-widths.
    """
    base, cut = np.array(shaft.base), np.array(shaft.cut)
    axis = (cut - base) / np.linalg.norm(cut - base)
    across, depth = shaft_frame(axis)
    reach = float(np.dot(cut - base, axis))
    relative = points - base
    along = relative @ axis
    u, v = relative @ across, relative @ depth
    angle, radius = np.arctan2(v, u), np.hypot(u, v)
    fitted_at = np.linspace(reach - 18, reach - 2, 7)
    near = np.flatnonzero(np.abs(along[:_FITTED] - (reach - 10)) < 14)
    fits = _sections(fitted_at, along[near], angle[near], radius[near])

    def section(at: np.ndarray) -> np.ndarray:
        return np.stack([np.interp(at, fitted_at, column) for column in fits.T], 1)

    normals = vertex_normals(points, faces)
    joint_end = points.copy()
    late = np.flatnonzero(along > reach - 18)
    folded = along[late] > reach - 3
    clamped = np.where(folded, reach - 3, along[late])
    fitted = np.einsum("vk,vk->v", _fourier(angle[late]), section(clamped))
    weight = smoothstep(clamped, reach - 18, reach - 8)
    wide = np.where(folded, 0.3 * fitted, (1 - weight) * radius[late] + weight * fitted)
    outwards = np.cos(angle[late])[:, None] * across + np.sin(angle[late])[:, None] * depth
    joint_end[late] = base + clamped[:, None] * axis + wide[:, None] * outwards
    bent = (1 - weight[:, None]) * normals[late] + weight[:, None] * outwards
    normals[late] = np.where(folded[:, None], 0.0, bent / np.linalg.norm(bent, axis=1, keepdims=True))
    along[late] = clamped

    stops = _stops(shaft, reach - 8, length)
    turn = 2 * np.pi * np.arange(RING) / RING
    circle = np.stack([np.cos(turn), np.sin(turn)], 1)
    far = np.broadcast_to(stout * np.array(shaft.shaft) * circle, (len(stops), RING, 2))
    if shaft.head[0]:
        knob = float(np.mean(shaft.head))
        flare = smoothstep(stops, length - 3.2 * knob, length - 1.0 * knob)[:, None, None]
        round_end = np.sqrt(1 - np.clip((stops - (length - knob)) / knob, 0, 0.999) ** 2)[:, None, None]
        far = ((1 - flare) * far + flare * np.array(shaft.head) * circle) * round_end
    close = (section(stops) @ _fourier(turn).T)[..., None] * circle
    blend = smoothstep(stops, reach - 4, reach + 12)[:, None, None]
    beyond = np.clip(stops - reach, 0, None) * smoothstep(stops, reach, reach + 25)
    centres = base + stops[:, None] * axis + beyond[:, None] * np.array(shaft.bow)
    shaft_points = tube(centres, across, depth, (1 - blend) * close + blend * far)
    shaft_faces = tube_faces(len(stops))
    shaft_normals = vertex_normals(shaft_points, shaft_faces)
    shaft_normals[:RING] = shaft_normals[RING : 2 * RING]
    shaft_normals[-2] = 0.0
    return LongBone(
        points=np.concatenate([joint_end, shaft_points]),
        normals=np.concatenate([normals, shaft_normals]),
        faces=np.concatenate([faces, shaft_faces + len(points)]),
        along=np.concatenate([along, np.repeat(stops, RING), stops[[0, -1]]]),
        base=base,
        axis=axis,
        across=across,
        depth=depth,
        end=centres[-1],
    )


def phalanx(bone: LongBone, axis: np.ndarray, half_width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points and faces of the proximal phalanx beyond a metacarpal's head."""
    stops = np.array([0.0, 0.6, 2.0, 5.0, 9.0, 14.0, 20.0, 27.0, 32.0, 36.0, 38.0])
    widths = np.array([0.75, 0.93, 1.0, 0.91, 0.71, 0.6, 0.57, 0.68, 0.76, 0.66, 0.38]) * half_width
    turn = 2 * np.pi * np.arange(RING) / RING
    radii = widths[:, None, None] * np.stack([np.cos(turn), 0.75 * np.sin(turn)], 1)
    centres = bone.end + (1.2 + stops)[:, None] * axis
    return tube(centres, *shaft_frame(axis), radii), tube_faces(len(stops))
