"""Masked-image pretraining: what is hidden, what is learned, resumption, and a training that starts from it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from jointwrist.cli import main
from jointwrist.config import ConfigError
from jointwrist.engine.pretrain import pretrain
from jointwrist.engine.tasks.pretraining import hide_patches
from jointwrist.errors import DataError
from jointwrist.models.encoder import build_encoder
from jointwrist.models.masked_image import MaskedImageModel
from jointwrist.weights.checkpoint import read_info
from jointwrist.weights.pretrained import load_pretrained
from jointwrist.weights.training_history import TrainingHistory

SMALL = {
    "image_size": 64,
    "options": {"encoder": "conv"},
    "optim": {"epochs": 2, "batch_size": 4},
    "stream": {"wrists": 0},
}


@pytest.mark.parametrize("share, number", [(0.6, 10), (0.0, 1), (1.0, 15)])
def test_the_same_number_of_whole_patches_is_hidden_in_every_image(share, number):
    hidden = hide_patches(3, 50, 16, share)
    assert hidden.shape == (3, 1, 50, 50) and hidden.dtype == torch.bool
    centres = hidden[:, 0, 1::16, 1::16]
    assert centres.sum((-2, -1)).tolist() == [number] * 3
    grown = centres.float().repeat_interleave(16, 1).repeat_interleave(16, 2)[:, :50, :50]
    assert torch.equal(grown > 0, hidden[:, 0])


def test_hidden_pixels_do_not_reach_the_prediction():
    torch.manual_seed(0)
    model = MaskedImageModel(build_encoder("conv")).eval()
    hidden = hide_patches(1, 64, 32, 0.5)
    image = torch.rand(1, 1, 64, 64)
    other = torch.where(hidden, torch.rand(1, 1, 64, 64), image)
    with torch.no_grad():
        assert torch.equal(model(image, hidden), model(other, hidden))
        assert not torch.equal(model(image, ~hidden), model(other, ~hidden))


@pytest.fixture(scope="module")
def radiographs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("radiographs")
    rng = np.random.default_rng(0)
    for i, shape in enumerate([(60, 40), (40, 60), (64, 64), (50, 50), (64, 48)]):
        Image.fromarray(rng.integers(0, 255, shape, np.uint8)).save(folder / f"{i}.png")
    (folder / "notes.txt").write_text("not a radiograph", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def pretrained(radiographs, tmp_path_factory):
    return pretrain("jointwrist_tiny", [radiographs], tmp_path_factory.mktemp("run"), SMALL)


def test_the_encoder_loads_whole_and_the_report_names_every_key(pretrained):
    encoder = build_encoder("conv")
    report = load_pretrained(encoder, pretrained)
    assert report.source == "jointwrist" and not report.unused and not report.untouched
    stored = load_file(pretrained)
    assert all(torch.equal(value, stored[name]) for name, value in encoder.state_dict().items())
    assert str(report).startswith(f"{pretrained}: {len(stored)} keys of jointwrist loaded, 0 unused")
    (data,) = TrainingHistory.of(read_info(pretrained)).data
    assert (data.source, data.wrists, data.masks, data.scores) == ("radiographs", 4, 0, 0)


def test_a_finished_pretraining_returns_at_once_and_another_configuration_is_refused(pretrained, radiographs):
    before = pretrained.read_bytes()
    assert pretrain("jointwrist_tiny", [radiographs], pretrained.parent, SMALL).read_bytes() == before
    code = main(["pretrain", str(radiographs), "-o", str(pretrained.parent), "--set", "image_size=64"])
    assert code == 2


def test_an_encoder_of_another_kind_is_refused(pretrained):
    with pytest.raises(DataError, match=r"was pretrained with another encoder \(stages"):
        load_pretrained(build_encoder("mamba"), pretrained)


def test_nothing_to_train_on_and_other_models_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="nothing to train on"):
        pretrain("jointwrist_tiny", [], tmp_path, SMALL)
    with pytest.raises(ConfigError, match="not a joint network"):
        pretrain("unetpp", [], tmp_path, SMALL)


def test_phantoms_alone_are_trained_on(tmp_path, capsys):
    values = ["image_size=32", "options.encoder=conv", "optim.epochs=1", "optim.batch_size=2", "stream.wrists=2"]
    assert main(["pretrain", "-o", str(tmp_path), "--set", *values]) == 0
    assert f"joint.pretrained=[{tmp_path / 'encoder.safetensors'}]" in capsys.readouterr().out
    (data,) = TrainingHistory.of(read_info(tmp_path / "encoder.safetensors")).data
    assert (data.source, data.wrists) == ("phantoms", 2)
