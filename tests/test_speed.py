"""The speed benchmark compares equal things and keeps one table a machine."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from benchmarks.speed import exceeded, keep, main
from benchmarks.speed_parts.metrics import benchmark_metrics, imperfect
from benchmarks.speed_parts.phantom import benchmark_phantom


def test_metrics_part_measures_equal_results(capsys):
    rows = {row["name"]: row["value"] for row in benchmark_metrics(["--wrists=1", "--size=128", "--repeats=1"])}
    assert rows["largest difference to MONAI"] < 1e-5
    assert rows["ratio to MONAI"] == pytest.approx(rows["MONAI, NSD and MSD"] / rows["case metrics"])
    assert "ratio" in capsys.readouterr().out


def test_phantom_part_gives_a_rate_for_each_size_and_for_writing(capsys):
    rows = benchmark_phantom(["--wrists=2", "--sizes", "64", "96"])
    assert [row["name"] for row in rows] == ["make 64 px", "make 96 px", "make 96 px, all families", "write 96 px"]
    assert all(row["value"] > 0 for row in rows)
    assert capsys.readouterr().out.count("wrists per second") == 4


def test_imperfect_masks_are_off_by_about_so_many_pixels():
    truth = np.zeros((1, 256, 256), bool)
    truth[0, 60:200, 60:200] = True
    pred = imperfect(truth, np.random.default_rng(0), 2.0)
    assert 0.01 < (pred ^ truth).sum() / truth.sum() < 0.1


def test_a_later_run_replaces_its_rows_and_keeps_those_it_did_not_measure(tmp_path):
    keep("scan", [{"name": "ours", "value": 1.0, "unit": "ms"}], tmp_path)
    keep("metrics", [{"name": name, "value": 2.0, "unit": "ms"} for name in ("ours", "theirs")], tmp_path)
    path = keep("metrics", [{"name": "ours", "value": 3.0, "unit": "ms"}], tmp_path)
    frame = pd.read_csv(path)
    assert sorted(zip(frame["part"], frame["value"], strict=True)) == [
        ("metrics", 2.0),
        ("metrics", 3.0),
        ("scan", 1.0),
    ]
    assert list(tmp_path.iterdir()) == [path]


def test_rows_outside_their_bounds_are_named():
    row = {"name": "ratio", "unit": ""}
    assert (
        exceeded([{**row, "value": 8.0, "least": 8.0}, {**row, "value": 0.1, "bound": 0.1}, {**row, "value": 9.0}])
        == []
    )
    found = exceeded([{**row, "value": 7.9, "least": 8.0}, {**row, "value": 0.2, "bound": 0.1, "unit": "MB"}])
    assert found == ["ratio: 0.2 MB exceeds the bound of 0.1", "ratio: 7.9 is below the least, 8"]


def test_options_without_a_part_are_refused():
    with pytest.raises(SystemExit):
        main(["all", "--wrists=1"])
