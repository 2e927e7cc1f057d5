"""Findings at a joint surface that resemble erosions but are not."""

from __future__ import annotations

import numpy as np

from jointwrist.phantom.atlas import icosphere
from jointwrist.phantom.bone_shape import COARSE, Body, unlabelled
from jointwrist.phantom.joint_surface import Surface, spur
from jointwrist.phantom.lesions.shapes import Carving, bite


def closed_cyst(surface: Surface, rng: np.random.Generator) -> Carving:
    """A cyst near the contour behind an intact wall of bone."""
    middle = int(rng.integers(len(surface.points)))
    radius = rng.uniform(0.8, 2.2)
    place = surface.points[middle, :2] + (radius + rng.uniform(0.9, 2.0)) * surface.inward[middle]
    depth, side = rng.uniform(0.3, 0.75), int(rng.choice((-1, 0, 1)))
    carving = Carving(cysts=[bite(surface, place, radius, depth, side)])
    for angle in rng.uniform(0, 2 * np.pi, 2):
        lobe = place + 0.35 * radius * np.array([np.cos(angle), np.sin(angle)])
        carving.cysts.append(bite(surface, lobe, 0.75 * radius, depth, side))
    return carving


def vessel(surface: Surface, rng: np.random.Generator) -> Carving:
    """Holes of nutrient vessels: small and round, a little inside the contour."""
    carving = Carving(loss=rng.uniform(0.6, 0.95))
    for _ in range(int(rng.integers(1, 4))):
        middle = int(rng.integers(len(surface.points)))
        place = surface.points[middle, :2] + rng.uniform(1.2, 4.0) * surface.inward[middle]
        carving.thinned.append(bite(surface, place, rng.uniform(0.4, 0.9), 0.8))
    return carving


def notch(surface: Surface, rng: np.random.Generator) -> Carving:
    """A shallow groove of the contour, smooth and lined with cortex, as where a ligament is attached."""
    middle = int(rng.integers(len(surface.points)))
    radius = rng.uniform(1.5, 4.0)
    deep = rng.uniform(0.4, 0.9)
    place = surface.points[middle, :2] - (radius - deep) * surface.inward[middle]
    at = surface.points[middle, :2] + deep * surface.inward[middle]
    carving = Carving(sclerosis=rng.uniform(0.5, 0.9))
    groove = np.array([*place, *bite(surface, at, radius, 1.5)[2:]])
    groove[4] = max(groove[4], 8.0)
    carving.notches.append(groove)
    carving.rims.append(groove + np.array([0, 0, 0, 0.45, 0.45]))
    return carving


def osteopenia(surface: Surface, rng: np.random.Generator) -> Carving:
    """Demineralised patches near the joint; the contour is intact."""
    carving = Carving(loss=rng.uniform(0.35, 0.75))
    for _ in range(int(rng.integers(1, 4))):
        middle = int(rng.integers(len(surface.points)))
        radius = rng.uniform(2.0, 5.0)
        place = surface.points[middle, :2] + rng.uniform(0.3, 1.0) * radius * surface.inward[middle]
        carving.thinned.append(bite(surface, place, radius, 0.8))
    return carving


def osteophyte(body: Body, articulating: list[Body], rng: np.random.Generator) -> Body:
    """Return the bone with one or two spurs at the edge of its joint surface."""
    for _ in range(int(rng.integers(1, 3))):
        distance = np.min([_distances(body, neighbour) for neighbour in articulating], axis=0)
        facing = np.flatnonzero(distance < distance.min() + 6.0)
        tip = body.points[rng.choice(facing)]
        body = spur(body, tip, rng.uniform(1.0, 2.6), rng.uniform(0.9, 1.8))
    return body


def narrowing(body: Body, articulating: list[Body], rng: np.random.Generator) -> np.ndarray:
    """Return the shift (3,) in mm that moves a bone towards its nearest neighbour until they almost or just touch."""
    gaps = [_distances(body, neighbour) for neighbour in articulating]
    neighbour = articulating[int(np.argmin([gap.min() for gap in gaps]))]
    nearest = int(np.argmin(_distances(body, neighbour)))
    towards = neighbour.points[:COARSE] - body.points[nearest]
    step = towards[int(np.argmin(np.linalg.norm(towards, axis=1)))]
    return np.array([*step[:2], 0.5 * step[2]]) * rng.uniform(0.6, 1.15)


def overlap(surface: Surface, body: Body, rng: np.random.Generator) -> Body:
    """Return a thin piece of bone whose edge crosses the contour like that of an overlapping bone."""
    middle = int(rng.integers(len(surface.points)))
    inward = surface.inward[middle]
    angle = rng.uniform(-0.9, 0.9)
    turned = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ inward
    half = np.array([rng.uniform(4.0, 8.0), rng.uniform(3.0, 7.0), rng.uniform(0.8, 1.8)])
    frame = np.array([[*turned, 0], [-turned[1], turned[0], 0], [0, 0, 1.0]])
    centre = surface.points[middle] + np.array([*(-rng.uniform(0.2, 0.8) * half[0] * inward), rng.choice((-8.0, 8.0))])
    directions, faces = icosphere(2)
    # bumps of a few waves, so that the edge is not an ellipse
    waves = [np.sin(directions @ rng.normal(0, 2.5, 3) + rng.uniform(0, 6)) for _ in range(4)]
    directions = directions * (1 + 0.07 * np.sum(waves, axis=0))[:, None]
    return unlabelled("Edge", centre + (directions * half) @ frame, faces, rng.uniform(0.25, 0.5), body.group)


def _distances(body: Body, neighbour: Body) -> np.ndarray:
    """Return the distance in mm of each coarse vertex of a bone to the nearest of another."""
    points, others = body.points[:COARSE], neighbour.points[:COARSE]
    squares = (points**2).sum(1)[:, None] + (others**2).sum(1)[None] - 2 * points @ others.T
    return np.sqrt(np.maximum(squares.min(1), 0))
