"""Calibration and thresholds from validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from scipy.special import expit, logit
from sklearn.calibration import _SigmoidCalibration
from sklearn.metrics import balanced_accuracy_score, f1_score
from torch.utils.data import Dataset

from jointwrist.engine.calibration import calibrate, platt_scaling
from jointwrist.engine.run_config import ErosionConfig, RunConfig
from jointwrist.engine.tasks import JointTask
from jointwrist.metrics.erosion import best_balanced_threshold, best_f1_threshold
from jointwrist.registry import create_model


def overconfident(count, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(-2, 1.5, count)
    return rng.random(count) < expit(values), expit(3 * values + 4)


def test_platt_scaling_equals_sklearns():
    eroded, probability = overconfident(400)
    scale, shift = platt_scaling(eroded, probability)
    theirs = _SigmoidCalibration().fit(logit(probability), eroded)
    assert (scale, shift) == pytest.approx((-theirs.a_, -theirs.b_), rel=1e-3)


def test_platt_scaling_finds_what_was_done_to_the_logits():
    scale, shift = platt_scaling(*overconfident(40000))
    assert scale == pytest.approx(1 / 3, rel=0.05) and shift == pytest.approx(-4 / 3, rel=0.05)


@pytest.mark.parametrize("eroded", [np.zeros(3, bool), np.ones(3, bool)])
def test_platt_scaling_needs_both_kinds(eroded):
    with pytest.raises(ValueError, match="both"):
        platt_scaling(eroded, np.full(3, 0.5))


class Radiographs(Dataset):
    """Random radiographs with given scores (8, 6)."""

    def __init__(self, scores):
        self.scores = scores

    def __len__(self):
        return len(self.scores)

    def __getitem__(self, index):
        generator = torch.Generator().manual_seed(index)
        return {
            "image": torch.rand(1, 64, 64, generator=generator),
            "scores": self.scores[index],
            "has_bones": torch.tensor(False),
            "has_eroded": torch.tensor(False),
            "bones": torch.zeros(64, 64, dtype=torch.int32),
            "eroded": torch.zeros(64, 64, dtype=torch.uint8),
            "identifier": f"{index:04d}_0001_R",
            "patient": f"{index:04d}",
            "side": "R",
        }


def probabilities(model, radiographs):
    model.eval()
    with torch.no_grad():
        logits = torch.cat(
            [model(radiographs[i]["image"][None]).erosion_logits[..., 0] for i in range(len(radiographs))]
        )
    return radiographs.scores.bool().numpy().flatten(), logits.sigmoid().flatten().double().numpy()


@pytest.fixture
def parts():
    torch.manual_seed(0)
    config = RunConfig("jointwrist_tiny", "joint", image_size=64, erosion=ErosionConfig(threshold="f1"))
    model = create_model("jointwrist_tiny", encoder="conv").eval()
    torch.nn.init.normal_(model.erosion.score.weight, std=0.3)
    radiographs = Radiographs(torch.zeros(8, 6, dtype=torch.long))
    _, probability = probabilities(model, radiographs)
    rank = np.argsort(np.argsort(probability)) + np.random.default_rng(0).normal(0, 8, 48)
    radiographs.scores = torch.from_numpy(rank > 30).long().reshape(8, 6)
    return Accelerator(cpu=True), model, radiographs, config


def test_calibrated_probabilities_and_thresholds_are_the_best(parts):
    accelerator, model, radiographs, config = parts
    before = probabilities(model, radiographs)
    thresholds = calibrate(accelerator, model, radiographs, JointTask(config))
    eroded, probability = probabilities(model, radiographs)
    expected = expit(np.polyval(platt_scaling(*before), logit(before[1])))
    np.testing.assert_allclose(probability, expected, atol=1e-5)
    assert thresholds["erosion"] == thresholds["erosion_f1"]
    # another threshold may be as good, and float32 may exchange neighbours: the figures must agree
    for name, best, figure in (
        ("erosion_f1", best_f1_threshold, f1_score),
        ("erosion_balanced", best_balanced_threshold, balanced_accuracy_score),
    ):
        highest = figure(eroded, probability >= best(eroded, probability))
        assert figure(eroded, probability >= thresholds[name]) == pytest.approx(highest, abs=0.02)


def test_calibrating_twice_changes_nothing(parts):
    accelerator, model, radiographs, config = parts
    first = calibrate(accelerator, model, radiographs, JointTask(config)), model.erosion.calibration.clone()
    second = calibrate(accelerator, model, radiographs, JointTask(config)), model.erosion.calibration.clone()
    assert (
        first[0] == second[0]
        and torch.equal(first[1], second[1])
        and not torch.equal(first[1], torch.tensor([1.0, 0.0]))
    )


def test_argmax_leaves_the_network_alone(parts):
    accelerator, model, radiographs, config = parts
    config = replace(config, erosion=ErosionConfig(threshold="argmax"))
    assert calibrate(accelerator, model, radiographs, JointTask(config)) == {"mask": 0.5, "erosion": 0.5}
    assert model.erosion.calibration.tolist() == [1.0, 0.0]
