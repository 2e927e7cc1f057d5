"""Joint spaces: moves neighbouring bones to given distances, and makes their facing surfaces congruent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

import numba
import numpy as np
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from jointwrist.phantom.atlas import icosphere, load_atlas, parents, surfaces
from jointwrist.phantom.bone_shape import COARSE, Body, outward_faces
from jointwrist.phantom.ray_depths import vertex_normals

#: Neighbours in 3-D whose joint space is set.
ARTICULATIONS = (
    ("Scaphoid", "Lunate"), ("Lunate", "Triquetrum"), ("Scaphoid", "Capitate"), ("Lunate", "Capitate"),
    ("Capitate", "Hamate"), ("Hamate", "Triquetrum"), ("Scaphoid", "Trapezium"), ("Scaphoid", "Trapezoid"),
    ("Trapezium", "Trapezoid"), ("Trapezoid", "Capitate"), ("Trapezium", "Metacarpal1st"),
    ("Trapezoid", "Metacarpal2nd"), ("Capitate", "Metacarpal2nd"), ("Capitate", "Metacarpal3rd"),
    ("Hamate", "Metacarpal4th"), ("Hamate", "Metacarpal5th"), ("Metacarpal2nd", "Metacarpal3rd"),
    ("Metacarpal3rd", "Metacarpal4th"), ("Metacarpal4th", "Metacarpal5th"), ("Triquetrum", "Pisiform"),
    ("DistalRadius", "Scaphoid"), ("DistalRadius", "Lunate"),
)  # fmt: skip
#: How little each bone moves: the capitate least, forearm bones less than carpal bones.
_MOBILITY = {"Capitate": 0.05, "DistalRadius": 0.6}
_LEVEL, FINEST = 3, 5
#: Share by which the cortex is thicker at the joint surfaces.
SUBCHONDRAL = 0.7
#: Vertices of a bone, nearest first, that may face a neighbour; the nearest of them set the joint space.
_FACING, _NEAREST = 140, 40
#: Nearest vertices lie beside each other by up to this many mm, which counts as no distance.
_LATERAL_MM = 1.2
#: A coarse vertex and its neighbours.
_RING = 7


@lru_cache(maxsize=1)
def _facing_vertices() -> np.ndarray:
    """Return the level-3 vertices (pairs, 2, `_FACING`) of each articulation that lie nearest to the other bone."""
    atlas = load_atlas()
    points = surfaces(atlas.harmonics, _LEVEL)
    found = []
    for first, second in ARTICULATIONS:
        a, b = points[atlas.names.index(first)], points[atlas.names.index(second)]
        distance = np.linalg.norm(a[:, None] - b[None], axis=2)
        found.append([np.argsort(distance.min(1))[:_FACING], np.argsort(distance.min(0))[:_FACING]])
    return np.array(found)


def facing_normal(first: str, second: str, points: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the unit vector (3,) in the plane of the radiograph in which one bone faces another across their joint.

    Args:
        first: Atlas name of the bone.
        second: Atlas name of the bone that it faces.
        points: Vertices by name in the radiograph frame, those of the level-3 icosphere first.
    """
    near, _ = _facing(first, second)
    mean = _laid_normals(first, points)[near].mean(0) * (1, 1, 0)
    return mean / np.linalg.norm(mean)


