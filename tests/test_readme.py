"""The README's tables come from rows that are kept in the repository, and are up to date."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from benchmarks.readme import ABLATIONS, ARMS, BEST_CLASSIFIER, KEPT, README, filled, keep, main, page_tables
from benchmarks.speed_table import (
    BOUNDS,
    RESULTS,
    SCAN_TARGETS,
    TARGETS,
    scan_table,
    speed_table,
    target_table,
    training_table,
)

TEXT = README.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tables():
    return page_tables()


def test_tables_are_those_of_the_stored_results(tables, monkeypatch):
    monkeypatch.setattr("benchmarks.readme.page_tables", lambda: tables)
    assert main(["--check"]) == 0


def test_tables_hold_the_models_that_ran():
    for record in KEPT.glob("jobs/*/job.json"):
        assert f"`{json.loads(record.read_text(encoding='utf-8'))['model']}`" in TEXT


def test_a_changed_figure_is_noticed(tables):
    figure = re.search(r"\| (\d+\.\d\d) \[", TEXT[TEXT.index("<!-- table:demonstration -->") :]).group(1)
    assert filled(TEXT.replace(f"| {figure} [", "| 99.99 ["), tables) == TEXT


def test_speeds_are_those_of_the_stored_measurements(tables):
    block = TEXT[TEXT.index("<!-- table:speed_short -->") :]
    shown = re.search(r"\| ([\d.]+) × \|", block).group(1)
    assert filled(TEXT.replace(f"| {shown} × |", "| 9999 × |"), tables) == TEXT
    kept = pd.concat(pd.read_csv(path) for path in RESULTS.glob("speed-*.csv"))
    assert f"{kept.loc[kept['name'] == 'ratio to MONAI', 'value'].iloc[0]:.3g} ×" in block


def test_the_joint_table_is_that_of_the_ablations():
    block = TEXT[TEXT.index("<!-- table:joint -->") :].partition("<!-- /table -->")[0]
    kept = pd.read_csv(ABLATIONS / "ablations_free.csv", index_col="Arm")
    shown = [line for line in block.splitlines() if line.startswith("| one network for masks and erosions |")]
    assert len(shown) == 1 and f"{float(kept.loc['`S1`', 'AUROC']):.2f}" in shown[0]
    assert len([line for line in block.splitlines() if line.startswith("| ")]) == 2 + len(ARMS)
    ran = pd.to_numeric(kept["AUROC"], errors="coerce")
    ran = ran[kept["pixels of erosions"] == "no"]
    best = ran[[arm.startswith("`C0-") for arm in ran.index]].idxmax()
    lines = [line for line in block.splitlines() if line.startswith("| ")][2:]
    for arm, line in zip(ARMS, lines, strict=True):
        row = kept.loc[best if arm == BEST_CLASSIFIER else f"`{arm}`"]
        for figure, digits in (("DSC %", 2), ("AUROC", 3)):
            value = pd.to_numeric(row[figure], errors="coerce")
            assert pd.isna(value) or f"| {value:.{digits}f}" in line, (arm, figure)
    assert best.strip("`").removeprefix("C0-") in block


def test_what_was_not_measured_is_a_dash(tmp_path):
    for machine, part, name in (("A", "metrics", "ratio to MONAI"), ("B", "phantom", "make 600 px")):
        row = {"part": part, "name": name, "value": 7.25, "unit": "" if part == "metrics" else "wrists/s/core"}
        pd.DataFrame([{**row, "machine": machine, "torch": "2"}]).to_csv(tmp_path / f"speed-{machine}.csv", index=False)
    header, _, *lines = speed_table(tmp_path).splitlines()
    assert header == "| | A | B |" and len(lines) == 2
    assert lines[0].endswith("| 7.25 × | - |") and lines[1].endswith("| - | 7.25 wrists/s/core |")


def test_missed_speed_targets_of_the_scan_are_reported(tmp_path):
    factors = {0: 1.0, 1: 0.99, 2: 2.0, len(SCAN_TARGETS) - 1: 1.01}
    rows = [
        {"name": name, "value": target.value * factors.get(index, 1.0), "unit": target.unit.replace("×", "")}
        for index, ((_, name), target) in enumerate(SCAN_TARGETS.items())
    ] + [{"name": name, "value": 0.5, "unit": ""} for name in BOUNDS]
    kept = pd.DataFrame(rows).assign(part="scan", machine="A", torch="2")
    kept.to_csv(tmp_path / "speed-A.csv", index=False)
    elsewhere = kept.assign(machine="B").replace({"name": {name: f"{name} on a GPU" for name in kept["name"]}})
    elsewhere.to_csv(tmp_path / "speed-B.csv", index=False)
    header, _, *lines = scan_table(tmp_path).splitlines()
    assert header == "| | target | A |" and len(lines) == len(SCAN_TARGETS) + len(BOUNDS)
    missed = [index for index, line in enumerate(lines) if line.endswith(", missed |")]
    assert missed == [1, len(SCAN_TARGETS) - 1]
    assert "| 80 × or more | 80 × |" in lines[0] and "| 300 MB or less | 303 MB, missed |" in lines[missed[1]]
    assert target_table(TARGETS, tmp_path) == "Not measured yet."


def test_training_steps_are_a_table_of_sizes_growth_and_parts(tmp_path):
    assert training_table(tmp_path) == "Not measured yet."
    rows = {
        "unet 64 px": 10.0, "unet 64 px, loading": 0.1, "unet 64 px, forward": 0.9, "unet 128 px": 42.0,
        "unet 128 px, loading": 0.05, "unet 128 px, forward": 0.95, "unet 128 px to 64 px": 4.2,
        "unet 128 px, memory reused": 3.0,
    }  # fmt: skip
    frame = pd.DataFrame({"part": "training", "name": rows.keys(), "value": rows.values(), "unit": "", "machine": "A"})
    frame.to_csv(tmp_path / "speed-a.csv", index=False)
    machine, _, header, _, line = training_table(tmp_path).splitlines()
    assert machine == "A:" and header == "| model | ms at 64 px | ms at 128 px | 64 to 128 px | loading % | forward % |"
    assert line == "| `unet` | 10 | 42 | 4.2 × | 5.0 | 95.0 |"


def test_a_marker_without_a_table_is_an_error():
    with pytest.raises(KeyError, match="nonsense"):
        filled("<!-- table:nonsense -->\n<!-- /table -->", {})


def test_the_readme_is_short():
    assert len(TEXT.splitlines()) <= 120


def test_pictures_and_files_that_the_readme_names_are_there():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", TEXT):
        assert (README.parent / target.partition("#")[0]).exists(), target


def test_keeping_takes_rows_and_leaves_weights(tmp_path):
    job = tmp_path / "results" / "jobs" / "unetpp-seed1-abc"
    with pytest.raises(FileNotFoundError, match="run_all"):
        keep(tmp_path / "results", tmp_path / "kept")
    job.mkdir(parents=True)
    for name in ("job.json", "segmentation.csv", "best.safetensors"):
        (job / name).write_text(name)
    keep(tmp_path / "results", tmp_path / "kept")
    assert sorted(path.name for path in (tmp_path / "kept" / "jobs" / job.name).iterdir()) == [
        "job.json",
        "segmentation.csv",
    ]
