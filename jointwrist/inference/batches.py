"""Group radiographs into batches that keep both hands of a study together, and pair the hands within a batch."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from numbers import Integral
from pathlib import Path

import numpy as np

from jointwrist.data.batches.hand_pairs import other_hands
from jointwrist.data.load import study_of
from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.sources import Source


def radiograph_batches(sources: Sequence[Source], size: int, whole_studies: bool) -> Iterator[list[int]]:
    """Divide radiographs into batches of their indices.

    Args:
        sources: Files and arrays.
        size: Largest number of radiographs in a batch.
        whole_studies: Put the radiographs of a study behind the first of them, up to two (or `size`) in one batch.

    Raises:
        ValueError: The size is not a whole number from 1.
    """
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(f"batch_size {size!r}: give a whole number, at least 1")
    studies: dict[Hashable, list[int]] = {}
    for index, source in enumerate(sources):
        study = study_of(Path(source)) if whole_studies and not isinstance(source, np.ndarray) else None
        studies.setdefault(study or index, []).append(index)
    most = max(size, 2) if whole_studies else size
    batch: list[int] = []
    for study in studies.values():
        for start in range(0, len(study), most):
            part = study[start : start + most]
            if batch and len(batch) + len(part) > size:
                yield batch
                batch = []
            batch += part
    if batch:
        yield batch


def other_wrists(radiographs: Sequence[Radiograph]) -> list[int]:
    """Return for each radiograph the index of the other hand of its study; see `other_hands`.

    Two wrists on one radiograph belong to one study.
    """
    return other_hands(
        [
            f"{radiograph.study or id(radiograph.pixels)}_{radiograph.side}"
            if radiograph.side
            else f"side of {index} unknown"
            for index, radiograph in enumerate(radiographs)
        ]
    )
