"""Erosions of the whole joint surface: compressive, cystic, diffuse loss of the contour, collapse.

Every function takes the joint surface, the length of contour in mm that the erosion shall have, and a generator.
"""

from __future__ import annotations

import numpy as np

from jointwrist.phantom.joint_surface import Surface
from jointwrist.phantom.lesions.shapes import Carving, arc, bite

#: Half the length along the ray of what goes through the whole bone, in mm.
_THROUGH_MM = 14.0


def _pressed_in(
    surface: Surface, line: np.ndarray, deepest: float, uneven: float, widest: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return bites that indent the contour along a line, deepest in its middle, smoothly or unevenly.

    Each is a disc whose radius is up to `widest` times its depth: wide ones leave a smooth contour.
    """
    t = np.linspace(-0.95, 0.95, len(line)) if len(line) > 1 else np.zeros(1)
    profile = deepest * (1 - t**2) ** 0.5 * (1 + uneven * rng.standard_normal(len(line)))
    bites = []
    for k, depth in zip(line, np.clip(profile, 0.3, None), strict=True):
        radius = depth * rng.uniform(1.0, widest)
        place = surface.points[k, :2] - (radius - depth) * surface.inward[k]
        bites.append(np.array([*place, surface.points[k, 2], radius, _THROUGH_MM]))
    return bites


def compressive(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """A stretch of the joint surface is impressed through its whole thickness, often with dense bone below."""
    line = arc(surface, int(rng.integers(len(surface.points))), max(extent, 2.5), 0.4)
    deepest = np.clip(rng.uniform(0.2, 0.32) * extent, 0.8, 2.6)
    carving = Carving(_pressed_in(surface, line, deepest, 0.04, 2.5, rng))
    sclerotic, width, density = rng.random() < 0.6, rng.uniform(0.5, 1.3), rng.uniform(0.12, 0.35)
    return carving.with_rims(width, density) if sclerotic else carving


def open_cyst(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """A cyst with a dense wall that has broken through the contour."""
    middle = int(rng.integers(len(surface.points)))
    mouth = 0.5 * extent * rng.uniform(0.95, 1.1)
    radius = max(mouth * rng.uniform(1.1, 1.7), 1.3)
    inside = np.sqrt(max(radius**2 - mouth**2, 0.0)) * rng.uniform(0.9, 1.05)
    place = surface.points[middle, :2] + inside * surface.inward[middle]
    carving = Carving([bite(surface, place, radius, rng.uniform(0.45, 1.0), int(rng.choice((-1, 0, 1))))])
    for angle in rng.uniform(0, 2 * np.pi, 3):
        lobe = place + 0.4 * radius * np.array([np.cos(angle), np.sin(angle)])
        carving.bites.append(bite(surface, lobe, 0.7 * radius, rng.uniform(0.3, 0.9)))
    for share in (0.2, 0.6):
        neck = surface.points[middle, :2] + share * inside * surface.inward[middle]
        carving.bites.append(bite(surface, neck, mouth, 1.1))
    walled, width, density = rng.random() < 0.8, rng.uniform(0.3, 0.8), rng.uniform(0.2, 0.5)
    return carving.with_rims(width, density) if walled else carving


def diffuse(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """The cortex is lost along a stretch: the contour is indistinct, and the bone below is demineralised."""
    line = arc(surface, int(rng.integers(len(surface.points))), max(extent, 2.5), 0.35)
    carving = Carving(loss=rng.uniform(0.25, 0.6))
    for k in line:
        radius = rng.uniform(0.4, 0.9)
        place = surface.points[k, :2] + rng.uniform(-0.1, 0.6) * radius * surface.inward[k]
        carving.bites.append(bite(surface, place, radius, rng.uniform(0.5, 1.1), int(rng.choice((-1, 0, 1)))))
        if rng.random() < 0.35:
            deeper = surface.points[k, :2] + rng.uniform(0.8, 2.0) * surface.inward[k]
            carving.bites.append(bite(surface, deeper, rng.uniform(0.25, 0.5), rng.uniform(0.3, 0.7)))
    for k in line[:: max(len(line) // 4, 1)]:
        reach = np.clip(0.35 * extent, 1.5, 4.0)
        carving.thinned.append(bite(surface, surface.points[k, :2] + 0.4 * reach * surface.inward[k], reach, 0.8))
    return carving


def collapse(surface: Surface, extent: float, rng: np.random.Generator) -> Carving:
    """Most of the joint surface is destroyed, with an uneven edge, fragments, and dense bone below."""
    line = arc(surface, int(rng.integers(len(surface.points))), max(extent, 8.0), 0.5)
    size = np.ptp(surface.points[:, :2], axis=0).max()
    deepest = np.clip(rng.uniform(0.18, 0.4) * size, 2.0, 5.5)
    kept = rng.random(len(line)) > 0.12
    carving = Carving(_pressed_in(surface, line[kept], deepest, 0.3, 1.3, rng))
    carving.bites += [_hole(surface, front, rng) for front in carving.bites if rng.random() < 0.5]
    sclerotic, width, density = rng.random() < 0.6, rng.uniform(0.6, 1.6), rng.uniform(0.12, 0.35)
    return carving.with_rims(width, density) if sclerotic else carving


def _hole(surface: Surface, front: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a small hole at the inner edge of a bite."""
    nearest = np.argmin(np.hypot(*(surface.points[:, :2] - front[:2]).T))
    angle = rng.uniform(-0.8, 0.8)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    place = front[:2] + front[3] * turn @ surface.inward[nearest]
    return bite(surface, place, rng.uniform(0.4, 1.1), rng.uniform(0.4, 1.0))