def joint_width(first: str, second: str, points: Mapping[str, np.ndarray]) -> float:
    """Measure the joint space between two bones in mm, as `set_joint_spaces` sets it; arguments as `facing_normal`.

    It is the mean over the nearer half of the vertices of the first bone that face the second, along their normals.
    """
    near, opposite = _facing(first, second)
    normals, own, other = _laid_normals(first, points)[near], points[first][near], points[second][opposite]
    distance, nearest = cKDTree(other).query(own)
    along = ((other[nearest] - own) * normals).sum(1)
    lateral = np.sqrt(np.maximum(distance**2 - along**2, 0))
    widths = np.sort(along + np.maximum(lateral - _LATERAL_MM, 0))
    return float(widths[: len(widths) // 2].mean())


def _facing(first: str, second: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the vertices at which two bones, given by name, are nearest to each other."""
    (pair, side) = next(
        (pair, names.index(first)) for pair, names in enumerate(ARTICULATIONS) if {first, second} == set(names)
    )
    near = _facing_vertices()[pair, :, :_NEAREST]
    return near[side], near[1 - side]


def _laid_normals(name: str, points: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the normals of a bone in the radiograph frame, which mirrors it."""
    faces = np.ascontiguousarray(outward_faces(_LEVEL)[load_atlas().names.index(name)][:, ::-1])
    return vertex_normals(points[name][:COARSE], faces)


@numba.njit(cache=True, fastmath=True)
def _shift_bones(
    first: np.ndarray, second: np.ndarray, normals: np.ndarray, owners: np.ndarray, gaps: np.ndarray,
    mobility: np.ndarray, rounds: int,
) -> np.ndarray:  # fmt: skip
    """Shift bones until facing surfaces are `gaps` apart; return shifts (N, 3).

    A vertex's gap is the distance to the nearest facing vertex along its normal, plus the lateral distance in excess of
    the vertex spacing; the gap of a pair is the mean over the nearest quarter of its vertices.
    """
    shifts = np.zeros((mobility.shape[0], 3))
    count = 40
    half = count // 4
    gap = np.empty(count)
    for _ in range(rounds):
        for pair in range(first.shape[0]):
            a, b = owners[pair]
            sx, sy, sz = shifts[b, 0] - shifts[a, 0], shifts[b, 1] - shifts[a, 1], shifts[b, 2] - shifts[a, 2]
            for i in range(count):
                best = 1e9
                px, py, pz = first[pair, i, 0] - sx, first[pair, i, 1] - sy, first[pair, i, 2] - sz
                for j in range(count):
                    dx, dy, dz = second[pair, j, 0] - px, second[pair, j, 1] - py, second[pair, j, 2] - pz
                    square = dx * dx + dy * dy + dz * dz
                    if square < best:
                        best = square
                        along = dx * normals[pair, i, 0] + dy * normals[pair, i, 1] + dz * normals[pair, i, 2]
                        gap[i] = along + max(np.sqrt(max(square - along * along, 0.0)) - _LATERAL_MM, 0.0)
            mean, nx, ny, nz = 0.0, 0.0, 0.0, 0.0
            for i in np.argsort(gap)[:half]:
                mean += gap[i] / half
                nx, ny, nz = nx + normals[pair, i, 0], ny + normals[pair, i, 1], nz + normals[pair, i, 2]
            move = 0.5 * (mean - gaps[pair]) / (np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-9)
            move /= mobility[a] + mobility[b] + 1e-9
            shifts[a, 0] += nx * move * mobility[a]
            shifts[a, 1] += ny * move * mobility[a]
            shifts[a, 2] += nz * move * mobility[a]
            shifts[b, 0] -= nx * move * mobility[b]
            shifts[b, 1] -= ny * move * mobility[b]
            shifts[b, 2] -= nz * move * mobility[b]
    return shifts


@numba.njit(cache=True, fastmath=True)
def _misfit(
    first: np.ndarray, normals: np.ndarray, second: np.ndarray, target: float, growth: np.ndarray, weights: np.ndarray,
    index: np.ndarray,
) -> None:  # fmt: skip
    """Add half of the excess joint space to a bone's growth at each vertex that faces a neighbour."""
    for i in range(first.shape[0]):
        best, gap = 1e9, 0.0
        for j in range(second.shape[0]):
            dx, dy, dz = second[j, 0] - first[i, 0], second[j, 1] - first[i, 1], second[j, 2] - first[i, 2]
            square = dx * dx + dy * dy + dz * dz
            if square < best:
                best = square
                gap = dx * normals[i, 0] + dy * normals[i, 1] + dz * normals[i, 2]
        lateral = np.sqrt(max(best - gap * gap, 0.0))
        near = np.exp(-((max(lateral - 1.0, 0.0) / 1.5) ** 2)) * np.exp(-((max(gap - target, 0.0) / 4.0) ** 2))
        growth[index[i]] += near * min(max(0.5 * (gap - target), -1.3), 1.7)
        weights[index[i]] += near


def set_joint_spaces(
    points: dict[str, np.ndarray], gaps: np.ndarray, overlap: float
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Set the joint spaces.

    Args:
        points: (`COARSE`, 3) vertices of every atlas bone, in the atlas' order, mm.
        gaps: Width of each joint space of the articulations, mm.
        overlap: By how much the radius reaches over scaphoid and lunate before its joint surface is hollowed out.

    Returns:
        For each bone its shift (3,), and (`COARSE`, 2): the growth along its normals that makes joint surfaces
        parallel, and how much a vertex belongs to a joint surface.
    """
    names = list(points)
    faces = outward_faces(_LEVEL)
    normals = {name: vertex_normals(points[name], face) for name, face in zip(names, faces, strict=True)}
    facing = _facing_vertices()
    near = facing[:, :, :_NEAREST]
    wanted = [-overlap if a == "DistalRadius" else gap for (a, _), gap in zip(ARTICULATIONS, gaps, strict=True)]
    shifts = _shift_bones(
        np.array([points[a][index[0]] for (a, _), index in zip(ARTICULATIONS, near, strict=True)]),
        np.array([points[b][index[1]] for (_, b), index in zip(ARTICULATIONS, near, strict=True)]),
        np.array([normals[a][index[0]] for (a, _), index in zip(ARTICULATIONS, near, strict=True)]),
        np.array([[names.index(a), names.index(b)] for a, b in ARTICULATIONS]),
        np.array(wanted),
        np.array([_MOBILITY.get(name, 1.0) for name in names]),
        25,
    )
    moved = dict(zip(names, shifts, strict=True))
    placed = {name: points[name] + moved[name] for name in names}
    growth, weights = np.zeros((len(names), COARSE)), np.full((len(names), COARSE), 1e-3)
    for (a, b), index, gap in zip(ARTICULATIONS, facing, wanted, strict=True):
        if a == "DistalRadius":
            continue
        for one, other, k in ((a, b, 0), (b, a, 1)):
            mine, theirs, bone = index[k], index[1 - k], names.index(one)
            _misfit(
                placed[one][mine], normals[one][mine], placed[other][theirs], gap, growth[bone], weights[bone], mine
            )
    fits = _smoothed(np.stack([growth / np.maximum(weights, 1.0), np.minimum(weights, 1.0)], axis=-1))
    return moved, dict(zip(names, fits, strict=True))


@lru_cache(maxsize=1)
def _neighbour_sums() -> csr_array:
    """Return the sums over each coarse vertex and its neighbours; the twelve with five neighbours count twice."""
    _, faces = icosphere(_LEVEL)
    around: list[set[int]] = [{vertex} for vertex in range(COARSE)]
    for face in faces.tolist():
        for vertex in face:
            around[vertex].update(face)
    near = np.array([[*sorted(ring), vertex][:_RING] for vertex, ring in enumerate(around)])
    return csr_array((np.ones(near.size), near.ravel(), np.arange(0, near.size + 1, _RING)), shape=(COARSE, COARSE))


def _smoothed(values: np.ndarray) -> np.ndarray:
    """Return values (N, `COARSE`, K) of all bones averaged twice over neighbouring vertices."""
    columns = values.swapaxes(0, 1).reshape(COARSE, -1)
    for _ in range(2):
        columns = _neighbour_sums() @ columns / _RING
    return columns.reshape(COARSE, len(values), -1).swapaxes(0, 1)


def grown(body: Body, fit: np.ndarray) -> Body:
    """Return an atlas bone grown by (`COARSE`, 2) of `set_joint_spaces`, with thicker cortex at the joint surfaces."""
    level = _LEVEL
    while level < FINEST and 10 * 4 ** (level + 1) + 2 <= len(body.points):
        level += 1
        first, second = parents(level).T
        fit = np.concatenate([fit, 0.5 * (fit[first] + fit[second])])
    count = len(fit)
    cortex = body.points[:count] - body.marrow[:count]
    x, y, z = cortex.T
    outward = cortex / (np.sqrt(x * x + y * y + z * z) + 1e-9)[:, None] * fit[:, :1]
    points, marrow = body.points.copy(), body.marrow.copy()
    points[:count] += outward
    marrow[:count] += outward - SUBCHONDRAL * fit[:, 1:] * cortex
    return replace(body, points=points, marrow=marrow)
