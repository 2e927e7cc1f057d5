"""Where the bones stand: wrist flexed and deviated, joint spaces as wide as asked, the hand laid on the film."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numba
import numpy as np

from jointwrist.data.phantom.atlas import icosphere, load_atlas, surfaces
from jointwrist.data.phantom.raster import outward, vertex_normals
from jointwrist.data.phantom.shape import Body

PROXIMAL_ROW = ("Scaphoid", "Lunate", "Triquetrum", "Pisiform")
FOREARM = ("DistalRadius", "DistalUlna")
#: Neighbours in 3-D whose joint space is set.
_ARTICULATIONS = (
    ("Scaphoid", "Lunate"), ("Lunate", "Triquetrum"), ("Scaphoid", "Capitate"), ("Lunate", "Capitate"),
    ("Capitate", "Hamate"), ("Hamate", "Triquetrum"), ("Scaphoid", "Trapezium"), ("Scaphoid", "Trapezoid"),
    ("Trapezium", "Trapezoid"), ("Trapezoid", "Capitate"), ("Trapezium", "Metacarpal1st"),
    ("Trapezoid", "Metacarpal2nd"), ("Capitate", "Metacarpal2nd"), ("Capitate", "Metacarpal3rd"),
    ("Hamate", "Metacarpal4th"), ("Hamate", "Metacarpal5th"), ("Metacarpal2nd", "Metacarpal3rd"),
    ("Metacarpal3rd", "Metacarpal4th"), ("Metacarpal4th", "Metacarpal5th"), ("Triquetrum", "Pisiform"),
    ("DistalRadius", "Scaphoid"), ("DistalRadius", "Lunate"), ("DistalRadius", "DistalUlna"),
)  # fmt: skip
_LEVEL = 3
_FACING = 40


@lru_cache(maxsize=1)
def _facing_vertices() -> np.ndarray:
    """Return the level-3 vertices (pairs, 2, `_FACING`) of each articulation that lie nearest to the other bone."""
    atlas = load_atlas()
    points = surfaces(atlas.harmonics, _LEVEL)
    found = []
    for first, second in _ARTICULATIONS:
        a, b = points[atlas.names.index(first)], points[atlas.names.index(second)]
        distance = np.linalg.norm(a[:, None] - b[None], axis=2)
        found.append([np.argsort(distance.min(1))[:_FACING], np.argsort(distance.min(0))[:_FACING]])
    return np.array(found)


@numba.njit(cache=True)
def _settle(
    first: np.ndarray, second: np.ndarray, normals: np.ndarray, owners: np.ndarray, gaps: np.ndarray,
    mobility: np.ndarray, rounds: int,
) -> np.ndarray:  # fmt: skip
    """Shift bones until facing surfaces are `gaps` apart along the normals of the first; return shifts (N, 3)."""
    shifts = np.zeros((mobility.shape[0], 3))
    count = first.shape[1]
    for _ in range(rounds):
        for pair in range(first.shape[0]):
            a, b = owners[pair]
            offset = shifts[b] - shifts[a]
            smallest, direction, total = np.zeros(count), np.zeros(3), 0.0
            for i in range(count):
                best, gap = 1e9, 0.0
                for j in range(count):
                    d = second[pair, j] + offset - first[pair, i]
                    square = d[0] * d[0] + d[1] * d[1] + d[2] * d[2]
                    if square < best:
                        best = square
                        gap = d[0] * normals[pair, i, 0] + d[1] * normals[pair, i, 1] + d[2] * normals[pair, i, 2]
                smallest[i] = gap
            order = np.argsort(smallest)[:20]
            for i in order:
                total += smallest[i] / 20
                direction += normals[pair, i] / 20
            direction /= np.sqrt((direction**2).sum()) + 1e-9
            move = 0.5 * (total - gaps[pair])
            weight = mobility[a] + mobility[b] + 1e-9
            shifts[a] += direction * move * mobility[a] / weight
            shifts[b] -= direction * move * mobility[b] / weight
    return shifts


def rotation(x: float, y: float, z: float) -> np.ndarray:
    """Return the matrix that turns about x, then y, then z, in degrees."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians([x, y, z])), np.sin(np.radians([x, y, z]))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def moved(body: Body, matrix: np.ndarray, pivot: np.ndarray | tuple, shift: np.ndarray | tuple = (0, 0, 0)) -> Body:
    """Return the body turned (or scaled) about a pivot, then shifted."""
    axis = matrix @ body.axis
    return replace(
        body,
        points=(body.points - pivot) @ matrix.T + pivot + shift,
        base=matrix @ (body.base - pivot) + pivot + shift,
        axis=axis / np.linalg.norm(axis),
    )


@dataclass(frozen=True)
class Pose:
    """Angles in degrees, lengths in mm, of one exposure."""

    deviation: float
    flexion: float
    thumb: np.ndarray
    spread: np.ndarray
    ulna: np.ndarray
    gaps: np.ndarray
    overlap: float
    tilt: float
    pronation: float
    turn: float
    scale: float
    shift: np.ndarray


