"""Properties shared by all radiographs of a patient: hand size, density, proneness to erosions, bone shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from jointwrist.phantom.bone_shape import Body, build_bodies, patient_harmonics


@dataclass(frozen=True)
class Patient:
    """One patient of a cohort.

    Attributes:
        hand: Size of the hand relative to the atlas.
        density: Density of the bones relative to the usual.
        proneness: Probability that a joint surface is eroded.
        bodies: Bones in the atlas frame; they must not be changed in place.
    """

    hand: float
    density: float
    proneness: float
    bodies: tuple[Body, ...]


@lru_cache(maxsize=2)
def draw_patient(seed: int, number: int, variation: float, prevalence: float, level: int) -> Patient:
    """Draw a patient; cached, as consecutive radiographs of a cohort often show the same one.

    Args:
        seed: Seed of the cohort.
        number: Number of the patient.
        variation: Strength of the variation.
        prevalence: Mean probability that a joint surface is eroded.
        level: Subdivision of the icosphere.
    """
    rng = np.random.default_rng([seed, 1, number])
    harmonics = patient_harmonics(rng, variation)
    hand = float(np.clip(rng.normal(1.0, 0.06 * variation), 0.85, 1.15))
    density = float(np.clip(rng.normal(1.0, 0.16 * variation), 0.6, 1.4))
    proneness = rng.beta(1.5 * prevalence, 1.5 * (1 - prevalence)) if 0 < prevalence < 1 else prevalence
    return Patient(hand, density, proneness, tuple(build_bodies(harmonics, rng, level, variation)))
