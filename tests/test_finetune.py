"""Fine-tuning: patients kept apart, figures that are those of the rows, a run that continues, a history."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from accelerate.state import AcceleratorState
from PIL import Image
from safetensors.torch import load_file

from jointwrist.cli import main
from jointwrist.data.dataset.drawn_bones import undrawn_notes
from jointwrist.engine.finetune import _deal, recipe
from jointwrist.engine.results.case_results import epoch_table, name_figure
from jointwrist.engine.results.changes import measure_changes
from jointwrist.engine.run_data.patient_folds import patient_folds, with_splits
from jointwrist.errors import DataError
from jointwrist.registry import create_model
from jointwrist.text import number_of
from jointwrist.weights.checkpoint import read_info, save_weights
from jointwrist.weights.training_history import TrainingHistory

QUICK = ["--folds", "2", "--set", "optim.epochs=1", "optim.batch_size=8"]


@pytest.fixture(autouse=True)
def one_accelerator_a_test():
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Weights of a small network, last trained on phantoms and with frozen bones, as the shipped ones were."""
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    options = {"encoder": "conv", "roi_crop": 32}
    info = {"model": "jointwrist_tiny", "options": options, "image_size": 32, "detail_size": 32}
    config = {**info, "task": "joint", "joint": {"trained": "erosion"}, "stream": {"wrists": 8}}
    torch.manual_seed(0)
    save_weights(path, create_model("jointwrist_tiny", **options), {**info, "config": config, "epochs": 1})
    return path


def test_folds_keep_patients_together_and_share_radiographs(dataset):
    folds = patient_folds(dataset.cases, 4, seed=1)
    patients = {case.patient for case in dataset.cases}
    assert set().union(*folds) == patients and sum(map(len, folds)) == len(patients)
    sizes = [sum(case.patient in fold for case in dataset.cases) for fold in folds]
    assert max(sizes) - min(sizes) <= 2
    placed = with_splits(dataset, folds[0], folds[1])
    for case in placed.cases:
        split = "val" if case.patient in folds[0] else "test" if case.patient in folds[1] else "train"
        assert {case.segmentation_split, case.erosion_split} <= {split, None}
    with pytest.raises(ValueError, match="cannot be divided"):
        patient_folds(dataset.cases, len(patients) + 1, seed=1)


def test_a_change_is_that_of_the_rows():
    rng = np.random.default_rng(0)
    cases = [f"c{number}" for number in range(12)]
    rows = pd.DataFrame(
        {"case": case, "patient": case, "kind": "bone", "region": bone, "dsc": rng.random(), "nsd": rng.random()}
        for case in cases
        for bone in ("a", "b")
    )
    better = rows.assign(dsc=rows["dsc"] + 0.01).sample(frac=1, random_state=1)
    dsc, nsd = measure_changes({"segmentation": rows}, {"segmentation": better})
    assert dsc.change == pytest.approx(1) and dsc.change_low == pytest.approx(1) == pytest.approx(dsc.change_high)
    assert dsc.before == pytest.approx(100 * rows["dsc"].mean()) and dsc.before_low < dsc.before < dsc.before_high
    assert nsd.change == 0 and "NSD %: before" in str(nsd)
    joints = pd.DataFrame({"case": cases, "patient": cases, "joint": "j", "score": [0, 1] * 6, "probability": 0.5})
    sure = joints.assign(probability=joints["score"] * 1.0)
    (area,) = measure_changes({"erosion": joints}, {"erosion": sure})
    assert (area.figure, area.before, area.after, area.change) == ("AUROC", 0.5, 1, 0.5)


