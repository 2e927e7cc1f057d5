"""Weights and states: round trips, damage, and files that would run code."""

from __future__ import annotations

import os

import pytest
import torch

from jointwrist.engine.checkpoint import load_state, load_weights, read_weights, save_state, save_weights
from jointwrist.errors import DataError
from jointwrist.registry import create_model

INFO = {"model": "jointwrist_tiny", "options": {"encoder": "conv"}, "image_size": 64}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "w.safetensors"
    model = create_model("jointwrist_tiny", encoder="conv")
    save_weights(path, model, INFO)
    return path, model


def test_weights_round_trip(weights):
    path, model = weights
    loaded, info = load_weights(path)
    assert info == INFO
    for (name, ours), theirs in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    assert list(path.parent.iterdir()) == [path]


def test_damaged_weights_are_named(weights, tmp_path):
    path, _ = weights
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"w\.safetensors"):
        read_weights(path)
    with pytest.raises(DataError, match="no such"):
        read_weights(tmp_path / "none.safetensors")


def test_weights_of_another_model_are_refused(weights):
    path, model = weights
    save_weights(path, model, {**INFO, "options": {"encoder": "swin"}})
    with pytest.raises(DataError, match="do not fit"):
        load_weights(path)


def test_state_that_would_run_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "made"),)

    torch.save({"x": Evil()}, tmp_path / "state.pt")
    with pytest.raises(DataError, match=r"state\.pt"):
        load_state(tmp_path / "state.pt")
    assert not (tmp_path / "made").exists()


def test_state_round_trip_and_truncation(tmp_path):
    path = tmp_path / "state.pt"
    save_state(path, {"epoch": 3, "history": [{"a": 1.0}], "model": {"w": torch.ones(3)}})
    assert load_state(path)["epoch"] == 3
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"state\.pt"):
        load_state(path)
