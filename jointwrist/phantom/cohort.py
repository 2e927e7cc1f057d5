"""The cohort: patient, study, side, labels and split of each radiograph, as a function of its index alone."""

from __future__ import annotations

from dataclasses import dataclass, replace

#: Sixteen radiographs of five patients and two external patients: (patient, study, side, role); side "?" is drawn.
#: Roles have the proportions of RAM-W600: about 370 of 1,048 with masks and scores, 248 with masks, 430 with scores.
_BLOCK = (
    (0, 1, "L", "both"), (0, 1, "R", "scores"), (1, 1, "?", "both"), (-1, 1, "?", "masks"),
    (2, 1, "L", "both"), (2, 1, "R", "scores"), (2, 2, "L", "masks"), (2, 2, "R", "scores"),
    (3, 1, "?", "both"), (-2, 1, "?", "masks"), (4, 1, "L", "both"), (4, 1, "R", "scores"),
    (4, 2, "L", "masks"), (4, 2, "R", "alternate"), (4, 3, "L", "scores"), (4, 3, "R", "scores"),
)  # fmt: skip
_PATIENT_SPLITS = ("train", "val", "train", "test", "train", "val", "test", "test", "train", "train")
_EXTERNAL_SPLITS = ("train", "test", "train", "train", "train", "val", "train", "test")
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True)
class CohortEntry:
    """One radiograph of the cohort.

    Attributes:
        identifier: `PPPP_SSSS_L|R` or `EXT_PPPP_0001_L|R`.
        patient: `PPPP` or `EXT_PPPP`.
        patient_number: Number over all patients, external ones included.
        side: "L" or "R".
        has_masks: Whether its masks are written.
        has_scores: Whether its scores are written.
        split: "train", "val" or "test", the same for all radiographs of a patient and for both tasks.
    """

    identifier: str
    patient: str
    patient_number: int
    side: str
    has_masks: bool
    has_scores: bool
    split: str


@dataclass(frozen=True)
class Parts:
    """Splits of given sizes, as consecutive ranges of indices.

    Training keeps the pattern of labels of RAM-W600; every radiograph of the other two has masks and scores.

    Attributes:
        train: Radiographs to train on.
        val: Radiographs for validation.
        test: Radiographs to test on.

    Raises:
        ValueError: A size is not a positive multiple of 16, which could divide a patient between two splits.
    """

    train: int
    val: int
    test: int

    def __post_init__(self) -> None:
        """Refuse sizes that would split a patient."""
        for number in (self.train, self.val, self.test):
            if number < 1 or number % len(_BLOCK):
                raise ValueError(f"the parts of a cohort are multiples of {len(_BLOCK)} radiographs, not {number}")

    @property
    def wrists(self) -> int:
        """Number of radiographs in all splits."""
        return self.train + self.val + self.test

    def entry(self, index: int, left_fraction: float = 0.5) -> CohortEntry:
        """Return the entry of radiograph `index`, with patient and side as in `cohort_entry`."""
        entry = cohort_entry(index, left_fraction)
        if index < self.train:
            return replace(entry, split="train")
        split = "val" if index < self.train + self.val else "test"
        return replace(entry, split=split, has_masks=True, has_scores=True)


def cohort_entry(index: int, left_fraction: float = 0.5) -> CohortEntry:
    """Return the entry of radiograph `index`; from 9 radiographs up, no split of either task is empty."""
    if index < 0:
        raise ValueError(f"a wrist's index must not be negative, not {index}")
    block, slot = divmod(index, len(_BLOCK))
    member, study, side, role = _BLOCK[slot]
    if side == "?":
        side = "L" if ((7 * block + slot) * _GOLDEN) % 1 < left_fraction else "R"
    if member >= 0:
        number = 5 * block + member
        patient, split, patient_number = f"{number + 1:04d}", _PATIENT_SPLITS[number % 10], 7 * block + member
    else:
        number = 2 * block - member - 1
        patient, split = f"EXT_{number + 1:04d}", _EXTERNAL_SPLITS[number % 8]
        patient_number = 7 * block + 4 - member
    if role == "alternate":
        role = "both" if block % 2 else "scores"
    return CohortEntry(
        identifier=f"{patient}_{study:04d}_{side}",
        patient=patient,
        patient_number=patient_number,
        side=side,
        has_masks=role in ("both", "masks"),
        has_scores=role in ("both", "scores"),
        split=split,
    )
