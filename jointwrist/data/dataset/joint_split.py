"""Select radiographs for joint training, with masks, scores or both, without leaks between the two tasks' splits."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.text import number_of

#: A radiograph or patient in several splits belongs to the last of them in this order.
_RANK = {split: rank for rank, split in enumerate(SPLITS)}


@dataclass(frozen=True)
class JointSplit:
    """One split of the joint set.

    Attributes:
        split: "train", "val" or "test".
        cases: Its radiographs.
        left_out: Identifiers that are in this split for one of the tasks but not in the joint set, by reason.
    """

    split: str
    cases: tuple[Case, ...]
    left_out: Mapping[str, tuple[str, ...]]

    def summary(self) -> str:
        """Describe in one sentence the contents of the split and what was left out."""
        masked = sum(case.mask is not None for case in self.cases)
        scored = sum(max(case.scores, default=-1) >= 0 for case in self.cases)
        both = sum(case.mask is not None and max(case.scores, default=-1) >= 0 for case in self.cases)
        count = number_of(len(self.cases), "radiograph")
        text = f"joint {self.split}: {count}, masks {masked}, scores {scored}, both {both}"
        reasons = "; ".join(f"{len(found)} {reason}" for reason, found in sorted(self.left_out.items()))
        return f"{text}; left out: {reasons}" if reasons else text


def joint_split(dataset: RamW600, split: str) -> JointSplit:
    """Choose the radiographs of one split for a network trained for both tasks.

    The two tasks were released with separate splits, so a radiograph, or another one of the same patient, can be in the
    training split of one task and in the test split of the other. Here, test contains the test radiographs of either
    task; val contains those of either task whose patients are not in test; train contains those whose patients are in
    neither val nor test. A network trained on this train split has no patient of either task's validation or test split
    in its training data.

    Raises:
        ValueError: The split is unknown.
    """
    if split not in _RANK:
        raise ValueError(f"unknown split {split!r}; splits are {', '.join(SPLITS)}")
    patient_rank: dict[str, int] = defaultdict(int)
    for case in dataset.cases:
        patient_rank[case.patient] = max(patient_rank[case.patient], _case_rank(case))
    chosen: list[Case] = []
    left_out: dict[str, list[str]] = defaultdict(list)
    for case in dataset.cases:
        if split not in (case.segmentation_split, case.erosion_split):
            continue
        if _case_rank(case) > _RANK[split]:
            left_out[f"{SPLITS[_case_rank(case)]} radiographs of the other task"].append(case.identifier)
        elif patient_rank[case.patient] > _RANK[split]:
            left_out[f"with a patient in {SPLITS[patient_rank[case.patient]]}"].append(case.identifier)
        else:
            chosen.append(case)
    return JointSplit(split, tuple(chosen), {reason: tuple(found) for reason, found in left_out.items()})


def _case_rank(case: Case) -> int:
    return max((_RANK[split] for split in (case.segmentation_split, case.erosion_split) if split), default=0)
