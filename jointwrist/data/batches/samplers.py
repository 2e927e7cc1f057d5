"""Samplers whose batches depend only on seed and epoch, so that a killed run can resume within an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from torch.utils.data import Sampler

from jointwrist.config import ConfigError


def check_processes(batch_size: int, processes: int, pairs: bool = False) -> None:
    """Check that every process gets a part of every batch.

    Args:
        batch_size: Images per step, over all processes.
        processes: Number of processes.
        pairs: Whether the two hands of a study go to one process.

    Raises:
        ConfigError: There are more processes than parts.
    """
    parts = math.ceil(batch_size / 2) if pairs else batch_size
    if processes > parts:
        raise ConfigError(
            f"a batch of {batch_size} cannot be shared by {processes} processes: start at most {parts} (accelerate"
            f" launch --num_processes {parts}), give every run a GPU of its own with --shard (docs/scaling.md), or set"
            " a larger optim.batch_size"
        )


class EpochBatches(Sampler[list[int]]):
    """Shuffled batches, optionally with a fixed share of one kind of item; no batch holds an item twice.

    An epoch is as long as one pass over all items. Items of each kind are drawn in shuffled passes without replacement,
    so items of a rare kind recur more often.

    Args:
        chosen: For every item, whether it is of the kind with the fixed share.
        batch_size: Items per batch. Every batch is full, the last one with items of a further pass; with fewer items
            in all, a batch holds all of them.
        share: Share of the chosen kind. Where it is not a whole number of items, batches differ by one and their mean
            is exact. 0 keeps the natural share, 1 leaves the other kind out; no effect with a single kind.
        seed: Seed of the order.
        partners: For every item, the item that follows it in the same batch whatever its kind, or -1.
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
        mixed = self.chosen.any() and not self.chosen.all()
        self.items = np.flatnonzero(self.chosen) if mixed and share == 1 else np.arange(len(self.chosen))
        self.share = share if mixed and share < 1 else 0.0
        self.batch_size = min(batch_size, len(self.items))
        self.seed = seed
        self.partners = None if partners is None else np.asarray(partners)
        self.epoch = 0

    def __len__(self) -> int:
        return math.ceil(len(self.items) / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next pass follows."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[list[int]]:
        rng = np.random.default_rng([self.seed, self.epoch])
        if not self.share:
            items = _Passes(self.items, rng)
            for _ in range(len(self)):
                yield self._fill([], items)
            return
        kind, rest = _Passes(np.flatnonzero(self.chosen), rng), _Passes(np.flatnonzero(~self.chosen), rng)
        for index in range(len(self)):
            batch = self._fill([], kind, of_kind=self._due(index + 1) - self._due(index))
            batch = self._fill(self._fill(batch, rest), kind)
            yield batch if self.partners is not None else [batch[i] for i in rng.permutation(len(batch))]

    def _due(self, batches: int) -> int:
        """Return how many items of the kind this many batches hold."""
        return math.floor(round(batches * self.share * self.batch_size, 6))

    def _fill(self, batch: list[int], items: _Passes, of_kind: int | None = None) -> list[int]:
        """Draw items, each followed by its partner if any, until a batch is full or holds enough of the kind.

        A batch that already holds all items is returned unchanged.
        """
        while len(batch) < self.batch_size and (of_kind is None or self.chosen[batch].sum() < of_kind):
            item = items.draw(batch)
            if item is None:
                break
            batch.append(item)
            partner = -1 if self.partners is None else int(self.partners[item])
            if partner >= 0 and partner not in batch and len(batch) < self.batch_size:
                batch.append(partner)
        return batch


class FreshBatches(Sampler[list[int]]):
    """Consecutive indices that never repeat, for phantoms made on the fly.

    Args:
        length: Items of one epoch.
        batch_size: Items per batch; every batch is full.
    """

    def __init__(self, length: int, batch_size: int):
        self.length = length
        self.batch_size = batch_size
        self.partners: np.ndarray | None = None
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
    """One process's share of every batch, starting at any position of any epoch.

    Parts differ by at most one image, or by one study where batches keep the hands of a study together.

    Args:
        batches: Batches of all processes together.
        process: Index of this process.
        processes: Number of processes.

    Raises:
        ConfigError: There are more processes than images, or studies, in a batch.
    """

    def __init__(self, batches: EpochBatches | FreshBatches, process: int, processes: int):
        check_processes(batches.batch_size, processes, batches.partners is not None)
        self.batches, self.process, self.processes = batches, process, processes
        self.start = 0

    def __len__(self) -> int:
        return len(self.batches) - self.start

    def seek(self, epoch: int, start: int) -> None:
        """Choose the epoch and batch where the next pass begins."""
        self.batches.set_epoch(epoch)
        self.start = start

    def __iter__(self) -> Iterator[list[int]]:
        for batch in islice(self.batches, self.start, None):
            studies = self._studies(batch)
            mine = np.array_split(np.arange(len(studies)), self.processes)[self.process]
            yield [item for study in mine for item in studies[study]]

    def _studies(self, batch: list[int]) -> list[list[int]]:
        """Divide a batch into single items, pairs of partners, and pairs of negative items (`PairBatches`)."""
        partners, studies = self.batches.partners, []
        for item in batch:
            alone = studies[-1][0] if studies and len(studies[-1]) == 1 else None
            if item < 0:
                together = alone is not None and alone < 0
            else:
                together = partners is not None and alone is not None and alone >= 0 and partners[alone] == item
            if together:
                studies[-1].append(item)
            else:
                studies.append([item])
        return studies


class _Passes:
    """Items in successive shuffled passes."""

    def __init__(self, items: np.ndarray, rng: np.random.Generator):
        self.items, self.rng = items, rng
        self.queue: list[int] = []

    def draw(self, batch: Sequence[int]) -> int | None:
        """Take the next item that is not in the batch yet; skipped items stay in the queue. None if all are in it."""
        if np.isin(self.items, batch).all():
            return None
        while True:
            for place, item in enumerate(self.queue):
                if item not in batch:
                    return self.queue.pop(place)
            self.queue += self.rng.permutation(self.items).tolist()
