"""`train` and `evaluate` as functions: what the commands do, silent unless asked."""

from __future__ import annotations

import logging

import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState

from jointwrist.cli import main
from jointwrist.config import ConfigError
from jointwrist.engine.evaluate_weights import evaluate
from jointwrist.engine.loop import evaluation
from jointwrist.engine.train import train
from jointwrist.errors import DataError
from jointwrist.files import write_frame
from jointwrist.weights.checkpoint import load_weights

VALUES = {"image_size": 32, "optim": {"epochs": 1, "batch_size": 4}, "options": {"encoder": "conv", "roi_crop": 32}}


@pytest.fixture(autouse=True)
def one_accelerator_a_test():
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def trained(phantom_root, tmp_path_factory):
    return train("jointwrist_tiny", phantom_root, tmp_path_factory.mktemp("run"), VALUES)


def test_training_returns_what_it_wrote(trained):
    kept, info = load_weights(trained.weights)
    for name, tensor in kept.state_dict().items():
        assert torch.equal(tensor, trained.model.state_dict()[name]), name
    assert info["thresholds"] == trained.thresholds and not trained.model.training
    history = pd.read_csv(trained.weights.parent / "history.csv")
    pd.testing.assert_frame_equal(history, trained.history, check_dtype=False)


def test_the_functions_are_silent_and_the_bar_comes_when_asked(trained, phantom_root, capsys):
    logging.getLogger("jointwrist.engine").handlers.clear()
    folder = trained.weights.parent
    again = train("jointwrist_tiny", phantom_root, folder, VALUES)  # it is finished
    assert again.thresholds == trained.thresholds
    evaluate(trained.weights, phantom_root)
    assert capsys.readouterr() == ("", "")
    train("jointwrist_tiny", phantom_root, folder, VALUES, progress=True)
    assert "jointwrist_tiny: 100%" in capsys.readouterr().err


def test_the_command_writes_what_the_function_returns(trained, phantom_root, tmp_path):
    tables = evaluate(trained.weights, phantom_root)
    assert main(["evaluate", str(trained.weights), f"--data={phantom_root}", f"--out={tmp_path}"]) == 0
    assert set(tables) == {"segmentation", "erosion"}
    for name, table in tables.items():
        write_frame(tmp_path / "own.csv", table)
        assert (tmp_path / f"{name}.csv").read_bytes() == (tmp_path / "own.csv").read_bytes()
    called = tables["erosion"]["probability"] >= trained.thresholds["erosion"]
    assert (tables["erosion"]["predicted"] == called).all()


def test_a_batch_that_does_not_fit_is_made_smaller(trained, phantom_root, monkeypatch):
    expected, sizes, original = evaluate(trained.weights, phantom_root, "val"), [], evaluation.share_loader

    def no_room_for_more_than_two(dataset, batch_size, *arguments, **options):
        sizes.append(batch_size)
        if batch_size > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")
        return original(dataset, batch_size, *arguments, **options)

    monkeypatch.setattr(evaluation, "share_loader", no_room_for_more_than_two)
    found = evaluate(trained.weights, phantom_root, "val")
    assert sizes[0] == 4 and sizes == sorted(sizes, reverse=True) and sizes[-1] == 2
    for name, table in expected.items():
        pd.testing.assert_frame_equal(found[name], table, atol=1e-4)


def test_mistakes_are_named(trained, phantom_root, tmp_path):
    with pytest.raises(ConfigError, match="foundation model and is not trained"):
        train("sam_box", phantom_root, tmp_path)
    with pytest.raises(ConfigError, match=r"optim\.epoch.*epochs"):
        train("unet", phantom_root, tmp_path, {"optim": {"epoch": 1}})
    with pytest.raises(ConfigError, match="unknown split 'tests'"):
        evaluate(trained.weights, phantom_root, "tests")
    with pytest.raises(DataError, match="nowhere"):
        evaluate("nowhere", phantom_root)
