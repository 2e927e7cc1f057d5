"""Detectability of inserted erosions: thresholds, figures over patients, and the command on unlabelled radiographs."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from jointwrist.anatomy import JOINT_NAMES
from jointwrist.cli import main
from jointwrist.config import ConfigError
from jointwrist.errors import DataError
from jointwrist.metrics.erosion import auroc
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.registry import create_model
from jointwrist.studies import insertion_study
from jointwrist.studies.detectability import call_threshold, detectability
from jointwrist.studies.insertion_study import StudyPlan, trials
from jointwrist.weights.checkpoint import read_info, save_weights, write_info
from jointwrist.weights.find import find_weights


@pytest.mark.parametrize("rate", [0.0, 0.05, 0.1, 0.33, 0.9])
def test_no_more_untouched_joints_are_called_than_stated(rate):
    rng = np.random.default_rng(0)
    for plain in (rng.random(57), np.round(rng.random(57), 1), np.zeros(9), np.ones(9)):
        threshold = call_threshold(plain, rate)
        assert (plain >= threshold).mean() <= rate
        # the next lower probability would call too many
        lower = plain[plain < threshold]
        assert not len(lower) or (plain >= lower.max()).mean() > rate
        twice = call_threshold(np.concatenate([plain, plain]), rate)
        assert call_threshold(plain, rate, np.full(len(plain), 2.0)) == pytest.approx(threshold)
        assert twice == pytest.approx(threshold)


def rows(patients: int, rise: float, seed: int = 0) -> pd.DataFrame:
    """Two films a patient, six joints; an erosion adds `rise` to the logit, a control nothing."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(2 * patients):
        for joint in JOINT_NAMES:
            logit = rng.normal(-2, 1)
            about = {"film": f"{number}.png", "patient": str(number // 2), "side": "R", "joint": joint, "seed": 0}
            for kind, radius, change in (("plain", 0, 0), ("inserted", 2, rise), ("control", 2, 0.0)):
                value = logit + change + (0.3 * rng.normal() if kind != "plain" else 0)
                made.append(
                    {**about, "kind": kind, "family": "scallops" * (kind != "plain"), "radius_mm": float(radius),
                     "probability": 1 / (1 + np.exp(-value))}
                )  # fmt: skip
    return pd.DataFrame(made)


def test_figures_are_those_of_their_definitions():
    given = rows(8, 2.0)
    found = detectability(given, 0.1)
    of_all = found.table[(found.table["joint"] == "all") & (found.table["family"] == "all")].set_index("kind")
    plain, inserted, control = (
        given[given["kind"] == k]["probability"].to_numpy() for k in ("plain", "inserted", "control")
    )
    truth = np.arange(2 * len(plain)) < len(plain)
    row = of_all.loc["inserted"]
    assert row["auroc"] == pytest.approx(auroc(truth, np.concatenate([inserted, plain])))
    assert row["higher"] == (inserted > plain).mean()
    assert row["sensitivity"] == (inserted >= found.threshold).mean() and (plain >= found.threshold).mean() <= 0.1
    for name in ("auroc", "higher", "sensitivity"):
        assert row[f"{name}_low"] <= row[name] <= row[f"{name}_high"]
    assert of_all.loc["control", "auroc"] == pytest.approx(auroc(truth, np.concatenate([control, plain])))
    assert (found.radiographs, found.patients) == (16, 8) and found.untouched == pytest.approx(plain.mean())
    by_joint = found.table[(found.table["kind"] == "inserted") & (found.table["joint"] != "all")]
    assert by_joint["joint"].tolist() == list(JOINT_NAMES) and by_joint["cases"].sum() == len(inserted)


def test_intervals_follow_the_patients_not_the_films():
    given = rows(8, 1.5)
    doubled = pd.concat([given, given.assign(film=given["film"] + "b")], ignore_index=True)
    widths = []
    for part in (given, doubled):
        table = detectability(part).table
        row = table[(table["kind"] == "inserted") & (table["joint"] == "all") & (table["family"] == "all")].iloc[0]
        widths.append(row["auroc_high"] - row["auroc_low"])
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_rows_without_a_scored_joint_are_refused():
    with pytest.raises(DataError, match="no erosion was inserted"):
        detectability(rows(2, 1.0).query("kind == 'plain'"))
    with pytest.raises(DataError, match="no erosion was inserted"):
        detectability(rows(2, 1.0).assign(probability=np.nan))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"families": ("ragged",)}, "ragged: used for training"),
        ({"families": ("cubist",)}, "choose among undermined"),
        ({"radii": (0.1, 2.0)}, "between 0.3 and 10 mm"),
        ({"control_mm": 2.5}, "one of the radii"),
        ({"repeats": 0}, "at least 1"),
    ],
)
def test_plans_that_make_no_sense_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        StudyPlan(**values)


