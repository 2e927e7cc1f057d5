"""Pairs of the two hands of one study, and batches that keep them together."""

from __future__ import annotations

from collections.abc import Sequence

#: Index for a radiograph without the other hand.
ALONE = -1


def other_hands(identifiers: Sequence[str]) -> list[int]:
    """Return, for each radiograph, the index of the other hand of the same study, or `ALONE`.

    Args:
        identifiers: `PPPP_SSSS_L|R`, patient, study and side.
    """
    place = {identifier: index for index, identifier in enumerate(identifiers)}
    return [place.get(_mirrored(identifier), ALONE) for identifier in identifiers]


def study_batches(identifiers: Sequence[str], batch_size: int) -> list[list[int]]:
    """Divide radiographs into batches in order, except that the second hand of a study joins the first.

    A batch holds at most `batch_size` radiographs, or the two hands of one study.
    """
    others, batches, seen = other_hands(identifiers), [[]], set()
    for index, other in enumerate(others):
        if index in seen:
            continue
        study = [index] if other == ALONE else [index, other]
        seen.update(study)
        if batches[-1] and len(batches[-1]) + len(study) > batch_size:
            batches.append([])
        batches[-1] += study
    return [batch for batch in batches if batch]


def _mirrored(identifier: str) -> str:
    study, _, side = identifier.rpartition("_")
    return f"{study}_{'R' if side == 'L' else 'L'}"
