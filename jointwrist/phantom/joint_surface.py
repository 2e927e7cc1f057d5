"""Joint surfaces of a phantom, erosions of a target score on them, and look-alikes: cysts, osteophytes and notches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import binary_erosion, gaussian_filter
from scipy.spatial import cKDTree

from jointwrist.phantom.bone_shape import COARSE, Body
from jointwrist.phantom.ray_depths import FAR, depths, vertex_normals, window
from jointwrist.phantom.render import ERODED_SHARE, VISIBLE_MM, ellipsoid_depths

#: Least eroded share of a joint surface's visible contour for scores 1 to 5, after the van der Heijde definition:
#: discrete, larger, past the middle of the bone, and (with 5 as the cap of the sum) complete collapse.
SCORE_SHARES = (0.04, 0.20, 0.36, 0.52, 0.66)
#: Grid of the measurement in mm, the same for every image size; smallest and largest length of a contour that is used.
GRID_MM, _SHORTEST_MM, _LONGEST_MM = 0.3, 14.0, 26.0
#: In mm: contour up to this much farther from an articulating bone than the nearest point belongs to the joint surface,
#: down to this distance along the shaft; behind this much of another bone an erosion is not visible.
_FACING_MM, _SHAFT_MM, _HIDDEN_MM = 3.5, 10.0, 3.0


@dataclass
class Surface:
    """Visible contour of one joint surface, measured on a separate grid.

    Attributes:
        box: Window on that grid.
        lo: Entry depth of the bone.
        hi: Exit depth.
        thickness: Bone along the ray.
        contour: (N, 2) rows and columns of the contour pixels that face an articulating bone and are not hidden.
        points: (N, 3) mm, radiograph frame.
        inward: (N, 2) unit vectors into the bone.
    """

    box: tuple[int, int, int, int]
    lo: np.ndarray
    hi: np.ndarray
    thickness: np.ndarray
    contour: np.ndarray
    points: np.ndarray
    inward: np.ndarray


#: Meshes cut out of a bone: points of the hollow, points of the plate that lines it, faces.
Socket = list[tuple[np.ndarray, np.ndarray, np.ndarray]]


def joint_surface(
    body: Body, articulating: list[Body], others: list[Body], frame_mm: float, socket: Socket | None = None
) -> Surface:
    """Measure the contour of a bone where it faces the articulating bones.

    Args:
        body: The bone, radiograph frame.
        articulating: Bones that its joint surface articulates with.
        others: All bones that may hide the contour.
        frame_mm: Side of the radiograph; contour on its border does not count.
        socket: Meshes cut out of the bone; by default, none.
    """
    cells = int(frame_mm / GRID_MM)
    box = window(body.points, GRID_MM, (cells, cells))
    lo, hi = depths(body.points, body.faces, GRID_MM, box)
    thickness = hi - lo
    for hollow, _, faces in socket or ():
        hollow_lo, hollow_hi = depths(hollow, faces, GRID_MM, box)
        thickness = thickness - np.clip(np.minimum(hi, hollow_hi) - np.maximum(lo, hollow_lo), 0, None)
    mask = thickness > VISIBLE_MM
    if not mask.any():
        return Surface(box, lo, hi, thickness, np.zeros((0, 2), int), np.zeros((0, 3)), np.zeros((0, 2)))
    edge = mask & ~binary_erosion(np.pad(mask, 1))[1:-1, 1:-1]
    rows, columns = np.indices(mask.shape)
    edge &= (rows + box[0] > 0) & (rows + box[0] < cells - 1) & (columns + box[2] > 0) & (columns + box[2] < cells - 1)
    hidden = np.zeros(mask.shape, np.float32)
    for other in others:
        behind_lo, behind_hi = depths(other.points, other.faces, GRID_MM, box)
        hidden += np.clip(behind_hi - behind_lo, 0, None)
    edge &= hidden < _HIDDEN_MM
    at = np.argwhere(edge)
    middle = 0.5 * (lo + hi)[edge]
    points = np.column_stack([(at[:, 1] + box[2] + 0.5) * GRID_MM, (at[:, 0] + box[0] + 0.5) * GRID_MM, middle])
    facing = np.zeros(len(at), bool)
    for neighbour in articulating:
        distance, _ = cKDTree(neighbour.points[:COARSE, :2]).query(points[:, :2])
        facing |= distance < distance.min(initial=np.inf) + _FACING_MM
    if body.has_shaft:
        facing &= (points - body.base) @ body.axis < _SHAFT_MM
    # padded, as a single row may be left of a bone at the edge of the frame
    inside = gaussian_filter(np.pad(mask.astype(np.float32), 1, mode="edge"), 2.0)
    down, right = (part[1:-1, 1:-1][edge] for part in np.gradient(inside))
    slope = np.stack([right, down], axis=1)
    inward = slope / (np.linalg.norm(slope, axis=1, keepdims=True) + 1e-9)
    return Surface(box, lo, hi, thickness, at[facing], points[facing], inward[facing])


def removed_bone(surface: Surface, bites: np.ndarray) -> np.ndarray:
    """Return the share of bone along the ray that the bites remove, on the surface's grid."""
    lo, hi = np.full_like(surface.lo, FAR), np.full_like(surface.lo, -FAR)
    ellipsoid_depths(bites, GRID_MM, surface.box[0], surface.box[2], lo, hi)
    thickness = np.clip(surface.thickness, 1e-6, None)
    return np.clip(np.minimum(hi, surface.hi) - np.maximum(lo, surface.lo), 0, None) / thickness


