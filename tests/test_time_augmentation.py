"""Test-time augmentation: views come back to where they were, and the spread is that of the answers."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from test_predictor import Brightness, Segmenter, dice, radiograph
from torch import nn

from jointwrist.cli import main
from jointwrist.inference.prediction import Prediction
from jointwrist.inference.predictor import Predictor
from jointwrist.inference.test_time_augmentation import VIEWS, View, invert, transform
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import save_weights


class Sceptic(Brightness):
    """Masks of `Brightness`; erosion probabilities that follow the mean brightness, and a joint seen in few views."""

    def __init__(self):
        super().__init__()
        self.seen: list[float] = []

    def forward(self, image, detail=None):
        output = super().forward(image)
        mean = image.mean()
        self.seen.append(float(mean))
        level = torch.stack([mean, mean / 2, mean / 4]).expand(len(image), 6, 3)
        valid = torch.tensor([True, True, True, True, len(self.seen) % 5 == 2, len(self.seen) % 5 != 2])
        return SimpleNamespace(
            mask_logits=output.mask_logits,
            erosion_logits=torch.logit(level),
            roi_boxes=output.roi_boxes,
            roi_valid=valid.expand(len(image), 6),
        )


class Stubborn(nn.Module):
    """Masks that stay in one place, whatever the radiograph shows."""

    def forward(self, image):
        masks = torch.full((len(image), 14, *image.shape[-2:]), -10.0)
        masks[:, :13, 20:40, 50:80] = 10.0
        return masks


@pytest.mark.parametrize("view", [*VIEWS[1:], View(1.1, -8.0), View(0.9, 20.0)])
def test_a_view_comes_back_to_the_radiograph(view):
    image = radiograph(128, 128)[None, None]
    seen = transform(image, view)
    assert np.abs(seen - image).max() > 0.05
    back, shown = invert(Prediction(np.repeat(seen, 14, 1)), view)
    assert 0.6 < shown.mean() <= 1
    assert (np.abs(back.masks - image) * shown).max() < 0.02


@pytest.mark.parametrize("view", VIEWS)
def test_boxes_come_back_to_the_radiograph(view):
    """A box round a bright disc, found by hand in the view, must come to lie round the disc in the radiograph."""
    y, x = np.mgrid[:128, :128]
    disc = ((y - 80) ** 2 + (x - 45) ** 2 < 12**2).astype(np.float32)[None, None]
    rows, columns = np.nonzero(transform(disc, view)[0, 0] > 0.5)
    box = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], np.float32)
    masks = np.zeros((1, 14, 128, 128), np.float32)
    prediction = Prediction(masks, np.zeros((1, 6, 3)), np.tile(box, (1, 6, 1)), np.ones((1, 6), bool))
    back, _ = invert(prediction, view)
    np.testing.assert_allclose(back.boxes[0, 0], [33.5, 68.5, 57.5, 92.5], atol=1.6)


@pytest.mark.parametrize("side", ["L", "R"])
def test_views_of_a_network_that_follows_the_radiograph_agree(side):
    pixels = radiograph(150, 97)
    result = Predictor(Brightness(), image_size=96, localise=False)(pixels, side=side, tta=True).single()
    for bone in range(1, 13):
        assert dice(result.masks[bone], pixels > (bone + 1) / 16) > 0.95
        assert result.uncertainty.bone_dice[bone] > 0.93
    rows, columns = np.where(pixels > 0.75)
    truth = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    np.testing.assert_allclose(result.boxes[0], truth, atol=4)
    assert result.uncertainty.views == 5
    np.testing.assert_allclose(result.uncertainty.probability_sd[:4], 0, atol=1e-6)


def test_masks_that_do_not_follow_the_radiograph_are_detected_by_their_spread():
    result = Predictor(Stubborn(), image_size=96, localise=False)(radiograph(96, 96), side="R", tta=True).single()
    assert (result.uncertainty.bone_dice[:13] < 0.93).all()
    assert np.isnan(result.uncertainty.bone_dice[13])
    assert np.isnan(result.uncertainty.probability_sd).all()


def test_probability_is_the_mean_and_its_spread_the_standard_deviation():
    network = Sceptic()
    result = Predictor(network, image_size=64, localise=False)(radiograph(64, 64), side="R", tta=True).single()
    assert len(network.seen) == 5 and len(set(network.seen)) > 1
    np.testing.assert_allclose(result.probabilities[:4], np.mean(network.seen), rtol=1e-5)
    np.testing.assert_allclose(result.uncertainty.probability_sd[:4], np.std(network.seen, ddof=1), rtol=1e-4)
    assert result.scored.tolist() == [True] * 4 + [False, True]
    rest = [value for index, value in enumerate(network.seen) if index != 1]
    np.testing.assert_allclose(result.probabilities[5], np.mean(rest), rtol=1e-5)
    np.testing.assert_allclose(result.uncertainty.probability_sd[5], np.std(rest, ddof=1), rtol=1e-4)
    assert np.isnan(result.uncertainty.probability_sd[4])
    joint = result.to_dict()["joints"][0]
    assert joint["probability_sd"] == pytest.approx(np.std(network.seen, ddof=1), abs=1e-4)
    assert result.to_dict()["bones"][3]["dice_between_views"] > 0.9


def test_raw_outputs_are_averaged_as_they_are():
    pixels = radiograph(96, 96)
    result = Predictor(Segmenter(), image_size=96, raw_output=True, localise=False)(pixels, side="R", tta=True).single()
    assert dice(result.masks[3], 20 * (pixels - 4 / 16) > 0.5) > 0.97


def test_without_augmentation_there_is_no_spread():
    result = Predictor(Brightness(), image_size=64, localise=False)(radiograph(64, 64), side="R").single()
    assert result.uncertainty is None
    assert "probability_sd" not in json.dumps(result.to_dict())


def test_a_folder_and_a_batch_size(tmp_path):
    predictor = Predictor(Brightness(), image_size=48, localise=False)
    for index in range(5):
        Image.fromarray((radiograph(48 + index, 48) * 255).astype(np.uint8)).save(tmp_path / f"{index}_R.png")
    results = predictor(tmp_path, batch_size=2)
    assert [result.name for result in results] == [f"{index}_R.png" for index in range(5)]
    assert [result.radiograph.pixels.shape[0] for result in results] == [48, 49, 50, 51, 52]
    mixed = predictor([tmp_path / "3_R.png", radiograph(40, 40), tmp_path], tta=True)
    assert len(mixed) == 7
    assert mixed[1].radiograph.pixels.shape == (40, 40)


def test_predict_prints_the_spread(tmp_path, capsys):
    torch.manual_seed(0)
    network = create_model("jointwrist_tiny")
    nn.init.zeros_(network.decoder.mask_head.bias)
    save_weights(tmp_path / "w.safetensors", network, {"model": "jointwrist_tiny", "options": {}, "image_size": 64})
    Image.fromarray((radiograph(64, 64) * 255).astype(np.uint8)).save(tmp_path / "radiograph_R.png")
    command = [
        "predict",
        str(tmp_path / "radiograph_R.png"),
        "-w",
        str(tmp_path / "w.safetensors"),
        "-o",
        str(tmp_path / "o"),
        "--field",
        "whole",
    ]
    assert main([*command, "--tta", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert any("dice_between_views" in bone for bone in printed["bones"])
    assert any("probability_sd" in joint for joint in printed["joints"])
