"""Score masks that another tool predicted, on the radiographs' own pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from jointwrist.data.dataset.case import Case, load_sample
from jointwrist.data.mask_formats.label_map import by_number, numbers_of, to_label_map
from jointwrist.data.mask_formats.layers import bone_bits
from jointwrist.data.mask_formats.predicted import Predicted
from jointwrist.errors import DataError
from jointwrist.metrics.label_map import dice_bound
from jointwrist.metrics.segmentation_results import segmentation_results

#: Wrong orientations of masks, by their description.
_ORIENTATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "are transposed": lambda bits: bits.T,
    "are mirrored left to right": lambda bits: bits[:, ::-1],
    "are upside down": lambda bits: bits[::-1],
    "are rotated by 180 degrees": lambda bits: bits[::-1, ::-1],
    "are rotated by 90 degrees": lambda bits: np.rot90(bits),
    "are rotated by 270 degrees": lambda bits: np.rot90(bits, -1),
    "are transposed and rotated by 180 degrees": lambda bits: bits.T[::-1, ::-1],
}
#: Mean Dice coefficient of the bones above which masks certainly have the right orientation.
_RIGHT = 0.5


@dataclass
class ScoredMasks:
    """Result of scoring the masks of a split.

    Attributes:
        results: Results of `segmentation_results`.
        scored: Radiographs that have results.
        faults: A sentence for each radiograph that could not be scored.
        exclusive: Whether no predicted pixel belongs to two bones, although true pixels do.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    scored: list[Case] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    exclusive: bool = False


def score_masks(cases: Sequence[Case], predicted: Predicted, progress: bool = False) -> ScoredMasks:
    """Compare predicted with true masks; radiographs that cannot be compared are listed.

    Args:
        cases: Radiographs with masks.
        predicted: From `mask_formats.predicted.find_masks`.
        progress: Show a progress bar.
    """
    done = ScoredMasks()
    overlaps = np.zeros(2, bool)
    for case in tqdm(cases, desc="evaluate", unit="radiograph", disable=not progress, leave=False):
        if case.identifier not in predicted.cases:
            done.faults.append(f"{case.identifier}: no masks")
            continue
        try:
            truth = load_sample(case, right_hand=False).bones
            bits = predicted.read(case.identifier, truth.shape)
        except DataError as error:
            done.faults.append(f"{case.identifier}: {error}")
            continue
        if wrong := wrong_orientation(bits, truth):
            done.faults.append(f"{case.identifier}: the masks {wrong}; write them in the orientation of the radiograph")
            continue
        overlaps |= [(np.bitwise_count(array) > 1).any() for array in (bits, truth)]
        done.results += _rows(case, bits, truth)
        done.scored.append(case)
    done.exclusive = bool(overlaps[1] and not overlaps[0])
    return done


def label_map_limit(cases: Sequence[Case], progress: bool = False) -> tuple[list[dict[str, Any]], float]:
    """Measure how well exclusive label maps can represent the true masks.

    Args:
        cases: Radiographs with masks.
        progress: Show a progress bar.

    Returns:
        Results of the truth as a label map that gives each overlap to the smaller bone, and an upper bound of the mean
        Dice coefficient of any exclusive label map.
    """
    rows, total, count = [], 0.0, 0
    for case in tqdm(cases, desc="label maps", unit="radiograph", disable=not progress, leave=False):
        truth = load_sample(case, right_hand=False).bones
        anatomy = case.anatomy
        named = by_number(to_label_map(truth, len(anatomy.bones)), case.image, anatomy)
        rows += _rows(case, bone_bits(named, truth.shape, numbers_of(anatomy), case.image, anatomy), truth)
        bound, bones = dice_bound(truth)
        total, count = total + bound, count + bones
    return rows, total / max(count, 1)


def wrong_orientation(bits: np.ndarray, truth: np.ndarray) -> str | None:
    """Name the wrong orientation of masks that fit the ground truth only when reoriented; else None.

    Args:
        bits: (H, W) bit map, predicted.
        truth: (H, W) bit map.
    """
    if _dice(bits, truth) >= _RIGHT:
        return None
    for text, reorient in _ORIENTATIONS.items():
        if (other := reorient(bits)).shape == truth.shape and _dice(other, truth) >= _RIGHT:
            return text
    return None


def _dice(bits: np.ndarray, truth: np.ndarray) -> float:
    """Mean Dice coefficient of the bones of the truth."""
    figures = []
    for bone in range(int(truth.max(initial=0)).bit_length()):
        mask, true = (bits >> bits.dtype.type(bone)) & 1, (truth >> truth.dtype.type(bone)) & 1
        if true.any():
            figures.append(2 * np.count_nonzero(mask & true) / (np.count_nonzero(mask) + np.count_nonzero(true)))
    return float(np.mean(figures)) if figures else 0.0


def _rows(case: Case, bits: np.ndarray, truth: np.ndarray) -> list[dict[str, Any]]:
    return segmentation_results(
        case=case.identifier,
        patient=case.patient,
        side=case.side,
        scores=case.scores,
        predicted=bits,
        truth=truth,
        spacing_mm=case.spacing_mm,
        anatomy=case.anatomy,
    )
