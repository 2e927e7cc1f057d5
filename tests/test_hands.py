"""The two hands of a study: found, kept in one batch, and looked at by each other's joints."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st

from jointwrist.config import build
from jointwrist.data.batches.hand_pairs import ALONE, other_hands, study_batches
from jointwrist.data.batches.samplers import EpochBatches, ProcessBatches
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.run_data.loaders import share_loader
from jointwrist.engine.tasks import build_task
from jointwrist.registry import create_model

OPTIONS = {"encoder": "conv", "roi_crop": 32, "other_hand": True}


def config(batch_size: int = 4) -> RunConfig:
    values = {"model": "jointwrist_tiny", "task": "joint", "image_size": 32, "detail_size": 64, "options": OPTIONS}
    return build(RunConfig, values | {"optim": {"batch_size": batch_size}})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", **OPTIONS).eval()
    with torch.no_grad():  # an untrained head hardly looks at anything
        model.erosion.other_embedding.normal_()
        model.erosion.token.weight.mul_(20)
        model.erosion.local_gain.gain.fill_(1)
        model.erosion.pooled_gain.gain.fill_(1)
    return model


def test_other_hands_are_of_the_same_study():
    names = ["0001_0001_L", "0002_0001_R", "0001_0002_R", "0001_0001_R", "EXT_0001_0001_L", "EXT_0001_0001_R"]
    assert other_hands(names) == [3, ALONE, ALONE, 0, 5, 4]


@settings(max_examples=50, deadline=None)
@given(st.sets(st.tuples(st.integers(1, 6), st.integers(1, 3), st.sampled_from("LR")), min_size=1), st.integers(1, 9))
def test_batches_hold_everything_once_and_no_study_is_divided(wrists, size):
    names = [f"{patient:04d}_{study:04d}_{side}" for patient, study, side in wrists]
    batches = study_batches(names, size)
    assert sorted(index for batch in batches for index in batch) == list(range(len(names)))
    for batch in batches:
        assert len(batch) <= max(size, 2)
        for index in batch:
            other = other_hands(names)[index]
            assert other == ALONE or other in batch


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_training_batches_bring_the_other_hand(share):
    partners = [i ^ 1 for i in range(24)] + [ALONE] * 8
    chosen = np.arange(32) % 2 == 0
    sampler = EpochBatches(chosen, 8, share, seed=1, partners=partners)
    batches = list(sampler)
    assert len(batches) == 4 and {len(batch) for batch in batches} == {8}
    together = [partners[i] in batch for batch in batches for i in batch[:4] if partners[i] != ALONE]
    assert together and all(together)
    if share:
        assert all(chosen[batch].any() and not chosen[batch].all() for batch in batches)
    parts = [ProcessBatches(EpochBatches(chosen, 8, share, 1, partners), process, 2) for process in range(2)]
    for batch, first, second in zip(batches, *parts, strict=True):
        assert batch == first + second
        assert any(partners[i] in first for i in first if partners[i] != ALONE)


def test_joints_look_at_the_other_hand_where_there_is_one(model):
    image, detail = torch.rand(4, 1, 32, 32), torch.rand(4, 1, 64, 64)
    masks = torch.zeros(4, 14, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    other = torch.tensor([1, 0, -1, -1])

    def logits(image, detail, other):
        with torch.no_grad():
            return model(image, detail, masks, other=other).erosion_logits

    together, alone = logits(image, detail, other), logits(image, detail, None)
    assert not torch.allclose(together[:2], alone[:2], atol=1e-3)
    torch.testing.assert_close(together[2:], alone[2:], rtol=1e-4, atol=1e-4)
    changed = image.clone(), detail.clone()
    changed[0][1], changed[1][1] = torch.rand(1, 32, 32), torch.rand(1, 64, 64)
    changed = logits(*changed, other)
    assert not torch.allclose(changed[0], together[0], atol=1e-3)
    torch.testing.assert_close(changed[2:], together[2:], rtol=1e-4, atol=1e-4)


def test_a_gradient_reaches_the_other_hand():
    model = create_model("jointwrist_tiny", **OPTIONS)
    masks = torch.zeros(2, 14, 32, 32)
    masks[:, :, 8:24, 8:24] = 1
    output = model(torch.rand(2, 1, 32, 32), None, masks, other=torch.tensor([1, 0]))
    output.erosion_logits.sum().backward()
    assert model.erosion.other_embedding.grad.abs().sum() > 0


def test_evaluation_does_not_depend_on_batches_or_processes(model, dataset):
    rows = []
    for size in (2, 3, 16):
        data, task = load_run_data(config(size), dataset), build_task(config(size))
        rows.append(evaluate_model(Accelerator(cpu=True), model, data.test, task)[1]["erosion"])
    model.eval()
    for found in rows[1:]:
        assert [row["case"] for row in found] == [row["case"] for row in rows[0]]
        values = [[row["probability"] for row in part] for part in (found, rows[0])]
        np.testing.assert_allclose(*values, atol=1e-4)
    test = load_run_data(config(), dataset).test
    seen = [
        name
        for process in range(2)
        for batch in share_loader(test, 3, 0, process, 2, True)
        for name in batch["identifier"]
    ]
    assert sorted(seen) == sorted(case.identifier for case in test.cases)


def test_weights_without_the_option_are_as_before():
    names = [name for name, _ in create_model("jointwrist_tiny").named_parameters()]
    assert "erosion.other_embedding" not in names