def test_trials_follow_from_film_and_plan(tmp_path):
    plan = StudyPlan(repeats=2)
    first, other = (list(trials(tmp_path / f"{name}.npz", plan)) for name in "ab")
    assert first == list(trials(tmp_path / "a.npz", plan)) and len(first) == 6 * 4 * 2
    assert len({trial.seed for trial in first + other}) == 2 * len(first)
    # with two repeats each joint and radius has both families
    assert len({(t.joint, t.radius_mm, t.family) for t in first}) == len(first)


def test_names_and_patients_are_read_back_as_they_were(tmp_path, monkeypatch, predictor):
    row = {"film": "NA", "patient": "12e456", "side": "R", "joint": "Lunate", "kind": "plain", "family": "", "seed": 3}
    made = [{**row, "probability": np.nan}, {**row, "patient": "007", "probability": 0.25}]
    monkeypatch.setattr(insertion_study, "_radiograph_rows", lambda *_: made)
    found = insertion_study.run_study([tmp_path / "a.npz"], predictor, StudyPlan(), tmp_path)
    pd.testing.assert_frame_equal(found, pd.DataFrame(made), check_dtype=False)
    assert predictor.postprocess


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    wrist = make_wrist(41, 0, PhantomConfig(size=320, prevalence=0.0))
    Image.fromarray(np.uint8(wrist.image[0] * 255)).save(folder / f"secret-name_0001_{wrist.side}.png")
    return folder


def test_the_command_writes_rows_figures_plot_and_a_page_without_films(films, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["detectability", str(films), "-o", str(out), "--radii", "2.5", "--batch-size", "7"]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "undermined, scallops; none of them is used for training" in said and "control, 2.5 mm" in said
    cases = pd.read_csv(out / "cases.csv")
    assert set(cases["kind"]) == {"plain", "inserted", "control"} and (cases["kind"] == "plain").sum() == 6
    assert {"auroc", "sensitivity_low", "higher"} <= set(pd.read_csv(out / "detectability.csv").columns)
    page = (out / "detectability.html").read_text()
    assert page.count("data:image") == 1 and "secret-name" not in page and "ragged" in page
    kept = next(out.glob("prepared/study-*/*.csv"))
    before = kept.stat().st_mtime_ns
    assert main([*command, "--examples", "--false-calls", "0.2"]) == 0
    assert kept.stat().st_mtime_ns == before
    page = (out / "detectability.html").read_text()
    assert page.count("data:image") > 3 and "at most 20%" in page


def test_other_weights_get_the_threshold_of_the_studied_ones(films, tmp_path, capsys):
    out, other, written = tmp_path / "out", tmp_path / "other.safetensors", tmp_path / "written.safetensors"
    shutil.copy(find_weights("jointwrist_tiny"), other)
    write_info(other, {**read_info(other), "epochs": 77})
    command = [
        "detectability",
        str(films),
        "-o",
        str(out),
        "--radii",
        "2.5",
        "--phantoms",
        "2",
        "--threshold-for",
        str(other),
    ]
    assert main(command) == 2 and "give both" in capsys.readouterr().err
    bones, into = tmp_path / "bones.safetensors", ["--threshold-into", str(written)]
    save_weights(bones, create_model("unet"), {"model": "unet", "options": {}, "image_size": 64})
    assert main([*command[:-1], str(bones), *into]) == 2 and not list(out.iterdir())
    assert "bones.safetensors: unet scores no erosion" in capsys.readouterr().err
    assert main([*command, *into]) == 0
    info, plain = read_info(written), pd.read_csv(out / "cases.csv").query("kind == 'plain'")["probability"]
    assert info["epochs"] == 77 and info["calls"]["films"] == 1 and info["calls"]["phantoms"] == 2
    assert (plain >= info["thresholds"]["erosion"]).mean() <= 0.1
    assert read_info(other)["thresholds"] != info["thresholds"]


def test_a_share_of_false_calls_outside_0_and_1_is_named(films, tmp_path, capsys):
    assert main(["detectability", str(films), "-o", str(tmp_path), "--false-calls", "10"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err
