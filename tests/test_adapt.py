"""Adapting weights to unlabelled radiographs: division by patient, plans, and the threshold of a call.

The whole command runs in the documentation's examples.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from jointwrist.config import ConfigError, build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.errors import DataError
from jointwrist.inference.predictor import Predictor
from jointwrist.insertion.masked_radiograph import MaskedRadiograph
from jointwrist.insertion.prepared_radiograph import PreparedRadiograph
from jointwrist.registry import create_model
from jointwrist.studies.adapt import AdaptPlan, _values, adapt, divide
from jointwrist.studies.calls import Calls, choose_calls, write_calls
from jointwrist.weights.checkpoint import read_info, read_weights, save_weights
from jointwrist.weights.find import find_weights
from jointwrist.weights.model_card import model_card


@pytest.fixture
def films(tmp_path):
    masks = np.zeros((14, 16, 16), bool)
    masks[0, 4:8, 4:8] = True
    film = MaskedRadiograph.of(np.zeros((16, 16)), masks, 0.2)
    paths = []
    for number in range(12):
        paths.append(tmp_path / f"{number:02d}.npz")
        PreparedRadiograph(f"{number}.png", f"patient{number // 2}", "R", film).write(paths[-1])
    return paths


@pytest.mark.parametrize("share", [0.01, 0.3, 0.5, 0.99])
def test_films_of_a_patient_are_never_divided(films, share):
    used, held = divide(films, share, 0)
    assert sorted(used + held) == films and used and held
    patients = [{PreparedRadiograph.read(path).patient for path in part} for part in (used, held)]
    assert not patients[0] & patients[1]
    assert len(patients[1]) == min(max(round(share * 6), 1), 5)
    assert divide(films[::-1], share, 0)[1] == held[::-1]


def test_films_of_one_patient_are_refused(films):
    with pytest.raises(DataError, match="at least two"):
        divide(films[:2], 0.5, 0)


@pytest.mark.parametrize("values", [{"minutes": 0}, {"minutes": 1e6}, {"held_out": 1.0}, {"false_calls": 10}])
def test_plans_out_of_range_are_refused(values):
    with pytest.raises(ConfigError, match="give"):
        AdaptPlan(**values)


def test_the_configuration_is_that_of_the_weights_with_the_trunk_frozen(tmp_path):
    info = read_info(find_weights("jointwrist_tiny"))
    values = _values(info, tmp_path / "start.safetensors", tmp_path, AdaptPlan())
    config = build(RunConfig, {**values, "model": "jointwrist_tiny", "task": "joint"})
    assert config.joint.trained == "erosion" and config.erosion.threshold == "argmax"
    assert (config.image_size, config.detail_size) == (info["image_size"], info["detail_size"])
    assert config.stream.options == info["config"]["stream"]["options"]


def test_the_threshold_is_chosen_on_radiographs_that_training_did_not_use(films, tmp_path, monkeypatch):
    studied, weights = [], find_weights("jointwrist_tiny")
    probabilities = {path: np.full(6, number / 100) for number, path in enumerate(films)}
    trained = SimpleNamespace(weights=shutil.copy(weights, tmp_path / "trained.safetensors"))
    for name, stand_in in {
        "_measure": lambda start, held, *_: studied.append(held),
        "write_phantom": lambda *_, **__: None,
        "_steps": lambda *_: 4,
        "train": lambda *_, **__: SimpleNamespace(weights=Path(trained.weights)),
        "phantom_probabilities": lambda *_: [np.zeros(6)],
        "radiograph_probabilities": lambda files, _: [probabilities[path] for path in files],
    }.items():
        monkeypatch.setattr(f"jointwrist.studies.adapt.{name}", stand_in)
    adapted = adapt(films, weights, tmp_path / "out", tmp_path / "work", AdaptPlan(false_calls=0.01))
    held = studied[0]
    assert adapted.calls.films == len(held) == len(films) - adapted.used
    highest = max(probabilities[path][0] for path in held)
    assert highest < adapted.calls.threshold <= highest + 1e-6


def test_the_threshold_keeps_the_rate_on_films_and_on_phantoms():
    rng = np.random.default_rng(0)
    films, phantoms = list(rng.random((20, 6)) * 0.5), list(rng.random((30, 6)))
    films[0][2] = np.nan
    calls = choose_calls(films, phantoms, 0.1)
    for part in (films, phantoms):
        values = np.stack(part)
        assert (values[np.isfinite(values)] >= calls.threshold).mean() <= 0.1
    assert calls.threshold == choose_calls(phantoms, [], 0.1).threshold
    wrists = np.concatenate([films, phantoms])
    assert calls.wrists_called == (np.nan_to_num(wrists) >= calls.threshold).any(1).mean()
    assert (calls.films, calls.phantoms) == (20, 30)


def test_the_weights_and_their_card_say_what_the_threshold_rests_on(tmp_path):
    model = create_model("jointwrist_tiny", encoder="conv", widths=[8, 8, 8, 8, 8], roi_crop=32)
    start, out = tmp_path / "start.safetensors", tmp_path / "out.safetensors"
    save_weights(start, model, {**model.info, "image_size": 32, "thresholds": {"mask": 0.4, "erosion": 0.5}})
    write_calls(start, Calls(0.37, 0.1, 16, 24, 0.3), out)
    assert Predictor.from_pretrained(out, localise=False).threshold == pytest.approx(0.37)
    info = read_info(out)
    assert info["thresholds"]["mask"] == 0.4 and info["calls"]["films"] == 16
    card = model_card(info, "here")
    assert "at most 10% of the joints of 16 unmodified radiographs and of 24 phantoms" in card
    assert read_info(start)["thresholds"]["erosion"] == 0.5
    before, after = (read_weights(path)[0] for path in (start, out))
    assert all((before[name] == after[name]).all() for name in before)
    # metadata of downloaded files may hold anything
    assert "Calls" not in model_card({**info, "calls": {"films": "many"}}, "here")
    write_calls(out, Calls(0.6, 0.05, 1, 0, 0.0), out)
    assert read_info(out)["thresholds"]["erosion"] == 0.6
