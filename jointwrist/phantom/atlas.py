"""Bone surfaces of the atlas: spherical-harmonic coefficients and the meshes that they span."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from scipy.spatial import ConvexHull
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
    """Read the atlas; its credit and licence are in the data file."""
    bones = json.loads(ATLAS_FILE.read_text(encoding="utf-8"))["bones"]
    return Atlas(
        tuple(bones),
        np.array([bone["center_mm"] for bone in bones.values()]),
        np.array([bone["axes_mm"] for bone in bones.values()]),
        np.array([bone["sh"] for bone in bones.values()]),
    )


@lru_cache(maxsize=8)
def _subdivided(level: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return vertices, outward faces and, for each vertex new at this level, the ends of the edge that it divides."""
    if level == 0:
        golden = (1 + 5**0.5) / 2
        corners = np.array([(s, t * golden, 0.0) for t in (1, -1) for s in (-1, 1)])
        points = np.concatenate([np.roll(corners, shift, axis=1) for shift in range(3)])
        hull = ConvexHull(points).simplices
        a, b, c = (points[hull[:, k]] for k in range(3))
        inward = np.einsum("ij,ij->i", np.cross(b - a, c - a), a) < 0
        hull[inward] = hull[inward][:, ::-1]
        return points / np.linalg.norm(points[0]), hull.astype(np.int32), np.zeros((0, 2), int)
    points, faces, _ = _subdivided(level - 1)
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    unique, which = np.unique(edges, axis=0, return_inverse=True)
    middles = points[unique].mean(1)
    middles /= np.linalg.norm(middles, axis=1, keepdims=True)
    ab, bc, ca = len(points) + which.reshape(-1, 3).T
    a, b, c = faces.T
    split = np.concatenate([np.stack(f, 1) for f in ((a, ab, ca), (b, bc, ab), (c, ca, bc), (ab, bc, ca))])
    return np.concatenate([points, middles]), split.astype(np.int32), unique


def icosphere(level: int) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vertices (V, 3) and outward faces (F, 3) of an icosahedron subdivided `level` times.

    The vertices of a level are the first vertices of the next one.
    """
    return _subdivided(level)[:2]


def parents(level: int) -> np.ndarray:
    """Return, for each icosphere vertex new at a level, the indices (N, 2) of the ends of the edge that it divides."""
    return _subdivided(level)[2]


@lru_cache(maxsize=4)
def harmonic_basis(level: int) -> np.ndarray:
    """Return the real orthonormal spherical harmonics of degree 0 to 10 at the icosphere's vertices, (121, V)."""
    directions, _ = icosphere(level)
    theta, phi = np.arccos(np.clip(directions[:, 2], -1, 1)), np.arctan2(directions[:, 1], directions[:, 0])
    columns = []
    for degree in range(DEGREE + 1):
        for order in range(-degree, degree + 1):
            values = sph_harm_y(degree, abs(order), theta, phi)
            part = values.imag if order < 0 else values.real
            columns.append(part * (1 if order == 0 else 2**0.5))
    return np.stack(columns)


def harmonic_degrees() -> np.ndarray:
    """Return the degree of each of the 121 coefficients."""
    return np.repeat(np.arange(DEGREE + 1), 2 * np.arange(DEGREE + 1) + 1)


@lru_cache(maxsize=4)
def _rays(level: int) -> np.ndarray:
    """Return the directions (N, V, 3) in mm in which the radii of each bone point."""
    return np.einsum("nij,vj->nvi", load_atlas().axes, icosphere(level)[0])


def surfaces(harmonics: np.ndarray, level: int) -> np.ndarray:
    """Return the surface points (N, V, 3) of all atlas bones for coefficients (N, 121), in mm."""
    radii = harmonics @ harmonic_basis(level)
    return load_atlas().centres[:, None] + radii[..., None] * _rays(level)
