"""Tables as pure functions of rows: figures against pandas and sklearn, published rows marked as such."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.tables import case_means, erosion_table, segmentation_table, spread
from jointwrist.anatomy import BONE_NAMES, JOINT_NAMES


def record(model: str, task: str) -> dict:
    return {
        "model": model,
        "seed": 1,
        "protocol": "demo",
        "status": "ok",
        "data": "phantom",
        "parameters": 2_411_896,
        "config": {"image_size": 128, "task": task},
        "seconds": 1.0,
        "machine": "test",
    }


@pytest.fixture
def bones() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        {"model": "unetpp", "seed": seed, "case": f"c{case}", "kind": "bone", "region": bone, "dsc": rng.random(),
         "nsd": rng.random(), "voe": rng.random(), "msd": rng.random()}
        for seed in (1, 2) for case in range(3) for bone in BONE_NAMES
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_case_means_are_means_over_bones(bones):
    means = case_means(bones).set_index(["seed", "case"])
    expected = bones.groupby(["seed", "case"])["dsc"].mean()
    assert np.allclose(means["dsc"].sort_index(), expected.sort_index())


def test_a_missed_bone_is_counted_and_does_not_make_msd_infinite(bones):
    bones.loc[0, ["dsc", "nsd", "msd"]] = 0.0, 0.0, np.inf
    means = case_means(bones)
    assert means["missed"].sum() == 1 and np.isfinite(means["msd"]).all()


def test_segmentation_table_marks_published_and_not_run(bones):
    table = segmentation_table(bones, [record("unetpp", "segmentation")])
    ours, other = table.frame.iloc[0], table.frame[table.frame["Model"] == "SwinUMamba"].iloc[0]
    expected = bones.groupby(["seed", "case"])["dsc"].mean().groupby("seed").mean() * 100
    assert ours["DSC %"] == f"{expected.mean():.2f} ± {expected.std():.2f}"
    assert ours["published DSC"] == "97.33" and other["published DSC"] == "97.75" and other["DSC %"] == "not run"
    for word in ("phantom", "demo", "seeds 1", "3 test wrists", "published"):
        assert word in table.caption
    assert r"\begin{tabular}" in table.latex() and "| Model |" in table.markdown()


def test_erosion_table_equals_sklearn():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    rows = pd.DataFrame(
        {"model": "mobilenet", "seed": 1, "case": f"c{i}", "patient": f"p{i}", "joint": joint,
         "score": int(rng.integers(0, 3)), "probability": rng.random()}
        for i in range(40) for joint in JOINT_NAMES
    )  # fmt: skip
    rows["predicted"] = (rows["probability"] >= 0.5).astype(int)
    rows["level"] = rows["predicted"]
    table = erosion_table(rows, [record("mobilenet", "erosion")], "pooled")
    truth = rows["score"] > 0
    line = table.frame.iloc[0]
    assert line["BACC %"] == f"{100 * metrics.balanced_accuracy_score(truth, rows['predicted']):.2f}"
    assert line["F1 %"] == f"{100 * metrics.f1_score(truth, rows['predicted']):.2f}"
    assert line["AUROC"] == f"{metrics.roc_auc_score(truth, rows['probability']):.2f}"


def test_spread():
    assert spread([1.0]) == "1.00" and spread([1.0, 3.0]) == "2.00 ± 1.41" and spread([np.nan]) == "undefined"
