"""Erosion shapes for training: ragged, round, long and multiple bites with soft edges.

Their outlines are polar curves and bands, their floor is flat, and a Gaussian blurs their edge. The families of
`jointwrist.insertion.study_families`, on which networks are measured, share no code with these.

The function of a family takes the site, the radius in mm and a random generator, and returns the (h, w) distance in mm
from the outline of the erosion, positive inside.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from jointwrist.insertion.site import Site


def _disc(site: Site, at: tuple[float, float], radius: float, ragged: float, rng: np.random.Generator) -> np.ndarray:
    """Return (h, w) mm from the outline of a disc, positive inside; `ragged` is the roughness of its radius."""
    along, inward = site.along - at[0], site.inward - at[1]
    angle, distance = np.arctan2(inward, along), np.hypot(along, inward)
    waves = np.arange(2, 12)
    height = rng.normal(size=len(waves)) / waves**0.7
    height *= ragged / np.linalg.norm(height)
    phase = rng.uniform(0, 2 * np.pi, len(waves))
    outline = 1 + np.tensordot(height, np.cos(waves[:, None, None] * angle + phase[:, None, None]), 1)
    return radius * np.clip(outline, 0.5, 1.5) - distance


def ragged(site: Site, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A marginal bite with an irregular outline."""
    return _disc(site, (0.0, rng.uniform(-0.1, 0.5) * radius), radius, rng.uniform(0.1, 0.25), rng)


def round_bite(site: Site, radius: float, rng: np.random.Generator) -> np.ndarray:
    """A marginal bite with a smooth, round or oval outline."""
    stretch = rng.uniform(0.75, 1.3)
    along, inward = site.along * stretch, (site.inward - rng.uniform(0.0, 0.5) * radius) / stretch
    return radius - np.hypot(along, inward)


def surface_loss(site: Site, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Loss of the surface over a length of the contour, of uneven depth."""
    length, thickness = rng.uniform(1.3, 1.9) * radius, rng.uniform(0.45, 0.8) * radius
    phase = rng.uniform(0, 2 * np.pi, 3)
    uneven = 1 + sum(0.2 * np.sin((k + 1) * 2.2 * site.along / radius + phase[k]) for k in range(3))
    ends = np.sqrt(np.clip(1 - (site.along / length) ** 2, 0, 1))
    inside = np.minimum(thickness * uneven * ends - site.depth, length - np.abs(site.along))
    # the contour may turn back on itself within the window: only its part near the site is lost
    return np.minimum(inside, 1.5 * radius - np.abs(site.inward))


def several(site: Site, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Two to four small bites beside each other."""
    count = int(rng.integers(2, 5))
    places = (np.arange(count) - (count - 1) / 2) * rng.uniform(0.6, 1.0) * radius
    parts = [
        _disc(site, (place, rng.uniform(0.0, 0.35) * radius), rng.uniform(0.45, 0.7) * radius, 0.15, rng)
        for place in places
    ]
    return np.max(parts, axis=0)


SHAPES = {"ragged": ragged, "round": round_bite, "surface_loss": surface_loss, "several": several}


def lost_share(
    site: Site, family: str, radius: float, edge_mm: float, pixel_mm: float, rng: np.random.Generator
) -> np.ndarray:
    """Return the (h, w) share of bone that an erosion removes; negative where its rim is sclerotic.

    Args:
        site: Site of the erosion.
        family: One of `SHAPES`.
        radius: Radius in mm.
        edge_mm: Standard deviation of the radiograph's blur.
        pixel_mm: Side of a pixel.
        rng: Random generator.
    """
    inside = SHAPES[family](site, radius, rng)
    blur = edge_mm * rng.uniform(1.0, 2.2) / pixel_mm
    sharp = np.clip(inside / pixel_mm + 0.5, 0, 1)
    mottle = gaussian_filter(rng.standard_normal(sharp.shape), 0.4 / pixel_mm)
    tilt = rng.normal(0, 0.12, 2) / radius
    floor = rng.uniform(0.6, 1.0) * (1 + rng.uniform(0, 0.12) * mottle / max(mottle.std(), 1e-9))
    floor += tilt[0] * site.along + tilt[1] * site.inward
    share = gaussian_filter(sharp * np.clip(floor, 0.45, 1.0), blur)
    if rng.random() < 0.3:  # a sclerotic rim, as of an erosion that heals
        width = rng.uniform(0.3, 0.6)
        rim = np.exp(-0.5 * ((inside + width) / (0.5 * width)) ** 2) * (site.depth > 0.4)
        share = share - rng.uniform(0.05, 0.2) * gaussian_filter(rim, blur)
    return share
