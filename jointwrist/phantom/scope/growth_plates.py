"""Growth plates of radius and ulna: a lucent band across the bone between two dense lines."""

from __future__ import annotations

import numpy as np

from jointwrist.phantom.bone_shape import FOREARM, Body
from jointwrist.phantom.render import Lesions
from jointwrist.phantom.shaft import shaft_frame

#: Distance from the joint end in mm, half the width of the band across the bone, and distance between its pieces.
_ALONG, _HALF_MM, _STEP_MM = {"DistalRadius": (7.0, 11.0), "DistalUlna": (5.0, 8.0)}, 20.0, 0.5
#: Half the length of a piece along the ray: through the whole bone.
_THROUGH_MM = 30.0


def growth_plate(body: Body, rng: np.random.Generator) -> Lesions:
    """Draw the growth plate of a bone of the forearm, wavy and of uneven width.

    Raises:
        ValueError: The bone has none that is drawn.
    """
    if body.name not in FOREARM:
        raise ValueError(f"growth plates are drawn in {', '.join(FOREARM)}, not in {body.name}")
    across, _ = shaft_frame(body.axis)
    middle = body.base + rng.uniform(*_ALONG[body.name]) * body.axis
    t = np.arange(-_HALF_MM, _HALF_MM, _STEP_MM)
    wave = rng.uniform(0.3, 1.0) * np.sin(t / rng.uniform(2.5, 5.0) + rng.uniform(0, 6)) + 0.02 * t**2
    radius = rng.uniform(0.6, 1.2) * (1 + 0.15 * rng.standard_normal(len(t)))
    centres = middle + t[:, None] * across + wave[:, None] * body.axis
    band = np.column_stack([centres, np.clip(radius, 0.4, None), np.full(len(t), _THROUGH_MM)])
    lines = band + np.array([0, 0, 0, rng.uniform(0.4, 0.9), 0])
    return Lesions(
        *(np.zeros((0, 5)) for _ in range(3)),
        rims=lines,
        thinned=band,
        sclerosis=rng.uniform(0.04, 0.1),
        loss=rng.uniform(0.75, 0.95),
    )