def test_small_sets_take_fewer_steps_and_more_epochs():
    steps = {wrists: recipe(wrists)["epochs"] * -(-wrists // recipe(wrists)["batch_size"]) for wrists in (8, 24, 80)}
    assert steps[8] < steps[24] < steps[80]
    assert recipe(8)["epochs"] > recipe(24)["epochs"] > recipe(80)["epochs"] >= 4


def test_figures_have_their_names_and_signs():
    assert name_figure("dsc", -0.913) == "validation DSC 91.30 %"
    assert name_figure("loss", 0.5) == "validation loss 0.5000"
    table = epoch_table([{"epoch": 0, "selected_by": -0.5}, {"epoch": 1, "selected_by": -0.9}])
    assert table["selected"].tolist() == [0, 1] and "selected_by" not in table


def test_fine_tuning_measures_continues_and_keeps_the_history(weights, phantom_root, tmp_path, capsys, caplog):
    out = tmp_path / "tuned"
    command = ["finetune", str(phantom_root), "-w", str(weights), "-o", str(out), *QUICK]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "DSC %: before" in said and "never saw its patient" in said
    assert "3 trainings: one for each of 2 folds" in caplog.text
    assert [left for left in (1, 2) if f"what is left, {number_of(left, 'training')}," in caplog.text] == [1, 2]
    caplog.clear()
    rows = pd.read_csv(out / "after_segmentation.csv")
    bones = rows[rows["kind"] == "bone"]
    figures = pd.read_csv(out / "figures.csv").set_index("figure")
    assert figures.loc["DSC", "after"] == pytest.approx(100 * bones.groupby("case")["dsc"].mean().mean(), rel=1e-4)
    splits = [json.loads((out / "folds" / str(fold) / "fold.json").read_text())["splits"] for fold in (1, 2)]
    tested = [{case for case, split in fold.items() if split == "test"} for fold in splits]
    assert not tested[0] & tested[1] and set(bones["case"]) <= tested[0] | tested[1]
    history = TrainingHistory.of(read_info(out / "best.safetensors"))
    assert history.data[:-1] == TrainingHistory.of(read_info(weights)).data != ()
    assert history.data[-1].wrists == sum(split == "train" for split in _final(out).values())
    start, tuned = (load_file(path) for path in (weights, out / "best.safetensors"))
    for part in ("encoder.", "decoder.", "erosion."):
        assert any(not torch.equal(start[name], tuned[name]) for name in start if name.startswith(part)), part
    assert Image.open(out / "curves.png").width > 1000 and "patient-wise folds" in (out / "README.md").read_text()
    before = (out / "figures.csv").read_text()
    assert main(command) == 0 and (out / "figures.csv").read_text() == before  # finished folds are not repeated
    assert "what is left" not in caplog.text
    assert main([*command, "optim.lr=0.5"]) == 2
    assert "belongs to other data or values" in capsys.readouterr().err


def _final(out):
    return json.loads((out / "fold.json").read_text())["splits"]


def test_too_few_patients_are_refused(phantom_root, tmp_path):
    from jointwrist.engine.finetune import finetune

    with pytest.raises(DataError, match="add patients"):
        finetune(phantom_root, tmp_path / "out", folds=500)


@pytest.mark.parametrize(
    ("patients", "folds", "told"),
    [
        (1, 2, "1 patient with masks or scores; each fold needs one to test on, one to choose"),
        (2, 2, "2 patients with masks or scores; each fold needs one to test on, one to choose"),
        (3, 2, "leave one fold a single patient, both to train on and to choose the epoch; give --folds 3,"),
        (4, 9, "4 patients cannot be divided into 9 folds; add patients, or give fewer --folds"),
        (3, 3, None),
        (4, 4, None),
    ],
)
def test_it_is_known_before_the_work_whether_the_patients_are_enough(patients, folds, told, dataset):
    names = sorted({case.patient for case in dataset.cases})[:patients]
    few = replace(dataset, cases=tuple(case for case in dataset.cases if case.patient in names))
    if told is None:
        assert len(_deal(few, folds, 1)) == folds
        return
    with pytest.raises(DataError, match=told):
        _deal(few, folds, 1)


def test_bones_that_nobody_drew_are_told(masked, tmp_path):
    """They count as absent in training, so that the network unlearns them."""
    cases = []
    for number, (case, masks) in enumerate(masked[:3]):
        drawn = np.zeros_like(masks)
        drawn[6] = masks[6] if number else 0
        np.save(tmp_path / f"{number}.npy", drawn)
        cases.append(replace(case, mask=tmp_path / f"{number}.npy"))
    undrawn, empty = undrawn_notes(cases)
    assert "drawn on no radiograph: Capitate, DistalRadius, " in undrawn and "Scaphoid" not in undrawn
    assert empty.startswith("1 radiograph with masks of no bone, such as 0.npy")
    with pytest.raises(DataError, match=r"0\.npy: no bone is drawn here, nor elsewhere"):
        undrawn_notes(cases[:1])
    assert undrawn_notes([case for case, _ in masked]) == undrawn_notes([]) == []


def test_a_wrist_without_a_bone_in_its_truth_does_not_count(recwarn):
    rows = pd.DataFrame(
        {"case": [*"abc"], "patient": [*"abc"], "kind": "bone", "region": "r", "dsc": [0.5, 0.7, np.nan], "nsd": 0.5}
    )
    dsc, _ = measure_changes({"segmentation": rows}, {"segmentation": rows})
    assert dsc.wrists == 2 and dsc.before == pytest.approx(60)
    assert measure_changes(*[{"segmentation": rows.assign(dsc=np.nan)}] * 2) == [] and not recwarn.list


@pytest.mark.parametrize(
    "command", ["train jointwrist_tiny --data {root}", "finetune {root}", "pretrain jointwrist_tiny {root}"]
)
def test_a_training_does_not_write_into_a_dataset(command, phantom_root, tmp_path, capsys):
    root = tmp_path / "data"
    (root / "BoneSegmentation").mkdir(parents=True)
    (root / "README.md").write_text("of the data")
    assert main([*command.format(root=phantom_root).split(), "--out", str(root)]) == 2
    assert f"{root}: holds a dataset, and results would replace its README.md or tables" in capsys.readouterr().err
    assert sorted(path.name for path in root.iterdir()) == ["BoneSegmentation", "README.md"]
