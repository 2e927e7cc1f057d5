"""Record of the training data and validation figures that a weight file keeps for its model card."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jointwrist.anatomy import NOT_SCORED
from jointwrist.data.dataset.case import Case


def training_record(cases: Sequence[Case], phantom: bool) -> dict[str, Any]:
    """Count the training data.

    Args:
        cases: Training cases of the run.
        phantom: Whether they were made by `jointwrist data phantom`.

    Returns:
        `phantom`; the numbers of `wrists`, of those with `masks` and with `scores`, and of `patients`; and of scored
        `joints` and the `eroded` ones among them.
    """
    scores = [score for case in cases for score in case.scores or () if score != NOT_SCORED]
    return {
        "phantom": phantom,
        "wrists": len(cases),
        "masks": sum(case.mask is not None for case in cases),
        "scores": sum(any(score != NOT_SCORED for score in case.scores or ()) for case in cases),
        "patients": len({case.patient for case in cases}),
        "joints": len(scores),
        "eroded": sum(score > 0 for score in scores),
    }


def validation_record(history: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the figures of the epoch whose weights a run keeps, with 1 for the first epoch.

    Args:
        history: Figures by epoch, `selected_by` among them.

    Returns:
        `epoch`; where masks were measured, `dsc` and `nsd`, means over bones and wrists; and `loss`.
    """
    chosen = min(history, key=lambda figures: figures["selected_by"])
    figures = {name: chosen[f"val_{name}"] for name in ("dsc", "nsd", "loss") if f"val_{name}" in chosen}
    return {"epoch": chosen["epoch"] + 1, **figures}
