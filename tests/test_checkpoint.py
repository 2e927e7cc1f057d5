"""Weights and states: round trips, damage, and files that would run code."""

from __future__ import annotations

import json
import socket

import pytest
import torch
from bad_files import Trap
from safetensors.torch import save

from jointwrist.errors import DataError
from jointwrist.registry import create_model, model_spec
from jointwrist.weights.checkpoint import load_state, load_weights, read_weights, save_state, save_weights

OPTIONS = {"encoder": "conv", "encoder_version": 3, "head_version": 2}
INFO = {"model": "jointwrist_tiny", "options": OPTIONS, "image_size": 64}


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


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_a_programs_defaults_do_not_change_what_is_loaded(weights, dtype):
    path, model = weights
    torch.set_default_dtype(dtype)
    torch.set_default_device("meta")
    try:
        loaded, _ = load_weights(path)
        assert torch.get_default_dtype() == dtype and torch.empty(1).device.type == "meta"
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.equal(loaded(image).mask_logits, model.eval()(image).mask_logits)


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


def described(path, text):
    """A weight file that says `text` of itself."""
    path.write_bytes(save({"weight": torch.zeros(1)}, metadata={"jointwrist": text}))
    return path


def info(**values):
    return json.dumps({"model": "jointwrist_tiny", **values})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
        ("[1]", "names no model"),
        ("{}", "names no model"),
        ('{"model": ["jointwrist_tiny"]}', "names no model"),
        ('{"model": "jointwrist_tinny"}', "did you mean jointwrist_tiny"),
        (info(options=[]), "options must be"),
        (info(options={"roi_crop": 10**9}), "options must be"),
        (info(options={"widths": [1e400, 2]}), "options must be"),
        (info(options={"encoder": {"a": 1}}), "options must be"),
        (info(image_size=10**9), "image_size must be"),
        (info(image_size="512"), "image_size must be"),
        (info(detail_size=-1), "detail_size must be"),
        (info(thresholds={"mask": 1.0}), "threshold of masks"),
        (info(thresholds={"erosion": "0.5"}), "thresholds must map"),
        (info(config=[]), "config must map"),
        (info(patients=["0001"]), "record of its patients"),
        (info(inherited=[{"salt": "x", "hashes": [1]}]), "record of its patients"),
        (info(options={"foreign": 1}), "cannot be built.*foreign"),
        (info(options={"encoder": "huge"}), "cannot be built.*huge"),
    ],
)
def test_a_file_that_says_nonsense_of_itself_is_refused_by_name(text, told, tmp_path):
    path = described(tmp_path / "w.safetensors", text)
    with pytest.raises(DataError, match=rf"w\.safetensors: .*{told}.*copy or export") as refused:
        load_weights(path)
    assert len(str(refused.value)) < 500


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "options", [{"widths": [4096] * 5}, {"widths": [8] * 5, "roi_dim": 4096, "roi_channels": 4096}]
)
def test_no_network_is_built_that_its_file_could_not_fill(options, tmp_path):
    with pytest.raises(DataError, match="far larger than its file"):
        load_weights(described(tmp_path / "w.safetensors", info(options=options)))


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("mobilenet", {"pretrained": True, "checkpoint_path": "other.pth"}),
        ("fpn", {"encoder_weights": "imagenet"}),
        ("jointwrist_tiny", {"encoder_version": 3, "head_version": 2}),
    ],
)
def test_loading_needs_the_file_alone(model, options, tmp_path, monkeypatch):
    """Neither what training started from is fetched again, nor another file read."""
    path = tmp_path / "w.safetensors"
    made = create_model(model)
    save_weights(path, made, {"model": model, "options": options})
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("asked the network"))
    loaded, told = load_weights(path)
    assert told == {"model": model, "options": options, "image_size": model_spec(model).input_size}
    assert all(torch.equal(a, b) for a, b in zip(made.state_dict().values(), loaded.state_dict().values(), strict=True))


def test_state_that_would_run_code_is_refused(tmp_path):
    torch.save({"x": Trap(tmp_path / "made")}, tmp_path / "state.pt")
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
