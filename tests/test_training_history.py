"""What weights were trained on: written by trainings, carried on by later ones, and said with every score."""

from __future__ import annotations

import json

import pytest
import yaml

from jointwrist.cli import main
from jointwrist.engine.train import train
from jointwrist.errors import DataError
from jointwrist.registry import create_model
from jointwrist.weights.checkpoint import read_info, read_weights, save_weights
from jointwrist.weights.find import find_weights
from jointwrist.weights.model_from_metadata import parse_info
from jointwrist.weights.training_history import TrainingData, TrainingHistory

PHANTOMS = TrainingData("phantoms", 40, 40, 40, "phantom")
QUICK = {"image_size": 32, "optim": {"epochs": 1}, "augment": {"affine_probability": 0.0}}


def test_a_training_carries_on_the_history_of_the_weights_that_it_starts_from(phantom_root, tmp_path):
    options, before = (
        {"encoder": "conv", "roi_crop": 16},
        TrainingHistory.of(read_info(find_weights("jointwrist_tiny"))),
    )
    start = tmp_path / "start.safetensors"
    info = {"model": "jointwrist_tiny", "options": options, "image_size": 32, "history": before.to_list()}
    save_weights(start, create_model("jointwrist_tiny", **options), info)
    trained = train(
        "jointwrist_tiny", phantom_root, tmp_path / "run", {**QUICK, "start": str(start), "options": options}
    )
    history = TrainingHistory.of(read_info(trained.weights)).data
    assert history[:-1] == before.data != ()
    assert history[-1].source == "phantoms" and history[-1].erosions == "phantom" and history[-1].masks > 0
    assert read_info(tmp_path / "run" / "last.safetensors")["history"] == read_info(trained.weights)["history"]


@pytest.mark.parametrize(
    ("data", "caution", "said"),
    [
        ([PHANTOMS, PHANTOMS], "untested on real erosions", "80 phantoms"),
        (
            [PHANTOMS, TrainingData("radiographs", 30, 30, 0)],
            "untested on real erosions",
            "bones of 40 phantoms and 30 real radiographs; erosions drawn into 40 phantoms.",
        ),
        (
            [PHANTOMS, TrainingData("radiographs", 16, 0, 16, "inserted")],
            "untested on real erosions",
            "drawn into 40 phantoms and inserted into 16 real radiographs.",
        ),
        (
            [TrainingData("radiographs", 30, 30, 0)],
            "untested on real erosions",
            "Trained on bones of 30 real radiographs; no erosions.",
        ),
        (
            [TrainingData("radiographs", 30, 0, 30, "scored")],
            "",
            "Trained without bone masks; erosions scored by readers on 30 real radiographs.",
        ),
        (
            [TrainingData("radiographs", 1, 1, 1, "scored")],
            "",
            "bones of 1 real radiograph; erosions scored by readers on 1",
        ),
        ([PHANTOMS, TrainingData("radiographs", 9, 9, 9, "scored")], "", "scored by readers on 9 real radiographs."),
        ([TrainingData("unknown", erosions="unknown")], "from weights whose training data are not known", ""),
    ],
)
def test_the_caution_depends_on_where_the_erosions_come_from(data, caution, said):
    history = TrainingHistory(tuple(data))
    assert history.caution == caution and said in str(history)
    assert caution in history.warning and bool(history.warning) == bool(caution)
    assert TrainingHistory.parse(json.loads(json.dumps(history.to_list()))) == history


@pytest.mark.parametrize(
    ("info", "source", "erosions"),
    [
        ({}, ["unknown"], "unknown"),
        ({"config": {"stream": {"wrists": 8}}, "epochs": 3}, ["phantoms"], "phantom"),
        ({"config": {"stream": {"wrists": 8}, "start": "w"}}, ["unknown", "phantoms"], "phantom"),
        ({"training": {"phantom": False, "wrists": 3, "masks": 3, "scores": 0}}, ["radiographs"], "none"),
    ],
)
def test_older_files_say_what_their_configuration_says(info, source, erosions):
    data = TrainingHistory.of(info).data
    assert [entry.source for entry in data] == source and data[-1].erosions == erosions


@pytest.mark.parametrize("history", [7, ["phantoms"], [{"source": "x-rays"}], [{"source": "phantoms", "wrists": -1}]])
def test_a_damaged_history_is_refused(history, tmp_path):
    text = json.dumps({"model": "jointwrist_tiny", "history": history})
    with pytest.raises(DataError, match="metadata are invalid"):
        parse_info(tmp_path / "w.safetensors", text)


def test_a_history_can_be_read_and_corrected_and_the_tensors_stay(tmp_path, capsys):
    path, record = tmp_path / "own.safetensors", tmp_path / "history.yaml"
    path.write_bytes(find_weights("jointwrist_tiny").read_bytes())
    before, _ = read_weights(path)
    assert main(["models", "history", str(path)]) == 0
    entries = yaml.safe_load(capsys.readouterr().out)
    record.write_text(yaml.safe_dump([*entries, {"source": "radiographs", "scores": 5, "erosions": "scored"}]))
    assert main(["models", "history", str(path), "--write", str(record)]) == 0
    record.write_text(record.read_text() + "  scores: 6\n")
    assert main(["models", "history", str(path), "--write", str(record)]) == 2
    assert f"{record}: line " in (said := capsys.readouterr().err) and "gives scores again" in said
    after, info = read_weights(path)
    assert TrainingHistory.of(info).real_erosions
    assert before.keys() == after.keys() and all(tensor.equal(after[name]) for name, tensor in before.items())


def test_the_shipped_weights_say_what_they_have_seen():
    history = TrainingHistory.of(read_info(find_weights("jointwrist_tiny")))
    assert history.data and not any(data.source == "unknown" for data in history.data)
