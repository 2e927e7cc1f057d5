"""Batches: their composition, and that they depend on seed and epoch alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from jointwrist.config import ConfigError
from jointwrist.data.batches.samplers import EpochBatches, FreshBatches, ProcessBatches


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


@pytest.mark.parametrize(
    ("items", "chosen", "size", "share"), [(23, 0, 5, 0.0), (9, 3, 4, 0.5), (11, 2, 8, 0.75), (7, 6, 3, 0.3)]
)
def test_no_batch_holds_an_item_twice_and_none_is_left_behind(items, chosen, size, share):
    sampler, seen = EpochBatches(np.arange(items) < chosen, size, share, seed=5), np.zeros(items, int)
    for epoch in range(40):
        sampler.set_epoch(epoch)
        for batch in sampler:
            assert len(batch) == len(set(batch)) == size
            seen[batch] += 1
    assert seen.min() > 0 and (share or np.ptp(seen) <= 40)


def test_partners_come_once_too():
    partners = [index ^ 1 if index < 8 else -1 for index in range(11)]
    for share in (0.0, 0.5):
        for batch in EpochBatches(np.arange(11) % 3 == 0, 6, share, seed=2, partners=partners):
            assert len(set(batch)) == 6


def test_fewer_items_than_a_batch_make_batches_of_all_of_them():
    assert [sorted(batch) for batch in EpochBatches([False] * 3, 8)] == [[0, 1, 2]]
    with pytest.raises(ConfigError, match="a batch of 3"):
        ProcessBatches(EpochBatches([False] * 3, 8), 0, 4)


@pytest.mark.parametrize(("size", "share"), [(1, 0.5), (5, 0.5), (6, 0.25), (3, 0.9), (8, 0.05)])
def test_a_share_that_is_no_whole_number_of_items_is_right_on_the_mean(size, share):
    chosen = np.arange(400) < 100
    counts = [chosen[batch].sum() for batch in EpochBatches(chosen, size, share, seed=3)]
    assert set(counts) <= {int(share * size), int(share * size) + 1}
    assert abs(sum(counts) - len(counts) * share * size) < 1


def test_a_share_of_one_leaves_the_other_kind_out():
    sampler = EpochBatches(np.arange(20) < 7, 4, 1.0, seed=3)
    assert len(sampler) == 2 and set(np.concatenate(list(sampler))) == set(range(7))


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


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_processes_share_every_batch_and_seek_continues_it(processes):
    whole = list(EpochBatches([False] * 20, 4, seed=2))
    parts = [ProcessBatches(EpochBatches([False] * 20, 4, seed=2), process, processes) for process in range(processes)]
    for batch, *shares in zip(whole, *parts, strict=True):
        assert batch == [item for share in shares for item in share]
        assert {len(share) for share in shares} <= {4 // processes, -(-4 // processes)}
    first = list(parts[0])
    parts[0].seek(0, 3)
    assert list(parts[0]) == first[3:] and len(parts[0]) == 2


@pytest.mark.parametrize("processes", [2, 3, 4])
def test_both_hands_of_a_study_go_to_one_process(processes):
    partners = [index ^ 1 if index < 16 else -1 for index in range(22)]
    parts = [
        list(ProcessBatches(EpochBatches([False] * 22, 8, seed=4, partners=partners), process, processes))
        for process in range(processes)
    ]
    together = 0
    for batch, *shares in zip(EpochBatches([False] * 22, 8, seed=4, partners=partners), *parts, strict=True):
        assert batch == [item for share in shares for item in share] and all(shares)
        for first, second in itertools.pairwise(batch):
            if partners[first] == second:
                together += 1
                assert any(first in share and second in share for share in shares)
    assert together > 0


def test_more_processes_than_images_are_refused_with_the_remedy():
    with pytest.raises(ConfigError, match=r"at most 4 \(accelerate launch --num_processes 4\).*--shard"):
        ProcessBatches(EpochBatches([False] * 20, 4), 0, 5)
    with pytest.raises(ConfigError, match="at most 2"):
        ProcessBatches(EpochBatches([False] * 20, 4, partners=[-1] * 20), 0, 3)
    with pytest.raises(ConfigError, match="at most 8"):
        ProcessBatches(FreshBatches(20, 8), 0, 16)