def draw_pose(rng: np.random.Generator, variation: float, size_factor: float, narrowing: float) -> Pose:
    """Draw a pose; `narrowing` in [0, 1] takes that share of the joint spaces away."""

    def normal(spread: float, limit: float = 2.2, shape: int | None = None) -> np.ndarray:
        return variation * spread * np.clip(rng.standard_normal(shape), -limit, limit)

    healthy = rng.uniform(0.8, 1.5)
    gaps = np.clip(healthy * (1 - narrowing) * rng.uniform(0.6, 1.3, len(_ARTICULATIONS)), 0.05, None)
    return Pose(
        deviation=float(normal(8)),
        flexion=float(normal(8)),
        thumb=np.concatenate([normal(5, shape=2), normal(8, shape=1)]),
        spread=normal(1.6, shape=4) + np.array([1.5, 0.5, -0.5, -1.5]) * normal(1.2),
        ulna=normal(1.0, shape=3) * (0.6, 1.7, 0.5),
        gaps=gaps,
        overlap=float(np.clip(rng.normal(2.2, 0.8), 0.6, 4.0)),
        tilt=float(normal(5)),
        pronation=float(normal(7)),
        turn=float(normal(9, 2.6)),
        scale=size_factor,
        shift=np.array([rng.normal(0, 4.0), rng.normal(-3.0, 6.0)]),
    )


def pose_bodies(bodies: list[Body], pose: Pose, field_of_view: float) -> list[Body]:
    """Return the bodies in the film frame: mm, x to the right, y down, z towards the palm, origin at a corner."""
    placed: dict[int, Body] = {}
    for index, body in enumerate(bodies):
        name = body.group or body.name
        if name in FOREARM:
            shift = (0.0, 0.0, 0.0) if name == "DistalRadius" else pose.ulna
            placed[index] = moved(body, np.eye(3), body.base, shift)
            continue
        share = 0.5 if name in PROXIMAL_ROW else 1.0
        flexion = share * pose.flexion + (0.5 * pose.deviation if name == "Scaphoid" else 0.0)
        turned = moved(body, rotation(0, 0, share * pose.deviation), (-2.0, -9.0, 0.0))
        pivot = turned.points.mean(0) if name in PROXIMAL_ROW else np.array([-1.0, -5.0, 0.0])
        placed[index] = moved(turned, rotation(flexion, 0, 0), pivot)
    _set_fingers(bodies, placed, pose)
    _set_gaps(bodies, placed, pose)
    whole = rotation(pose.tilt, pose.pronation, pose.turn) * pose.scale
    film = np.diag([1.0, -1.0, 1.0])
    middle = np.array([field_of_view / 2 + pose.shift[0], field_of_view / 2 + pose.shift[1], 0.0])
    return [
        replace(
            moved(placed[i], film @ whole, (0.0, 0.0, 0.0), middle),
            faces=np.ascontiguousarray(placed[i].faces[:, ::-1]),
        )
        for i in range(len(bodies))
    ]


def _set_fingers(bodies: list[Body], placed: dict[int, Body], pose: Pose) -> None:
    bases = {body.name: placed[i].base for i, body in enumerate(bodies)}
    fingers = ("Metacarpal2nd", "Metacarpal3rd", "Metacarpal4th", "Metacarpal5th")
    for index, body in enumerate(bodies):
        name = body.group or body.name
        if name == "Metacarpal1st":
            placed[index] = moved(placed[index], rotation(*pose.thumb), bases[name])
        elif name in fingers:
            placed[index] = moved(placed[index], rotation(0, 0, pose.spread[fingers.index(name)]), bases[name])


def _set_gaps(bodies: list[Body], placed: dict[int, Body], pose: Pose) -> None:
    names = load_atlas().names
    where = {body.name: i for i, body in enumerate(bodies)}
    _, faces = icosphere(_LEVEL)
    count = int(faces.max()) + 1
    points = {name: placed[where[name]].points[:count] for name in names}
    normals = {name: vertex_normals(points[name], outward(points[name], faces)) for name in names}
    facing = _facing_vertices()
    pairs = list(zip(_ARTICULATIONS, facing, strict=True))
    first = np.array([points[a][index[0]] for (a, _), index in pairs])
    second = np.array([points[b][index[1]] for (_, b), index in pairs])
    facing_normals = np.array([normals[a][index[0]] for (a, _), index in pairs])
    owners = np.array([[names.index(a), names.index(b)] for a, b in _ARTICULATIONS])
    gaps = pose.gaps.copy()
    for pair, (a, b) in enumerate(_ARTICULATIONS):
        if a == "DistalRadius":
            gaps[pair] = 1.5 if b == "DistalUlna" else -pose.overlap
    mobility = np.array([0.05 if name == "Capitate" else 0.6 if name in FOREARM else 1.0 for name in names])
    shifts = _settle(first, second, facing_normals, owners, gaps, mobility, 15)
    for index, body in enumerate(bodies):
        placed[index] = moved(placed[index], np.eye(3), (0, 0, 0), shifts[names.index(body.group or body.name)])
