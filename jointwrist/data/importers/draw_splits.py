"""The split of every patient, drawn at random where the table does not name it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from jointwrist.data.dataset.layout import SPLITS
from jointwrist.data.importers.identify import Entry
from jointwrist.errors import DataError

#: Shares of the patients in train, val and test, about those of RAM-W600.
SHARES = (0.7, 0.1, 0.2)


def draw_splits(entries: Sequence[Entry], shares: Sequence[float] = SHARES, seed: int = 0) -> dict[str, str]:
    """Choose a split for every patient; splits of the table are kept.

    Every split with a share above 0 gets a patient, if there are enough patients to draw.

    Raises:
        DataError: A patient is in two splits, or the shares do not add up to 1.
    """
    if len(shares) != len(SPLITS) or not all(share >= 0 for share in shares) or not abs(sum(shares) - 1) <= 1e-6:
        raise DataError(
            f"shares {tuple(shares)} of train, val and test must be three numbers that add up to 1, such as 0.7 0.1 0.2"
        )
    chosen: dict[str, str] = {}
    first: dict[str, str] = {}
    for entry in entries:
        patient = entry.identifier.patient
        if entry.split and chosen.setdefault(patient, entry.split) != entry.split:
            raise DataError(
                f"patient {patient} is in {chosen[patient]} ({first[patient]}) and in {entry.split} ({entry.name});"
                " keep a patient in one split of the table"
            )
        if entry.split:
            first.setdefault(patient, entry.name)
    rest = sorted({entry.identifier.patient for entry in entries} - chosen.keys())
    order = np.random.default_rng(seed).permutation(len(rest))
    # the largest remainders are rounded up, then every split with a share gets at least one
    exact = np.asarray(shares) * len(rest)
    counts = np.floor(exact).astype(int)
    counts[np.argsort(counts - exact, kind="stable")[: len(rest) - counts.sum()]] += 1
    for split in np.flatnonzero((np.asarray(shares) > 0) & (counts == 0)):
        if counts.max() > 1:
            counts[counts.argmax()] -= 1
            counts[split] += 1
    drawn = np.repeat(SPLITS, counts)
    return chosen | {rest[index]: str(split) for index, split in zip(order, drawn, strict=True)}
