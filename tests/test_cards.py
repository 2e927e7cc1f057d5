"""Model cards, data sheet and citation: valid where that can be checked offline, and true of what they describe."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from huggingface_hub import DatasetCard, ModelCard

from jointwrist import __version__
from jointwrist.cli import main
from jointwrist.data.dataset.check import check_dataset
from jointwrist.engine.run_data.training_record import training_record, validation_record
from jointwrist.weights.model_card import file_card, model_card

ROOT = Path(__file__).parent.parent
SHIPPED = ROOT / "jointwrist" / "weights" / "README.md"


def section(card: str, heading: str) -> str:
    return card.partition(f"\n## {heading}\n")[2].partition("\n## ")[0].strip()


def test_the_card_of_the_shipped_weights_is_the_hubs_and_its_figures_are_those_of_its_table(tmp_path):
    assert main(["export", "jointwrist_tiny", str(tmp_path / "card.md")]) == 0
    text = (tmp_path / "card.md").read_text(encoding="utf-8")
    assert "](../" in SHIPPED.read_text(encoding="utf-8") and "](../" not in text
    data = ModelCard(text).data
    assert (data.license, data.library_name, data.model_name) == ("apache-2.0", "jointwrist", "jointwrist_tiny")
    table = section(text, "Figures")
    assert len(data.eval_results) == 5
    assert all(str(result.metric_value) in table for result in data.eval_results)
    assert "no real radiographs" in data.eval_results[0].dataset_name


def test_training_data_are_counted_and_the_chosen_epoch_is_the_one_of_the_smallest_figure(dataset):
    cases = dataset.cases
    record = training_record(cases, phantom=False)
    scores = np.array([case.scores for case in cases if case.scores is not None])
    assert record["joints"] == np.count_nonzero(scores >= 0) and record["eroded"] == np.count_nonzero(scores > 0)
    assert record["patients"] == len({case.patient for case in cases}) and record["wrists"] == len(cases)
    history = [
        {"epoch": epoch, "val_dsc": dsc, "val_loss": 1.0, "selected_by": -dsc}
        for epoch, dsc in enumerate((0.1, 0.9, 0.5))
    ]
    assert validation_record(history) == {"epoch": 2, "dsc": 0.9, "loss": 1.0}


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ({}, "does not say which radiographs"),
        ({"patients": {"salt": "s", "hashes": ["a", "b"]}}, "They are of 2 patients"),
        ({"config": {"stream": {"wrists": 50, "seed": 9, "options": {"relief": 1}}}}, "seed 9 (relief 1): no real"),
        ({"config": {"start": "/home/somebody/w.safetensors"}}, "started from other weights"),
        ({"inherited": [{"salt": "s", "hashes": ["a"]}]}, "trained on 1 patient."),
        ({"config": "nonsense", "training": {"wrists": "many"}, "validation": [1]}, "does not say which radiographs"),
    ],
)  # fmt: skip
def test_a_card_says_what_the_file_knows_and_no_more(info, said):
    text = model_card({"model": "jointwrist_tiny", "options": {}, **info}, "someone/wrist")
    assert said in section(text, "Training data")
    assert "somebody" not in text and "contains no figures" in section(text, "Evaluation")
    ModelCard(text)


def test_a_card_names_the_augmentation():
    config = {"augment": {"shift": 0.1, "uneven": 0.7}}
    text = model_card({"model": "jointwrist_tiny", "options": {}, "config": config}, "someone/wrist")
    assert "| `augment` | shift=0.1, uneven=0.7 |" in text


def test_a_card_distinguishes_phantoms_from_radiographs(dataset):
    record = training_record(dataset.cases, phantom=True)
    for phantom in (True, False):
        info = {
            "model": "unetpp",
            "training": {**record, "phantom": phantom},
            "validation": {"epoch": 3, "dsc": 0.91234},
        }
        text = model_card(info, "someone/wrist")
        assert ("no real radiographs" in text, "without erosions of patients" in text) == (phantom, phantom)
        assert f"{record['eroded']} of {record['joints']} scored joint surfaces" in text
        assert "| DSC, mean over bones and wrists | 0.9123 |" in section(text, "Evaluation")


def test_a_file_without_a_model_has_no_card(tmp_path):
    from safetensors.torch import save_file
    from torch import zeros

    save_file({"a": zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="holds no jointwrist model"):
        file_card(tmp_path / "other.safetensors", "x")


def test_the_data_sheet_of_a_phantom_counts_what_lies_beside_it(dataset):
    text = (dataset.root / "README.md").read_text(encoding="utf-8")
    data = DatasetCard(text).data
    assert (data.license, data.size_categories, data.annotations_creators) == ("cc-by-3.0", "n<1K", "machine-generated")
    rows = {
        row[0]: [int(n) for n in row[1:]]
        for row in re.findall(r"^\| ([a-z ]+) \| (\d+) \| (\d+) \| (\d+) \|$", text, re.M)
    }
    splits = ("train", "val", "test")
    assert rows["with bone masks"] == [len(dataset.segmentation(split)) for split in splits]
    assert rows["with erosion scores"] == [len(dataset.erosion(split)) for split in splits]
    assert sum(rows["radiographs"]) == len(dataset.cases)
    scores = np.array([case.scores for case in dataset.cases if case.scores is not None])
    counted = f"{np.count_nonzero(scores > 0)} of {np.count_nonzero(scores >= 0)} scored joint surfaces"
    assert counted in text
    assert "| `seed` |" in text and "No person was" in text
    assert not [fault for fault in check_dataset(dataset.root) if fault.severity == "error"]


def test_citation_zenodo_and_the_package_say_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    deposit = json.loads((ROOT / ".zenodo.json").read_text(encoding="utf-8"))
    assert citation["version"] == deposit["version"] == __version__
    assert citation["license"] == deposit["license"]["id"] == project["license"]
    assert citation["abstract"] == deposit["description"] == project["description"]
    assert citation["keywords"] == deposit["keywords"] == project["keywords"]
    assert citation["title"] == deposit["title"]
    assert [author["name"] for author in citation["authors"]] == [creator["name"] for creator in deposit["creators"]]
    (reference,) = citation["references"]
    related = {entry["identifier"] for entry in deposit["related_identifiers"]}
    assert related == {reference["doi"], reference["identifiers"][0]["value"]}
    card = model_card({"model": "jointwrist_tiny"}, "x/y")
    assert citation["title"] in card and reference["title"] in card and reference["doi"] in card and __version__ in card
