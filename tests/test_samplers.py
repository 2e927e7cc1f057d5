"""Batches: their composition, and that they depend on seed and epoch alone."""

from __future__ import annotations

import numpy as np
import pytest

from jointwrist.data.samplers import EpochBatches, FreshBatches, ProcessBatches


def test_one_epoch_covers_every_item():
    sampler = EpochBatches([False] * 23, 5, seed=1)
    batches = list(sampler)
    assert len(batches) == len(sampler) == 5 and {len(b) for b in batches} == {5}
    assert set(np.concatenate(batches)) == set(range(23))


def test_epochs_differ_and_repeat():
    sampler = EpochBatches([False] * 40, 8, seed=1)
    first = list(sampler)
    sampler.set_epoch(1)
    second = list(sampler)
    sampler.set_epoch(0)
    assert first == list(sampler) and first != second


@pytest.mark.parametrize("share", [0.25, 0.5])
def test_every_batch_has_the_share(share):
    chosen = np.arange(50) < 7
    for batch in EpochBatches(chosen, 8, share, seed=3):
        assert chosen[batch].sum() == round(share * 8)


def test_share_is_natural_when_only_one_kind_is_there():
    batches = list(EpochBatches([True] * 10, 4, 0.5))
    assert set(np.concatenate(batches)) == set(range(10))


def test_fresh_batches_never_repeat_an_index():
    sampler = FreshBatches(10, 4)
    seen = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        seen += list(np.concatenate(list(sampler)))
    assert seen == list(range(36))


def test_processes_share_every_batch_and_seek_continues_it():
    whole = list(EpochBatches([False] * 20, 4, seed=2))
    parts = [ProcessBatches(EpochBatches([False] * 20, 4, seed=2), process, 2) for process in range(2)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert sorted(batch) == sorted(shares[0] + shares[1])
    first = list(parts[0])
    parts[0].seek(0, 3)
    assert list(parts[0]) == first[3:] and len(parts[0]) == 2
    with pytest.raises(ValueError, match="divided"):
        ProcessBatches(EpochBatches([False] * 20, 5), 0, 2)
