"""Soft tissue: skin, fat and muscle of forearm, palm and thumb."""

from __future__ import annotations

import numba
import numpy as np

from jointwrist.phantom.bone_shape import Body
from jointwrist.phantom.pose import FINGERS
from jointwrist.phantom.ray_depths import enlarge
from jointwrist.phantom.shaft import smoothstep
from jointwrist.phantom.strands import capsule_depth, flank_of, strand_thickness
from jointwrist.phantom.texture import TILE_MM, level_for, tile


@numba.njit(cache=True, fastmath=True)
def _body(parts: np.ndarray, muscles: np.ndarray, count: int, step: float) -> tuple[np.ndarray, np.ndarray]:
    """Return depth below the outline and thickness, mm, on a coarse grid.

    Args:
        parts: Rows (ax, ay, bx, by, ra, rb, thickness) of tapered capsules, whose smooth union is the outline.
        muscles: Rows of muscle bellies, which add to the thickness.
        count: Cells per side.
        step: Cell size in mm.
    """
    outline, thick = np.empty((count, count), np.float32), np.empty((count, count), np.float32)
    depths = np.empty(parts.shape[0])
    for i in range(count):
        for j in range(count):
            x, y = (j + 0.5) * step, (i + 0.5) * step
            peak = -1e9
            for k in range(parts.shape[0]):
                depths[k] = capsule_depth(x, y, parts[k])
                peak = max(peak, depths[k])
            union, total, mean = 0.0, 0.0, 0.0
            for k in range(parts.shape[0]):
                behind = depths[k] - peak
                if behind > -40.0:
                    union += np.exp(behind / 3.0)
                    weight = np.exp(behind / 9.0)
                    total += weight
                    mean += weight * parts[k, 6]
            outline[i, j] = peak + 3.0 * (np.log(union) - 0.7)
            bulge = 0.0
            for k in range(muscles.shape[0]):
                edge = 1 - min(max(capsule_depth(x, y, muscles[k]) / muscles[k, 4], 0.0), 1.0)
                bulge += muscles[k, 6] * np.sqrt(1 - edge * edge)
            thick[i, j] = mean / total + bulge
    return outline, thick


def soft_tissue(
    bodies: list[Body], rng: np.random.Generator, size: int, spacing: float, scale: float, strands: np.ndarray
) -> np.ndarray:
    """Return the attenuation of skin, fat and muscle, (size, size) float32.

    The outline is a smooth union of tapered capsules along forearm, palm, fingers and thumb, not a blur of the bones.

    Args:
        bodies: Bones in the radiograph frame.
        rng: Generator of the wrist.
        size: Side of the radiograph in pixels.
        spacing: Pixel spacing in mm.
        scale: Size of the hand.
        strands: (N, 7) pads, tendons and planes of fat, of `draw_strands`.
    """
    step = max(1.2 / spacing, 1.0)
    count = int(np.ceil(size / step)) + 2
    by_name = {body.name: body for body in bodies}

    def along(name: str, mm: float) -> np.ndarray:
        body = by_name[name]
        return body.base + body.axis * mm * scale

    fat = rng.uniform(0, 1)
    m = scale
    wide = 9.5 + 8 * fat
    radius_end, ulna_end = along("DistalRadius", 6), along("DistalUlna", 2)
    flank = flank_of(by_name, scale)
    parts: list[list[float]] = []

    def add(a: np.ndarray, b: np.ndarray, ra: float, rb: float, thickness: float) -> None:
        parts.append([a[0], a[1], b[0], b[1], ra * m, rb * m, thickness * m])

    deep = rng.uniform(30, 38) + 8 * fat
    for name, half in (("DistalRadius", 12.0), ("DistalUlna", 7.0)):
        bone = by_name[name]
        add(bone.base + 4 * bone.axis, bone.base + 45 * bone.axis, wide + half - 3, wide + half - 2, deep)
        add(bone.base + 45 * bone.axis, bone.base + 120 * bone.axis, wide + half - 2, wide + half + 8, deep + 8)
    add(radius_end, ulna_end, wide + 7, wide + 5, deep)
    for name in FINGERS:
        outer = 4.5 if name.endswith("5th") else 0.0
        add(along(name, -16), along(name, 50), wide + 4 + outer, wide + 3 + outer, 27 + 4 * fat)
        add(along(name, 50), along(name, 110), wide + 3, wide + 1, 20)
    add(along("Metacarpal1st", -14), along("Metacarpal1st", 40), wide + 3.5, wide + 3, 25)
    add(along("Metacarpal1st", 40), along("Metacarpal1st", 85), wide + 3, wide + 1, 19)
    add(along("Metacarpal1st", -16), along("Metacarpal2nd", -10), wide + 6, wide + 4, 32)
    add(along("Metacarpal1st", 20), along("Metacarpal2nd", 24), wide + 8, wide + 8, 25)
    add(along("Metacarpal1st", rng.uniform(28, 40)), along("Metacarpal2nd", 44), wide + 2, wide + 4, 22)
    add(along("Metacarpal5th", -18), along("Metacarpal5th", 20), wide + 8, wide + 5, 30)
    thenar_end = 0.5 * (along("Metacarpal1st", 42) + along("Metacarpal2nd", 30))
    little = along("Metacarpal5th", 38) - 4 * flank
    muscles = np.array(
        [
            [*along("Metacarpal1st", 2)[:2], *thenar_end[:2], 12 * m, 9.6 * m, rng.uniform(3, 8)],
            [*along("Metacarpal5th", -4)[:2], *little[:2], 10 * m, 8 * m, rng.uniform(2, 6)],
        ]
    )
    fields = _body(np.array(parts), muscles, count, step * spacing)
    outline, thick = (enlarge(field, step, size) for field in fields)
    if len(strands):
        thick = np.maximum(thick + strand_thickness(strands, size, spacing), 0)
    inside = np.clip(outline, 0, None)
    rounding = rng.uniform(13, 21) * m
    skin = (1 - (1 - np.clip(inside / rounding, 0, 1)) ** 2) ** 0.55
    layer = (1.0 + 4 * fat) * m
    muscle = smoothstep(inside, layer, layer + 0.55 * rounding) * skin**0.5
    mottle = tile("mottle", level_for(spacing))
    rows = (np.arange(size) * spacing / TILE_MM * mottle.shape[0] + rng.integers(1024)).astype(int) % mottle.shape[0]
    columns = (np.arange(size) * spacing / TILE_MM * mottle.shape[0] + rng.integers(1024)).astype(int) % mottle.shape[0]
    streaks = mottle[rows].take(columns, axis=1)
    fat_share = 0.35 + 0.3 * fat
    path = thick * (fat_share * skin * 0.85 + (1 - fat_share) * muscle * (1 + 0.025 * streaks))
    attenuation = (rng.uniform(0.0215, 0.025) * path).astype(np.float32)
    _add_folds(attenuation, by_name, rng, spacing, scale)
    return attenuation


