"""The random generators of one wrist, one for each kind of variation."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Generators(NamedTuple):
    """Random generators of one wrist; separate ones, so that an option of the configuration changes nothing else.

    Attributes:
        wrist: Pose, erosions without families, materials and exposure.
        relief: Relief of the patient's bones, which all radiographs of the patient share.
        osteopenia: Loss of spongy bone.
        malalignment: Rotation of the carpal bones.
        families: Families of erosions and look-alikes.
        scope: Findings outside the scope of erosion scoring.
        narrowing: Narrowed joints.
        projection: Projections other than posteroanterior.
    """

    wrist: np.random.Generator
    relief: np.random.Generator
    osteopenia: np.random.Generator
    malalignment: np.random.Generator
    families: np.random.Generator
    scope: np.random.Generator
    narrowing: np.random.Generator
    projection: np.random.Generator

    @classmethod
    def of(cls, seed: int, index: int, patient: int) -> Generators:
        """Seed the generators by cohort, purpose, and number of the wrist or patient."""
        purposes = ((0, index), (3, patient), (2, index), (4, index), (5, index), (6, index), (8, index), (9, index))
        return cls(*(np.random.default_rng([seed, purpose, number]) for purpose, number in purposes))
