"""Files that are no weight files: what they are, and what to give in their place."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from test_predict_command import radiograph, weights  # noqa: F401  (fixtures)

from jointwrist.cli import main
from jointwrist.weights.checkpoint import read_weights


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """A program of torch.export."""
    path = tmp_path_factory.mktemp("program") / "w.pt2"
    torch.export.save(torch.export.export(torch.nn.Linear(2, 2), (torch.zeros(1, 2),)), path)
    return path


@pytest.mark.parametrize("ending", [".pt2", ".onnx"])
def test_an_exported_program_is_named_where_weights_are_needed(tmp_path, capsys, program, ending):
    path = program.rename(program.with_suffix(ending)) if ending != program.suffix else program
    commands = [
        ["models", "history", str(path)],
        ["export", str(path), str(tmp_path / "again.onnx")],
        ["export", str(path), str(tmp_path / "card.md")],
        ["detectability", str(tmp_path), "-w", str(path), "-o", str(tmp_path / "study"), "--threshold-into", "x"],
        ["adapt", str(tmp_path), "--weights", str(path), "--out", str(tmp_path / "adapted")],
    ]
    if ending == ".pt2":
        commands.append(["predict", str(radiograph(tmp_path)), "--weights", str(path), "--out", str(tmp_path / "out")])
    for command in commands:
        assert main(command) == 2, command
        assert f"{path}: is an exported program; give the weights" in capsys.readouterr().err, command
    path.rename(program)


@pytest.mark.parametrize("start", [b"\xff" * 8, b"short", b"\0" * 64])
def test_any_other_file_is_refused_in_one_line(tmp_path, capsys, start):
    path = tmp_path / "w.safetensors"
    path.write_bytes(start)
    assert main(["predict", str(radiograph(tmp_path)), "-w", str(path), "-o", str(tmp_path / "out")]) == 2
    assert f"{path}: not a complete safetensors file" in capsys.readouterr().err


def test_a_picture_is_no_checkpoint_and_pytorchs_advice_is_not_passed_on(tmp_path, capsys):
    picture = radiograph(tmp_path, "a.png", np.eye(40))
    assert main(["models", "convert", "--model", "unet", str(picture), str(tmp_path / "w.safetensors")]) == 2
    said = capsys.readouterr().err
    assert "not a checkpoint of plain tensors" in said and "weights_only" not in said


def test_a_pretrained_encoder_is_no_network(tmp_path, capsys, weights):  # noqa: F811
    tensors, info = read_weights(weights)
    encoder = {name: tensor for name, tensor in tensors.items() if name.startswith("encoder.")}
    described = {"jointwrist": json.dumps({**info, "config": {"task": "pretraining"}})}
    save_file(encoder, tmp_path / "best.safetensors", metadata=described)
    assert main(["predict", str(radiograph(tmp_path)), "-w", str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "holds a pretrained encoder, not a whole network; train a network" in capsys.readouterr().err
