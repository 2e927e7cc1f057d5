"""Patient-wise cross-validation folds: all radiographs of a patient are in one fold."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

import numpy as np

from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.text import number_of


def patient_folds(cases: Sequence[Case], folds: int, seed: int) -> list[set[str]]:
    """Divide patients into folds with similar numbers of radiographs and of eroded joints.

    Args:
        cases: Radiographs.
        folds: Number of folds.
        seed: Seed of the order of patients with as many eroded joints and radiographs.

    Returns:
        The patients of each fold.

    Raises:
        ValueError: There are fewer patients than folds.
    """
    patients = sorted({case.patient for case in cases})
    if len(patients) < folds:
        raise ValueError(f"{number_of(len(patients), 'patient')} cannot be divided into {folds} folds")
    order = np.random.default_rng(seed).permutation(patients)
    own = {patient: [case for case in cases if case.patient == patient] for patient in patients}
    eroded = {patient: sum(score > 0 for case in own[patient] for score in case.scores) for patient in patients}
    dealt: list[set[str]] = [set() for _ in range(folds)]
    wrists, joints = [0] * folds, [0] * folds
    for patient in sorted(order, key=lambda patient: (-eroded[patient], -len(own[patient]))):
        least = min(range(folds), key=lambda fold: (wrists[fold], joints[fold], len(dealt[fold])))
        dealt[least].add(str(patient))
        wrists[least] += len(own[patient])
        joints[least] += eroded[patient]
    return dealt


def with_splits(dataset: RamW600, validation: Collection[str], test: Collection[str] = ()) -> RamW600:
    """Return a dataset whose splits are given by patient; all patients but those of `validation` and `test` train."""

    def placed(case: Case) -> Case:
        split = "test" if case.patient in test else "val" if case.patient in validation else "train"
        return replace(
            case,
            segmentation_split=None if case.mask is None else split,
            erosion_split=split if case.scored else None,
        )

    return replace(dataset, cases=tuple(placed(case) for case in dataset.cases))
