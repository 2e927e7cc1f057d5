"""Calibration and thresholds from validation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate import Accelerator
from scipy.special import expit, logit
from sklearn.calibration import _SigmoidCalibration
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score, f1_score
from torch.utils.data import Dataset

from jointwrist.commands.evaluation_means import means
from jointwrist.engine.config.run_config import ErosionConfig, RunConfig
from jointwrist.engine.loop.calibration import calibrate, level_shifts, platt_scaling, space_levels
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


def ordinal(count, shifts, seed=0):
    """Scores 0 to 5 of the proportional odds model, and the probability of a score above 0."""
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 2.5, count)
    levels = (values[:, None] + rng.logistic(size=(count, 1)) > np.array([0.0, *shifts])).sum(1)
    return np.where(levels == 3, rng.integers(3, 6, count), levels), expit(values)


def test_the_levels_are_as_far_apart_as_they_were_drawn():
    scores, probability = ordinal(40000, [1.2, 3.0])
    assert level_shifts(np.minimum(scores, 3), probability, 4) == pytest.approx([1.2, 3.0], abs=0.1)


@pytest.mark.parametrize("rare", [False, True])
def test_spaced_levels_are_as_frequent_as_in_the_validation(rare):
    torch.manual_seed(0)
    model = create_model("jointwrist_tiny", encoder="conv").eval()
    model.erosion.calibration.copy_(torch.tensor([0.4, -0.3]))
    scores, probability = ordinal(600, [1.2, 3.0], seed=1)
    if rare:  # nine joints of the highest level are too few
        scores = np.where((scores > 2) & (np.cumsum(scores > 2) > 9), 2, scores)
    before = model.erosion.cuts().detach()
    space_levels(model, scores, probability)
    cuts = model.erosion.cuts().detach()
    distances = 0.4 * (cuts - cuts[0]).double().numpy()
    shares = [expit(logit(probability) - distance).mean() for distance in distances]
    np.testing.assert_allclose(shares[1], (scores > 1).mean(), atol=0.005)
    assert cuts[0] == before[0] and 0 < distances[1] < distances[2]
    if rare:
        assert float(cuts[2] - cuts[1]) == pytest.approx(float(before[2] - before[1]), rel=1e-4)
    else:
        np.testing.assert_allclose(shares[2], (scores > 2).mean(), atol=0.005)


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


def test_the_printed_degrees_are_those_of_the_scores_that_predict_gives():
    """A joint that is not called has score 0; scores 3 to 5 are one degree."""
    frame = pd.DataFrame(
        {
            "joint": ["Lunate", "Scaphoid"] * 2,
            "score": [0, 1, 2, 5],
            "probability": [0.55, 0.6, 0.9, 0.9],
            "predicted": [0, 1, 1, 1],
            "level": [2, 0, 3, 3],
        }
    )
    kappa = cohen_kappa_score([0, 1, 2, 3], [0, 1, 3, 3], weights="quadratic")
    assert means("erosion", frame).endswith(
        f"QWK {kappa:.3f}, right degree of eroded joints that are called {200 / 3:.1f} %"
    )
