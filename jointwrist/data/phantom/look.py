"""From attenuation to a radiograph: soft tissue, scatter, noise, detector, and the looks of several centres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from jointwrist.data.phantom.shape import Body
from jointwrist.data.phantom.texture import TILE_MM, level_for, tile


def _capsule(grid: tuple[np.ndarray, np.ndarray], a: np.ndarray, b: np.ndarray, ra: float, rb: float) -> np.ndarray:
    """Return the signed depth (positive inside) below the surface of a tapered capsule."""
    x, y = grid
    d = b[:2] - a[:2]
    t = np.clip(((x - a[0]) * d[0] + (y - a[1]) * d[1]) / max(d @ d, 1e-6), 0, 1)
    return ra + t * (rb - ra) - np.hypot(x - a[0] - t * d[0], y - a[1] - t * d[1])


def _bump(grid: tuple[np.ndarray, np.ndarray], a: np.ndarray, b: np.ndarray, radius: float) -> np.ndarray:
    """Return the thickness, at most 1, of a muscle belly from a to b."""
    depth = _capsule(grid, a, b, radius, radius * 0.8)
    return np.sqrt(np.clip(1 - (1 - np.clip(depth / radius, 0, 1)) ** 2, 0, 1))


def soft_tissue(bodies: list[Body], rng: np.random.Generator, size: int, spacing: float, scale: float) -> np.ndarray:
    """Return the attenuation of skin, fat and muscle, (size, size) float32.

    The outline is a smooth union of tapered capsules along forearm, palm, fingers and thumb, not a blur of the bones.

    Args:
        bodies: Bones in the film frame.
        rng: Generator of the wrist.
        size: Side of the film in pixels.
        spacing: Pixel spacing in mm.
        scale: Size of the hand.
    """
    step = max(0.9 / spacing, 1.0)
    count = int(np.ceil(size / step)) + 2
    at = (np.arange(count) * step + 0.5 * step) * spacing
    grid = (np.broadcast_to(at[None], (count, count)), np.broadcast_to(at[:, None], (count, count)))
    by_name = {body.name: body for body in bodies}

    def along(name: str, mm: float) -> np.ndarray:
        body = by_name[name]
        return body.base + body.axis * mm * scale

    fat = rng.uniform(0, 1)
    m = scale
    wide = 7.5 + 7 * fat
    radius_end, ulna_end = along("DistalRadius", 6), along("DistalUlna", 2)
    middle = 0.5 * (radius_end + ulna_end)
    direction = by_name["DistalRadius"].axis + by_name["DistalUlna"].axis
    far = middle + direction / np.linalg.norm(direction) * 90
    flank = np.array([*(radius_end - ulna_end)[:2], 0.0])
    flank /= np.linalg.norm(flank)
    parts: list[tuple[np.ndarray, float]] = []

    def add(a: np.ndarray, b: np.ndarray, ra: float, rb: float, thickness: float) -> None:
        parts.append((_capsule(grid, a, b, ra * m, rb * m), thickness * m))

    deep = rng.uniform(30, 38) + 8 * fat
    for sign, reach in ((1, 12.0), (-1, 8.0)):
        start = (radius_end if sign > 0 else ulna_end) - sign * flank * reach * 0.4
        add(start, far + sign * flank * 9, wide + 9, wide + 15, deep)
    for name in ("Metacarpal2nd", "Metacarpal3rd", "Metacarpal4th", "Metacarpal5th"):
        outer = 3.0 if name.endswith("5th") else 0.0
        add(along(name, -16), along(name, 55), wide + 4 + outer, wide + 3 + outer, 27 + 4 * fat)
        add(along(name, 55), along(name, 110), wide + 3, wide + 1, 20)
    add(along("Metacarpal1st", -14), along("Metacarpal1st", 40), wide + 3.5, wide + 2, 25)
    add(along("Metacarpal1st", 40), along("Metacarpal1st", 85), wide + 2, wide, 19)
    add(along("Metacarpal5th", -18), along("Metacarpal5th", 20), wide + 8, wide + 5, 30)
    add(along("Metacarpal1st", -16), along("Metacarpal2nd", -10), wide + 4, wide + 4, 32)
    depths = np.stack([depth for depth, _ in parts]) / 3.0
    peak = depths.max(0)
    weights = np.exp(depths - peak)
    total = weights.sum(0)
    outline = 3.0 * (peak + np.log(total) - 0.7)
    soft = np.exp((depths - peak) / 3.0)
    thick = (soft * np.array([t for _, t in parts])[:, None, None]).sum(0) / soft.sum(0)
    thenar = _bump(
        grid, along("Metacarpal1st", 2), 0.5 * (along("Metacarpal1st", 42) + along("Metacarpal2nd", 30)), 12 * m
    )
    hypothenar = _bump(grid, along("Metacarpal5th", -4), along("Metacarpal5th", 38) - 4 * flank, 10 * m)
    thick = thick + rng.uniform(3, 8) * thenar + rng.uniform(2, 6) * hypothenar

    def full(field: np.ndarray) -> np.ndarray:
        enlarged = zoom(field.astype(np.float32), step, order=1, grid_mode=True, mode="nearest") if step > 1 else field
        return enlarged[:size, :size].astype(np.float32)

    outline, thick = full(outline), full(thick)
    inside = np.clip(outline, 0, None)
    rounding = rng.uniform(11, 15) * m
    skin = np.sqrt(np.clip(1 - (1 - np.clip(inside / rounding, 0, 1)) ** 2, 0, 1))
    layer = (1.5 + 5 * fat) * m
    muscle = np.sqrt(np.clip(1 - (1 - np.clip((inside - layer) / (0.8 * rounding), 0, 1)) ** 2, 0, 1))
    mottle = tile("mottle", level_for(spacing))
    rows = (np.arange(size) * spacing / TILE_MM * mottle.shape[0] + rng.integers(1024)).astype(int) % mottle.shape[0]
    columns = (np.arange(size) * spacing / TILE_MM * mottle.shape[0] + rng.integers(1024)).astype(int) % mottle.shape[0]
    streaks = mottle[rows[:, None], columns[None]]
    fat_share = 0.35 + 0.3 * fat
    path = thick * (fat_share * skin * 0.85 + (1 - fat_share) * muscle * (1 + 0.025 * streaks))
    return (rng.uniform(0.0215, 0.025) * path).astype(np.float32)


@dataclass(frozen=True)
class Centre:
    """How one centre exposes and shows a wrist.

    Attributes:
        dose: Photons a pixel of 0.15 mm in air.
        scatter: Scattered share of the primary beam.
        blur: Detector blur in mm.
        level: Attenuation shown as mid-grey.
        width: Width of the sigmoid look-up table.
        detail: Strength of edge enhancement.
        compression: Strength of the removal of slow trends.
        gamma: Exponent of the display.
        inverted: Bones dark.
        bars: Black bars (top, bottom, left, right) in mm.
        marker: Whether a side marker lies on the film.
    """

    dose: float
    scatter: float
    blur: float
    level: float
    width: float
    detail: float
    compression: float
    gamma: float
    inverted: bool
    bars: tuple[float, float, float, float]
    marker: bool


def draw_centre(rng: np.random.Generator, variation: float) -> Centre:
    """Draw a look."""
    v = variation
    top = rng.uniform(1, 9) if rng.random() < 0.25 * v else 0.0
    others = [rng.uniform(1, 6) if rng.random() < 0.03 * v else 0.0 for _ in range(3)]
    return Centre(
        dose=float(np.exp(rng.normal(np.log(2500), 0.5 * v))),
        scatter=rng.uniform(0.02, 0.12),
        blur=rng.uniform(0.06, 0.16),
        level=rng.normal(0.0, 0.07 * v),
        width=float(np.exp(rng.normal(np.log(0.34), 0.15 * v))),
        detail=rng.uniform(0.2, 1.0),
        compression=rng.uniform(0.0, 0.3),
        gamma=float(np.exp(rng.normal(0, 0.12 * v))),
        inverted=bool(rng.random() < 0.02 * v),
        bars=(top, *others),
        marker=bool(rng.random() < 0.06 * v),
    )


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return a wide Gaussian blur, computed on a grid as coarse as the blur allows."""
    factor = int(max(sigma / 2.5, 1))
    if factor == 1:
        return gaussian_filter(image, sigma, mode="nearest", truncate=3)
    height, width = image.shape
    padded = np.pad(image, ((0, -height % factor), (0, -width % factor)), mode="edge")
    coarse = padded.reshape(padded.shape[0] // factor, factor, -1, factor).mean((1, 3))
    coarse = gaussian_filter(coarse, sigma / factor, mode="nearest", truncate=3)
    return zoom(coarse, factor, order=1, grid_mode=True, mode="nearest")[:height, :width]


def develop(attenuation: np.ndarray, centre: Centre, rng: np.random.Generator, spacing: float) -> np.ndarray:
    """Return the radiograph, float32 in [0, 1], of the attenuation of bones and soft tissue together."""
    primary = np.exp(-attenuation)
    signal = primary + centre.scatter * _smooth(primary, 12 / spacing)
    photons = centre.dose * (spacing / 0.15) ** 2
    signal = signal + np.sqrt(signal / photons) * rng.standard_normal(signal.shape, dtype=np.float32)
    signal = (
        gaussian_filter(signal, centre.blur / spacing, mode="nearest", truncate=2.5)
        if centre.blur > 0.3 * spacing
        else signal
    )
    shown = -np.log(np.clip(signal, 0.01, None))
    fine, slow = _smooth(shown, 1.2 / spacing), _smooth(shown, 10 / spacing)
    shown = (
        shown
        + centre.detail * (shown - fine)
        + centre.compression * (np.clip(slow, 0.5, None).mean() - slow) * (slow > 0.4)
    )
    tissue = slow > 0.45
    middle = float(np.median(shown[tissue])) if tissue.any() else 0.9
    image = 1 / (1 + np.exp(-(shown - middle - centre.level) / centre.width))
    floor = 1 / (1 + np.exp((middle + centre.level) / centre.width))
    image = np.clip((image - 0.7 * floor) / (0.97 - 0.7 * floor), 0, 1) ** centre.gamma
    return image.astype(np.float32)


_GLYPHS = {"L": ("100", "100", "100", "100", "111"), "R": ("110", "101", "110", "101", "101")}


def finish(image: np.ndarray, centre: Centre, rng: np.random.Generator, spacing: float, side: str) -> np.ndarray:
    """Lay bars and marker over the film, in film orientation, and quantise it to 8 bits."""
    size = image.shape[0]
    if centre.marker:
        cell = max(round(rng.uniform(0.7, 1.3) / spacing), 1)
        glyph = np.kron(np.array([[c == "1" for c in row] for row in _GLYPHS[side]]), np.ones((cell, cell), bool))
        y = int(rng.uniform(0.03, 0.9) * size)
        x = int((rng.uniform(0.02, 0.1) if rng.random() < 0.5 else rng.uniform(0.85, 0.93)) * size)
        patch = image[y : y + glyph.shape[0], x : x + glyph.shape[1]]
        patch[glyph[: patch.shape[0], : patch.shape[1]]] = rng.uniform(0.85, 1.0)
    if centre.inverted:
        image = 1 - image
    top, bottom, left, right = (round(bar / spacing) for bar in centre.bars)
    image[:top] = 0
    image[size - bottom :] = 0
    image[:, :left] = 0
    image[:, size - right :] = 0
    return (np.round(image * 255) / 255).astype(np.float32)
