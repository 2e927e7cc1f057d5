"""Marginal erosions: bites into the contour at the bare area, where synovium lies on bone.

Every function takes the joint surface, the length of contour in mm that the erosion shall have, and a generator.
"""

from __future__ import annotations

import numpy as np

from jointwrist.phantom.joint_surface import Surface
from jointwrist.phantom.lesions.shapes import Carving, arc, bite


def _somewhere(surface: Surface, rng: np.random.Generator) -> int:
    return int(rng.integers(len(surface.points)))


def _depth(rng: np.random.Generator) -> tuple[float, int]:
    """Draw the share of the thickness that a bite removes and its side; half of the bites go right through."""
    return (1.1, 0) if rng.random() < 0.5 else (rng.uniform(0.55, 1.0), int(rng.choice((-1, 1))))


def _healing(carving: Carving, share: float, rng: np.random.Generator) -> Carving:
    """Line a share of the erosions with sclerotic bone, as in inactive disease."""
    healed, width, density = rng.random() < share, rng.uniform(0.25, 0.7), rng.uniform(0.15, 0.45)
    return carving.with_rims(width, density) if healed else carving


def round_bite(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """One smooth bite, wider than deep or nearly a full circle."""
    middle, (depth, side) = _somewhere(surface, rng), _depth(rng)
    radius = 0.5 * extent * rng.uniform(1.0, 1.15)
    place = surface.points[middle, :2] + rng.uniform(0.0, 0.5) * radius * surface.inward[middle]
    return _healing(Carving([bite(surface, place, radius, depth, side)]), 0.3, rng)


def long_bite(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """A shallow trough along the contour, of uneven depth."""
    depth, side = _depth(rng)
    radius = np.clip(0.22 * extent, 0.6, 1.3) * rng.uniform(0.8, 1.2)
    line = arc(surface, _somewhere(surface, rng), extent, 0.6 * radius)
    uneven = 1 + 0.25 * np.sin(rng.uniform(0.6, 1.6) * np.arange(len(line)) + rng.uniform(0, 6))
    uneven *= rng.uniform(0.8, 1.15, len(line))
    inside = rng.uniform(0.0, 0.4) * radius
    bites = [
        bite(surface, surface.points[k, :2] + inside * surface.inward[k], radius * size, depth, side)
        for k, size in zip(line, uneven, strict=True)
    ]
    return _healing(Carving(bites), 0.25, rng)


def ragged_bite(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """Many small holes that run into each other and leave an irregular edge."""
    middle, (depth, side) = _somewhere(surface, rng), _depth(rng)
    radius = 0.5 * extent
    centre = surface.points[middle, :2] + 0.25 * radius * surface.inward[middle]
    bites = [bite(surface, centre, 0.6 * radius, depth, side)]
    for _ in range(int(rng.integers(8, 15))):
        # each hole begins at the edge of another
        edge, angle = bites[int(rng.integers(len(bites)))], rng.uniform(0, 2 * np.pi)
        place = edge[:2] + rng.uniform(0.6, 1.0) * edge[3] * np.array([np.cos(angle), np.sin(angle)])
        size = np.clip(radius * rng.uniform(0.2, 0.5), 0.3, 1.2)
        bites.append(bite(surface, place, size, depth * rng.uniform(0.7, 1.1), side))
    return _healing(Carving(bites), 0.1, rng)


def several_bites(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """Two to four small bites apart from each other."""
    count = int(np.clip(extent / 1.3, 2, rng.integers(2, 5)))
    chosen = [_somewhere(surface, rng)]
    for _ in range(30):
        candidate = _somewhere(surface, rng)
        gaps = surface.points[chosen, :2] - surface.points[candidate, :2]
        if len(chosen) < count and np.hypot(*gaps.T).min() > 1.3 * extent / count + 0.6:
            chosen.append(candidate)
    bites = []
    for k in chosen:
        (depth, side), radius = _depth(rng), 0.5 * extent / len(chosen) * rng.uniform(0.8, 1.2)
        place = surface.points[k, :2] + rng.uniform(0.1, 0.6) * radius * surface.inward[k]
        bites.append(bite(surface, place, radius, depth, side))
    return _healing(Carving(bites), 0.2, rng)


def undermined(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """A wide hollow behind a narrow break of the cortex, whose edges overhang it."""
    middle, (depth, side) = _somewhere(surface, rng), _depth(rng)
    mouth = 0.5 * extent * rng.uniform(0.9, 1.1)
    hollow = max(mouth * rng.uniform(1.2, 1.7), 1.0)
    point, inward = surface.points[middle, :2], surface.inward[middle]
    shell = rng.uniform(0.5, 0.8)
    deep = point + (hollow + shell) * inward
    depth = min(depth, rng.uniform(0.5, 1.0))
    bites = [bite(surface, deep, 0.85 * hollow, depth, side)]
    across = np.array([-inward[1], inward[0]])
    for shift in rng.uniform(-1.0, 1.0, 4):
        lobe = deep + 0.8 * hollow * (shift * across + rng.uniform(-0.1, 0.7) * inward)
        bites.append(bite(surface, lobe, rng.uniform(0.4, 0.7) * hollow, depth * rng.uniform(0.7, 1.1), side))
    # the break leads from the contour to the hollow
    for share in (0.0, 0.5, 1.0):
        bites.append(bite(surface, point + share * shell * inward, mouth, 1.2))
    return _healing(Carving(bites), 0.3, rng)