@numba.njit(cache=True, fastmath=True)
def _stroke(attenuation: np.ndarray, line: np.ndarray, width: float, strength: float) -> None:
    """Thicken the skin along a line (N, 2) in pixels, where there is skin; where strokes cross, the thicker counts."""
    size = attenuation.shape[0]
    reach = int(3 * width) + 1
    left, top = max(int(line[:, 0].min()) - reach, 0), max(int(line[:, 1].min()) - reach, 0)
    right, bottom = int(line[:, 0].max()) + reach + 1, int(line[:, 1].max()) + reach + 1
    added = np.zeros((max(min(bottom, size) - top, 0), max(min(right, size) - left, 0)))
    for k in range(line.shape[0]):
        fade = np.sin(np.pi * (k + 0.5) / line.shape[0])
        column, row = int(line[k, 0]), int(line[k, 1])
        for i in range(max(row - reach, 0), min(row + reach + 1, size)):
            for j in range(max(column - reach, 0), min(column + reach + 1, size)):
                square = (j + 0.5 - line[k, 0]) ** 2 + (i + 0.5 - line[k, 1]) ** 2
                value = strength * fade * np.exp(-0.5 * square / (width * width))
                before = added[i - top, j - left]
                if value > before:
                    added[i - top, j - left] = value
                    attenuation[i, j] += (value - before) * min(attenuation[i, j] * 2, 1.0)


def _arc(start: np.ndarray, end: np.ndarray, sag: float, spacing: float) -> np.ndarray:
    """Return points (N, 2) in pixels, half a pixel apart, on an arc from start to end."""
    chord = (end - start)[:2]
    count = max(int(2 * np.linalg.norm(chord) / spacing), 2)
    t = np.linspace(0, 1, count)[:, None]
    normal = np.array([-chord[1], chord[0]])
    return (start[:2] + t * chord + 4 * sag * t * (1 - t) * normal) / spacing


def _add_folds(
    attenuation: np.ndarray, bodies: dict[str, Body], rng: np.random.Generator, spacing: float, scale: float
) -> None:
    """Add the creases of wrist, thenar and web: lines of doubled skin."""

    def along(name: str, mm: float) -> np.ndarray:
        return bodies[name].base + bodies[name].axis * mm * scale

    ulnar = along("DistalUlna", -12) + 1.2 * (along("DistalUlna", 0) - along("DistalRadius", 0))
    radial = along("DistalRadius", -8) - 0.9 * (along("DistalUlna", 0) - along("DistalRadius", 0))
    for _ in range(int(rng.integers(0, 4))):
        from_ulnar = rng.random() < 0.7
        start = (ulnar if from_ulnar else radial) + rng.normal(0, 3, 3)
        end = start + rng.uniform(0.15, 0.5) * ((radial if from_ulnar else ulnar) - start) + rng.normal(0, 3, 3)
        _stroke(
            attenuation,
            _arc(start, end, rng.normal(0, 0.12), spacing),
            rng.uniform(0.2, 0.5) / spacing,
            rng.uniform(0.02, 0.08),
        )
    if rng.random() < 0.6:
        start = along("Metacarpal2nd", rng.uniform(38, 55)) + rng.normal(0, 4, 3)
        end = along("Metacarpal3rd", rng.uniform(-8, 10)) + rng.normal(0, 4, 3)
        line = _arc(start, end, rng.uniform(-0.35, 0.05), spacing)
        _stroke(attenuation, line, rng.uniform(0.25, 0.6) / spacing, rng.uniform(0.01, 0.05))
    for _ in range(int(rng.integers(0, 4))):
        start = 0.5 * (along("Metacarpal1st", 45) + along("Metacarpal2nd", 48)) + rng.normal(0, 5, 3)
        end = start + rng.normal(0, 12, 3)
        line = _arc(start, end, rng.normal(0, 0.25), spacing)
        _stroke(attenuation, line, rng.uniform(0.2, 0.5) / spacing, rng.uniform(0.02, 0.07))
