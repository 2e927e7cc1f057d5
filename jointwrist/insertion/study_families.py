"""Erosion shapes for studies: undermined cavities and scallops, on which no network of this project is trained.

Their outlines are implicit solids, their floor is curved or sloping, and their wall has a bevel under a logistic edge.
They share no code with `jointwrist.insertion.training_families`.

The function of a family takes the site, the radius in mm and a random generator. It returns the (h, w) distance in mm
from the outline of the erosion, positive inside, and the (h, w) share of bone that is lost at full depth.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit

from jointwrist.insertion.site import Site


def undermined(site: Site, radius: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A spherical cavity under the surface that opens through a narrower neck."""
    tilt, deep = rng.uniform(-0.35, 0.35), rng.uniform(0.5, 0.8) * radius
    width, height = radius * rng.uniform(0.85, 1.15), radius * rng.uniform(0.8, 1.0)
    u = (site.along - tilt * site.inward) / width
    v = (site.inward - deep) / height
    level = np.sqrt(u**2 + v**2)
    cavity = (1 - level) * min(width, height)
    neck = np.where(site.inward < deep, rng.uniform(0.45, 0.8) * radius - np.abs(site.along), -np.inf)
    neck = np.minimum(neck, site.inward + radius)
    dome = np.sqrt(np.clip(1 - np.minimum(level, 1) ** 2, 0, 1))
    floor = np.maximum(0.5 + 0.5 * dome, 0.75 * (neck > 0))
    return np.maximum(cavity, neck), floor


def scallops(site: Site, radius: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """One to three superellipses side by side, deepest at the contour and shallower towards the middle of the bone."""
    count, power = int(rng.integers(1, 4)), rng.uniform(2.3, 4.0)
    half = radius * (1.15 if count == 1 else 1.25 / np.sqrt(count))
    parts = []
    for index in range(count):
        middle = (index - (count - 1) / 2) * 1.5 * half + rng.uniform(-0.2, 0.2) * half
        tall = half * rng.uniform(0.8, 1.25)
        level = (np.abs((site.along - middle) / half) ** power + np.abs(site.inward / tall) ** power) ** (1 / power)
        parts.append((1 - level) * min(half, tall))
    slope = np.clip(1.05 - 0.35 * np.maximum(site.depth, 0) / radius, 0.6, 1.0)
    return np.max(parts, axis=0), slope


SHAPES = {"undermined": undermined, "scallops": scallops}


def lost_share(site: Site, family: str, radius: float, edge_mm: float, rng: np.random.Generator) -> np.ndarray:
    """Return the (h, w) share of bone that an erosion removes, in [0, 1].

    Args:
        site: Site of the erosion.
        family: One of `SHAPES`.
        radius: Radius in mm.
        edge_mm: Standard deviation of the radiograph's blur.
        rng: Random generator.
    """
    inside, floor = SHAPES[family](site, radius, rng)
    bevel = rng.uniform(0.05, 0.3)
    # a logistic curve of scale s has the standard deviation s pi / sqrt(3)
    scale = np.hypot(edge_mm, bevel) * np.sqrt(3) / np.pi
    return rng.uniform(0.65, 1.0) * floor * expit(inside / scale)
