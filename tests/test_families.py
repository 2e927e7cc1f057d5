"""Families of erosions and look-alikes of the phantom: what is drawn where it is asked for, and what is recorded."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from jointwrist.anatomy import JOINT_NAMES
from jointwrist.config import ConfigError, build
from jointwrist.data.dataset.case import load_sample
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.data.sample import WristSample, unpack_masks
from jointwrist.engine.evaluate_weights import Evaluation
from jointwrist.metrics.families import family_figures
from jointwrist.phantom import PhantomConfig, make_wrist, write_phantom
from jointwrist.phantom.family_names import EROSIVE, FAMILIES, LOOK_ALIKES, family_shares
from jointwrist.phantom.stream import read_wrist, write_wrist

SMALL = PhantomConfig(size=64, prevalence=0.5, look_alikes=0.8)


@pytest.fixture(scope="module")
def intact() -> list[WristSample]:
    return [make_wrist(5, index, replace(SMALL, families={"cyst": 1}, look_alikes=0.0)) for index in range(3)]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_family_alone_is_recorded_and_seen_and_scored_if_it_is_erosive(
    family: str, intact: list[WristSample]
) -> None:
    changed = []
    for index, without in enumerate(intact):
        wrist = make_wrist(5, index, replace(SMALL, families={family: 1}))
        assert without.families == ("none",) * 6
        assert set(wrist.families) <= {family, "none"}
        eroded = unpack_masks(wrist.eroded, 6).any((1, 2))
        assert ((wrist.scores > 0) == (np.array(wrist.families) == family) * (family in EROSIVE)).all()
        assert (wrist.scores[eroded] > 0).all()
        difference = np.abs(wrist.image - without.image)[0]
        for joint in np.flatnonzero(np.array(wrist.families) == family):
            x0, y0, x1, y1 = without.boxes[joint].round().astype(int)
            changed.append(difference[y0:y1, x0:x1].max())
        if family not in ("osteophyte", "narrowed", "notch"):
            np.testing.assert_array_equal(wrist.healthy, without.healthy)
    assert np.median(changed) > 0.03


def test_all_families_and_one_left_out() -> None:
    assert set(family_shares({"all": 1})) == set(FAMILIES)
    assert set(family_shares({"all": 1, "round": 0})) == set(FAMILIES) - {"round"}
    config = build(PhantomConfig, {"size": 32, "prevalence": 0.6, "families": {"all": 1, "round": 0, "cyst": 0}})
    drawn = {name for index in range(25) for name in make_wrist(1, index, config).families}
    assert not drawn & {"round", "cyst"}
    assert len(drawn & set(EROSIVE)) > 6 and drawn & set(LOOK_ALIKES)


def test_joints_meant_to_be_eroded_are_and_their_scores_are_near_those_aimed_at() -> None:
    config = PhantomConfig(size=32, prevalence=1.0, families=dict.fromkeys(EROSIVE, 1))
    scores = np.array([make_wrist(2, index, config).scores for index in range(16)])
    assert (scores > 0).mean() > 0.9
    assert 0.4 < (scores == 1).mean() < 0.75 and (scores > 2).any()


@pytest.mark.parametrize(
    ("families", "match"),
    [({"rund": 1}, "did you mean 'round'"), ({"round": -1}, "families.round"), ({"round": 0}, "all shares are 0"),
     ({"round": "much"}, "a share is a number"), ({"round": float("nan")}, "families.round"), ([1], "families")],
)  # fmt: skip
def test_impossible_families_are_refused(families: object, match: str) -> None:
    with pytest.raises(ConfigError, match=match):
        PhantomConfig(families=families)


def test_without_families_erosions_are_clusters() -> None:
    sample = make_wrist(3, 2, replace(SMALL, prevalence=0.9))
    assert sample.families == tuple("cluster" if score else "none" for score in sample.scores)


def test_families_are_written_and_read_back(tmp_path) -> None:
    config = PhantomConfig(prevalence=0.5, families={"all": 1})
    write_phantom(tmp_path, 3, 64, 5, config, workers=1)
    made = {sample.identifier: sample for sample in (make_wrist(5, k, replace(config, size=64)) for k in range(3))}
    for case in RamW600.open(tmp_path).cases:
        assert load_sample(case).families == made[case.identifier].families
    cases = RamW600.open(tmp_path).cases
    evaluation = Evaluation(
        None, tmp_path, None, 0.5, None, None, cases, {case.identifier: case.truth for case in cases}
    )
    rows = [{"case": name, "joint": joint, "probability": 0.7} for name in made for joint in JOINT_NAMES]
    frame = evaluation.frames({"erosion": rows})["erosion"]
    assert frame["family"].tolist() == [family for sample in made.values() for family in sample.families]
    sample = next(iter(made.values()))
    write_wrist(tmp_path / "kept.npz", sample)
    assert read_wrist(tmp_path / "kept.npz").families == sample.families


def test_auroc_by_family_is_that_of_its_joints_against_the_opposite() -> None:
    rng = np.random.default_rng(0)
    family = np.array(["round"] * 40 + ["long"] * 30 + ["none"] * 60 + ["cyst"] * 20 + ["round"])
    score = np.array([2] * 70 + [0] * 80 + [-1])
    probability = rng.uniform(0, 1, 151) + 0.3 * (score > 0)
    patients = np.arange(151) // 3
    found = family_figures(score, probability, family, patients, resamples=200).set_index("family")
    assert list(found.index) == ["long", "round", "cyst", "none"]
    for name, positive, negative in (
        ("round", probability[:40], probability[70:150]),
        ("cyst", probability[:70], probability[130:150]),
    ):
        expected = mannwhitneyu(positive, negative).statistic / len(positive) / len(negative)
        row = found.loc[name]
        assert row["AUROC"] == pytest.approx(expected)
        assert row["low"] < expected < row["high"]
        assert row["joints"] == (family[:150] == name).sum() and row["erosive"] == (name == "round")
