"""The README's tables come from rows that are kept in the repository, and are up to date."""

from __future__ import annotations

import json
import re

import pytest

from benchmarks.readme import KEPT, README, filled, keep, main

TEXT = README.read_text(encoding="utf-8")


def test_tables_are_those_of_the_kept_rows():
    assert main(["--check"]) == 0


def test_tables_hold_the_models_that_ran():
    for record in KEPT.glob("jobs/*/job.json"):
        assert f"`{json.loads(record.read_text(encoding='utf-8'))['model']}`" in TEXT


def test_a_changed_figure_is_noticed():
    figure = re.search(r"\| (\d+\.\d\d) \|", TEXT[TEXT.index("<!-- table:segmentation -->") :]).group(1)
    assert filled(TEXT.replace(f"| {figure} |", "| 99.99 |")) == TEXT


def test_a_marker_without_a_table_is_an_error():
    with pytest.raises(KeyError, match="nonsense"):
        filled("<!-- table:nonsense -->\n<!-- /table -->")


def test_pictures_and_files_that_the_readme_names_are_there():
    for target in re.findall(r"\]\((?!https?:|#)([^)]+)\)", TEXT):
        assert (README.parent / target).exists(), target


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
