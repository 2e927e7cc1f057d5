"""Metal in the wrist: plates with screws, wires, and compression screws, as thickness along the ray."""

from __future__ import annotations

import numpy as np

from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.shaft import shaft_frame
from jointwrist.phantom.strands import strand_thickness

#: Attenuation above soft tissue in 1/mm of titanium and of steel, about 55 keV.
_ATTENUATION = (0.25, 0.8)


def metal(bodies: dict[str, Body], rng: np.random.Generator, size: int, spacing: float, scale: float) -> np.ndarray:
    """Return the attenuation (size, size) float32 of a radius plate, wires, a carpal screw or a fusion plate."""
    kind = rng.choice(("plate", "wires", "screw", "fusion"), p=(0.45, 0.25, 0.15, 0.15))
    draw = {"plate": _radius_plate, "wires": _wires, "screw": _carpal_screw, "fusion": _fusion_plate}[str(kind)]
    solid, holes = draw(bodies, rng, scale)
    thickness = strand_thickness(np.array(solid).reshape(-1, 7), size, spacing)
    if holes:
        thickness = np.where(strand_thickness(np.array(holes).reshape(-1, 7), size, spacing) > 0, 0, thickness)
    return (float(rng.choice(_ATTENUATION)) * thickness).astype(np.float32)


Rows = list[list[float]]


def _rod(start: np.ndarray, end: np.ndarray, radius: float, thickness: float | None = None) -> list[float]:
    return [*start[:2], *end[:2], radius, radius, 2 * radius if thickness is None else thickness]


def _plate(start: np.ndarray, end: np.ndarray, half: float, rng: np.random.Generator) -> tuple[Rows, Rows]:
    """Return a straight plate with holes, most of them with a screw that is seen end-on or a little from the side."""
    thickness = rng.uniform(1.5, 2.8)
    axis = (end - start) / np.linalg.norm(end - start)
    across = np.array([-axis[1], axis[0], 0.0])
    solid = [_rod(start + share * half * across, end + share * half * across, 0.5 * half, thickness)
             for share in (-0.5, 0.0, 0.5)]  # fmt: skip
    holes = []
    for along in np.arange(3.5, np.linalg.norm(end - start) - 2, rng.uniform(7.0, 10.0)):
        centre = start + along * axis
        holes.append(_rod(centre, centre + 0.1 * axis, 0.4 * half))
        if rng.random() < 0.75:
            lean = rng.normal(0, 2.0, 3)
            solid.append(_rod(centre, centre + lean, rng.uniform(1.2, 1.7), rng.uniform(8.0, 16.0)))
    return solid, [hole for hole in holes if rng.random() < 0.4]


def _radius_plate(bodies: dict[str, Body], rng: np.random.Generator, scale: float) -> tuple[Rows, Rows]:
    radius = bodies["DistalRadius"]
    axis, (across, _) = radius.axis, shaft_frame(radius.axis)
    head = radius.base + rng.uniform(8.0, 13.0) * scale * axis
    half = rng.uniform(8.0, 11.0) * scale
    solid, holes = _plate(head, head + rng.uniform(32.0, 55.0) * axis, rng.uniform(4.0, 5.5), rng)
    thickness = rng.uniform(1.5, 2.8)
    for row in np.linspace(-2.0, 2.0, 3):
        solid.append(_rod(head - half * across + row * axis, head + half * across + row * axis, 2.2, thickness))
    for share in np.linspace(-0.9, 0.9, int(rng.integers(3, 6))):
        foot = head + share * half * across
        solid.append(_rod(foot, foot - rng.uniform(0.0, 6.0) * axis + rng.normal(0, 1.0, 3), rng.uniform(0.9, 1.3)))
    return solid, holes


def _wires(bodies: dict[str, Body], rng: np.random.Generator, scale: float) -> tuple[Rows, Rows]:
    radius = bodies["DistalRadius"]
    axis, (across, _) = radius.axis, shaft_frame(radius.axis)
    solid = []
    for side in rng.permutation((-1, -1, 1))[: int(rng.integers(1, 4))]:
        start = radius.base + scale * (rng.uniform(-4.0, 3.0) * axis + side * rng.uniform(8.0, 13.0) * across)
        end = radius.base + scale * (rng.uniform(22.0, 45.0) * axis - side * rng.uniform(2.0, 8.0) * across)
        solid.append(_rod(start - 0.25 * (end - start), end, rng.uniform(0.6, 0.9)))
    return solid, []


def _carpal_screw(bodies: dict[str, Body], rng: np.random.Generator, scale: float) -> tuple[Rows, Rows]:
    bone = bodies[str(rng.choice(("Scaphoid", "Scaphoid", "Lunate", "Capitate")))]
    points = bone.points[:, :2]
    _, _, directions = np.linalg.svd(points - points.mean(0), full_matrices=False)
    middle, half = points.mean(0) + rng.normal(0, 0.8, 2), rng.uniform(7.0, 11.0) * scale
    start, end = (np.array([*(middle + sign * half * directions[0]), 0.0]) for sign in (-1, 1))
    threads = [_rod(point, point + 0.2 * (end - start), 1.9, 2.4) for point in (start, start + 0.75 * (end - start))]
    return [_rod(start, end, 1.2), *threads], []


def _fusion_plate(bodies: dict[str, Body], rng: np.random.Generator, scale: float) -> tuple[Rows, Rows]:
    radius, metacarpal = bodies["DistalRadius"], bodies["Metacarpal3rd"]
    start = radius.base + rng.uniform(35.0, 55.0) * radius.axis
    end = metacarpal.base + rng.uniform(25.0, 45.0) * scale * metacarpal.axis
    return _plate(start, end, rng.uniform(3.5, 5.0), rng)
