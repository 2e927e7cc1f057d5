"""Bone surfaces of the atlas: spherical-harmonic coefficients and the meshes that they span."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.special import sph_harm_y

ATLAS_FILE = Path(__file__).with_name("wrist_bones_sh.json")
DEGREE = 10


@dataclass(frozen=True)
class Atlas:
    """Bone surfaces `centre + axes @ (r(d) d)`, d a unit direction and r a sum of real spherical harmonics.

    Right hand in mm: x from radial to ulnar, y from proximal to distal, z from dorsal to palmar.

    Attributes:
        names: Bone names.
        centres: (N, 3).
        axes: (N, 3, 3).
        harmonics: (N, 121), degree 0 to 10.
    """

    names: tuple[str, ...]
    centres: np.ndarray
    axes: np.ndarray
    harmonics: np.ndarray


@lru_cache(maxsize=1)
def load_atlas() -> Atlas:
    """Read the atlas; its credit and licence stand in the data file."""
    bones = json.loads(ATLAS_FILE.read_text(encoding="utf-8"))["bones"]
    return Atlas(
        tuple(bones),
        np.array([bone["center_mm"] for bone in bones.values()]),
        np.array([bone["axes_mm"] for bone in bones.values()]),
        np.array([bone["sh"] for bone in bones.values()]),
    )


@lru_cache(maxsize=4)
def icosphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vertices (V, 3) and faces (F, 3) of an icosahedron subdivided `level` times.

    The vertices of a level are the first vertices of the next one.
    """
    golden = (1 + 5**0.5) / 2
    corners = [(s, t * golden, 0.0) for t in (1, -1) for s in (-1, 1)]
    vertices = [tuple(np.roll(corner, shift)) for shift in range(3) for corner in corners]
    vertices = [np.array(v) / np.linalg.norm(v) for v in vertices]
    points = np.array(vertices)
    edge = np.min(np.linalg.norm(points[1:] - points[0], axis=1)) * 1.01
    near = np.linalg.norm(points[:, None] - points[None], axis=2) < edge
    faces = [
        (a, b, c) if np.dot(np.cross(points[b] - points[a], points[c] - points[a]), points[a]) > 0 else (a, c, b)
        for a in range(12)
        for b in range(a + 1, 12)
        for c in range(b + 1, 12)
        if near[a, b] and near[b, c] and near[a, c]
    ]
    for _ in range(level):
        middles: dict[tuple[int, int], int] = {}

        def middle(a: int, b: int, middles: dict[tuple[int, int], int] = middles) -> int:
            key = (min(a, b), max(a, b))
            if key not in middles:
                point = vertices[a] + vertices[b]
                middles[key] = len(vertices)
                vertices.append(point / np.linalg.norm(point))
            return middles[key]

        split = []
        for a, b, c in faces:
            ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
            split += [(a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca)]
        faces = split
    return np.array(vertices), np.array(faces, np.int32)


@lru_cache(maxsize=4)
def harmonic_basis(level: int) -> np.ndarray:
    """Return the real orthonormal spherical harmonics of degree 0 to 10 at the icosphere's vertices, (V, 121)."""
    directions, _ = icosphere(level)
    theta, phi = np.arccos(np.clip(directions[:, 2], -1, 1)), np.arctan2(directions[:, 1], directions[:, 0])
    columns = []
    for degree in range(DEGREE + 1):
        for order in range(-degree, degree + 1):
            values = sph_harm_y(degree, abs(order), theta, phi)
            part = values.imag if order < 0 else values.real
            columns.append(part * (1 if order == 0 else 2**0.5))
    return np.stack(columns, 1)


def harmonic_degrees() -> np.ndarray:
    """Return the degree of each of the 121 coefficients."""
    return np.repeat(np.arange(DEGREE + 1), 2 * np.arange(DEGREE + 1) + 1)


def surfaces(harmonics: np.ndarray, level: int) -> np.ndarray:
    """Return the surface points (N, V, 3) of all atlas bones for coefficients (N, 121), in mm."""
    atlas = load_atlas()
    radii = harmonic_basis(level) @ harmonics.T
    directions, _ = icosphere(level)
    rotated = np.einsum("nij,vj->nvi", atlas.axes, directions)
    return atlas.centres[:, None] + radii.T[..., None] * rotated
