"""Batches whose composition depends on seed and epoch alone, so that a killed run continues inside an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from torch.utils.data import Sampler


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches, if wanted with a fixed share of one kind of item in every batch.

    Args:
        chosen: For every item whether it is of the kind whose share is fixed.
        batch_size: Items a batch; every batch is full, the last is filled from the start of the order.
        share: Share of the chosen kind in every batch; 0 keeps the natural share.
        seed: Seed of the order.
        partners: For every item the one that comes with it, or -1; half of a batch is drawn, and brings its partners.

    An epoch is as long as one pass over all items. Of each kind, items are drawn in shuffled passes without
    replacement, so a kind that is rare comes round more often.
    """

    def __init__(
        self,
        chosen: Sequence[bool],
        batch_size: int,
        share: float = 0.0,
        seed: int = 0,
        partners: Sequence[int] | None = None,
    ):
        self.chosen = np.asarray(chosen, bool)
        self.batch_size = batch_size
        mixed = 0 < share < 1 and self.chosen.any() and not self.chosen.all()
        self.share = share if mixed else 0.0
        self.seed = seed
        self.partners = None if partners is None else np.asarray(partners)
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.chosen) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass follows."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        if not self.share:
            stream = _passes(np.arange(len(self.chosen)), rng)
            for _ in range(len(self)):
                yield self._batch(stream, stream, self.batch_size if self.partners is None else self.batch_size // 2)
            return
        wanted = min(max(round(self.share * self.batch_size), 1), self.batch_size - 1) if self.batch_size > 1 else 1
        kind, rest = _passes(np.flatnonzero(self.chosen), rng), _passes(np.flatnonzero(~self.chosen), rng)
        for _ in range(len(self)):
            batch = self._batch(kind, rest, wanted)
            yield batch if self.partners is not None else [batch[i] for i in rng.permutation(self.batch_size)]

    def _batch(self, kind: Iterator[int], rest: Iterator[int], wanted: int) -> list[int]:
        """Draw `wanted` items of a kind, each followed by its partner where there is one, and fill up with the rest."""
        batch: list[int] = []
        for _ in range(wanted):
            batch.append(next(kind))
            partner = -1 if self.partners is None else int(self.partners[batch[-1]])
            if partner >= 0 and partner not in batch and len(batch) < self.batch_size:
                batch.append(partner)
            if len(batch) == self.batch_size:
                return batch
        return batch + [next(rest) for _ in range(self.batch_size - len(batch))]


class FreshBatches(Sampler[list[int]]):
    """Consecutive indices that never come twice, for wrists made on the fly.

    Args:
        length: Items of one epoch.
        batch_size: Items a batch; every batch is full.
    """

    def __init__(self, length: int, batch_size: int):
        self.length = length
        self.batch_size = batch_size
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(self.length / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose indices the next pass gives."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        start = self.epoch * len(self) * self.batch_size
        for first in range(start, start + len(self) * self.batch_size, self.batch_size):
            yield list(range(first, first + self.batch_size))


class ProcessBatches(Sampler[list[int]]):
    """The part of every batch that one of several processes trains on, from any position in any epoch.

    Args:
        batches: Batches of all processes together.
        process: Index of this process.
        processes: How many there are.

    Raises:
        ValueError: The batches cannot be divided evenly.
    """

    def __init__(self, batches: EpochBatches | FreshBatches, process: int, processes: int):
        if batches.batch_size % processes:
            raise ValueError(f"a batch of {batches.batch_size} cannot be divided among {processes} processes")
        self.batches, self.process, self.processes = batches, process, processes
        self.start = 0

    def __len__(self) -> int:
        return len(self.batches) - self.start

    def seek(self, epoch: int, start: int) -> None:
        """Choose the epoch and the batch in it where the next pass begins."""
        self.batches.set_epoch(epoch)
        self.start = start

    def __iter__(self) -> Iterator[list[int]]:
        for batch in islice(self.batches, self.start, None):
            part = len(batch) // self.processes  # neighbours stay together: they may be the two hands of a study
            yield batch[self.process * part : (self.process + 1) * part]


def _passes(items: np.ndarray, rng: np.random.Generator) -> Iterator[int]:
    while True:
        yield from rng.permutation(items).tolist()
