"""Checkpoints of the authors' code become weight files that compute the same."""

from __future__ import annotations

import pytest
import torch
from bad_files import Trap

from jointwrist.engine.convert_authors_checkpoint import convert_checkpoint
from jointwrist.errors import DataError
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import load_weights

NAME = "umamba_bot"


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model(NAME).eval()


@pytest.fixture(scope="module")
def image():
    return torch.rand(1, 1, 32, 32)


def with_aliases(state):
    """A state dict in which the encoder comes a second time, as in the authors' U-Mamba."""
    return state | {f"decoder.{name}": value for name, value in state.items() if name.startswith("encoder.")}


@pytest.mark.parametrize(("wrapped", "prefix"), [("model", ""), ("state_dict", "module."), (None, "")])
def test_converted_weights_compute_the_same(model, image, tmp_path, wrapped, prefix):
    state = {prefix + name: value for name, value in with_aliases(model.state_dict()).items()}
    content = {wrapped: state, "epoch": 41, "optimizer": {"state": {}}, "val_loss": 0.03} if wrapped else state
    torch.save(content, tmp_path / "model_best.pth")
    unplaced = convert_checkpoint(tmp_path / "model_best.pth", tmp_path / "new" / "weights.safetensors", NAME)
    assert unplaced == []
    converted, info = load_weights(tmp_path / "new" / "weights.safetensors")
    with torch.no_grad():
        assert torch.equal(converted(image), model(image))
    assert (info["model"], info["source"], info["epochs"]) == (NAME, "model_best.pth", 42 if wrapped else 0)
    assert info["image_size"] == 512 and info["config"]["segmentation"]["raw_output"] is True


def test_keys_without_a_place_are_reported(model, tmp_path):
    torch.save(model.state_dict() | {"decoder.head.weight": torch.zeros(3)}, tmp_path / "a.pth")
    assert convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors", NAME) == ["decoder.head.weight"]


@pytest.mark.parametrize("damage", ["missing", "shape"])
def test_a_checkpoint_that_does_not_fill_the_model_is_refused(model, tmp_path, damage):
    state = dict(model.state_dict())
    if damage == "missing":
        del state["mamba.A_log"]
    else:
        state["mamba.A_log"] = torch.zeros(512, 8)
    torch.save({"model": state}, tmp_path / "a.pth")
    target = tmp_path / "a.safetensors"
    target.write_bytes(b"kept")
    with pytest.raises(DataError, match=r"a\.pth.*mamba\.A_log"):
        convert_checkpoint(tmp_path / "a.pth", target, NAME)
    assert target.read_bytes() == b"kept" and sorted(tmp_path.iterdir()) == [tmp_path / "a.pth", target]


def test_a_checkpoint_of_another_model_is_refused(model, tmp_path):
    torch.save(model.state_dict(), tmp_path / "a.pth")
    with pytest.raises(DataError, match="no checkpoint of medmamba"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors", "medmamba")


def test_two_names_of_one_tensor_must_agree(model, tmp_path):
    state = with_aliases(model.state_dict())
    name = next(key for key in state if key.startswith("decoder.encoder."))
    torch.save(state | {name: state[name] + 1}, tmp_path / "a.pth")
    with pytest.raises(DataError, match=f"{name} is another name"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors", NAME)


def test_objects_in_a_checkpoint_are_never_unpickled(model, tmp_path):
    torch.save({"model": model.state_dict(), "args": Trap(tmp_path / "ran")}, tmp_path / "a.pth")
    with pytest.raises(DataError, match="plain tensors"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors", NAME)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content", [b"", b"not a checkpoint", {"epoch": 3}, [1, 2], {"model": {"weight": 3.0}}], ids=repr
)
def test_other_files_are_refused(tmp_path, content):
    path = tmp_path / "a.pth"
    path.write_bytes(content) if isinstance(content, bytes) else torch.save(content, path)
    with pytest.raises(DataError, match=r"a\.pth"):
        convert_checkpoint(path, tmp_path / "a.safetensors", NAME)
    with pytest.raises(DataError, match="no such checkpoint"):
        convert_checkpoint(tmp_path / "b.pth", tmp_path / "a.safetensors", NAME)


@pytest.mark.parametrize("name", ["sam_box", "jointwrist_tiny"])
def test_models_that_the_authors_do_not_train_are_refused(tmp_path, name):
    with pytest.raises(DataError, match="nothing to convert"):
        convert_checkpoint(tmp_path / "a.pth", tmp_path / "a.safetensors", name)