def eroded_share(surface: Surface, bites: np.ndarray) -> float:
    """Return the share of the visible contour that the bites erode; a contour counts as 14 to 26 mm long."""
    removed = removed_bone(surface, bites)
    at = surface.contour
    count = int((removed[at[:, 0], at[:, 1]] > ERODED_SHARE).sum())
    return count / float(np.clip(len(at), _SHORTEST_MM / GRID_MM, _LONGEST_MM / GRID_MM))


def countable_mm(surface: Surface) -> float:
    """Return the length in mm at which the visible contour is counted."""
    return float(np.clip(len(surface.contour) * GRID_MM, _SHORTEST_MM, _LONGEST_MM))


def score_of(share: float) -> int:
    """Return the score, 0 to 5, of an eroded share of the contour."""
    return int(np.searchsorted(SCORE_SHARES, share, side="right"))


def draw_bites(surface: Surface, target: int, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    """Draw bites until the eroded share of the contour is in the range of the target score.

    Returns:
        Rows (x, y, z, radius across, radius along the ray) in mm, and the score measured, which may miss the target.
    """
    bites: list[np.ndarray] = []
    if len(surface.contour) < 10:
        return np.zeros((0, 5)), 0
    goal = SCORE_SHARES[target - 1] * 1.05
    for _ in range(14):
        centre = int(rng.integers(len(surface.points)))
        radius = rng.uniform(1.4, 2.0) + 0.25 * target
        for _ in range(int(rng.integers(1, 4))):
            size = radius * rng.uniform(0.7, 1.0)
            depth = rng.uniform(0.0, 0.5) * size
            jitter = rng.normal(0, 0.35 * radius, 2) if bites else np.zeros(2)
            x, y = surface.points[centre, :2] + depth * surface.inward[centre] + jitter
            bites.append(np.array([x, y, surface.points[centre, 2], size, size * rng.uniform(1.8, 3.2)]))
        share = eroded_share(surface, np.array(bites))
        if share >= goal:
            break
    rows = np.array(bites)
    return rows, score_of(eroded_share(surface, rows))


def draw_cyst(body: Body, rng: np.random.Generator) -> np.ndarray:
    """Draw a cyst inside the bone, away from its contour."""
    size = np.ptp(body.points[:COARSE, :2], axis=0).min()
    radius = rng.uniform(0.08, 0.16) * size
    spread = 0.15 * size
    centre = body.points[:COARSE].mean(0) if not body.has_shaft else body.base + 6 * body.axis
    return np.array([*(centre + rng.normal(0, spread, 3) * (1, 1, 0.5)), radius, radius * rng.uniform(1.0, 1.8)])


def draw_notch(body: Body, surface: Surface | None, rng: np.random.Generator) -> np.ndarray:
    """Draw a shallow notch in the bone's side, away from its joint surface."""
    points = body.points[:COARSE] if not body.has_shaft else body.points[body.along > 12]
    if surface is not None and len(surface.points):
        distance = np.min(np.linalg.norm(points[:, None, :2] - surface.points[None, ::3, :2], axis=2), axis=1)
        points = points[distance > min(6.0, 0.8 * distance.max())]
    direction = rng.standard_normal(2)
    point = points[np.argmax(points[:, :2] @ direction)]
    radius = rng.uniform(0.8, 1.6)
    return np.array([*point, radius, radius * rng.uniform(1.5, 3.0)])


def add_osteophyte(body: Body, rng: np.random.Generator) -> Body:
    """Return the bone with a spur on its rim."""
    normals = vertex_normals(body.points, body.faces)
    candidates = np.flatnonzero((np.abs(normals[:, 2]) < 0.5) & (body.along < 10))
    tip = body.points[rng.choice(candidates)]
    return spur(body, tip, rng.uniform(0.8, 2.2), rng.uniform(1.2, 2.2))


def spur(body: Body, tip: np.ndarray, height: float, width: float) -> Body:
    """Return the bone grown around a point of its surface by `height` mm, falling off over `width` mm."""
    normals = vertex_normals(body.points, body.faces)
    distance = np.linalg.norm(body.points - tip, axis=1)
    grown = normals * (height * np.exp(-0.5 * (distance / width) ** 2))[:, None]
    return replace(body, points=body.points + grown, marrow=body.marrow + 0.8 * grown)
