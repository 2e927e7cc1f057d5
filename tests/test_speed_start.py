"""The commands that a user waits for are timed from their start to their end, and held against bounds."""

from __future__ import annotations

import subprocess

import pytest

from benchmarks.speed import exceeded, main
from benchmarks.speed_parts import start as speed_start
from benchmarks.speed_parts.start import BOUNDS, benchmark_start, seconds


def test_both_commands_run_and_have_their_bounds(capsys):
    rows = benchmark_start(["--runs=0", "--size=128"])
    assert [(row["name"], row["unit"], row["bound"]) for row in rows] == [
        ("help", "s", BOUNDS["help"]),
        ("predict 128 px", "s", BOUNDS["predict"]),
    ]
    assert 0 < rows[0]["value"] < rows[1]["value"], "a prediction takes longer than the help"
    assert capsys.readouterr().out.count("bound") == 2


def test_the_time_is_that_of_a_run_after_the_first(monkeypatch, tmp_path):
    clock = iter([0.0, 9.0, 10.0, 11.0, 20.0, 22.0, 30.0, 36.0])
    monkeypatch.setattr(speed_start.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(speed_start.subprocess, "run", lambda *_, **__: None)
    assert seconds(["--help"], str(tmp_path), 3) == 2.0


def test_a_command_that_fails_is_no_time(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        seconds(["predict", "missing.png"], str(tmp_path), 1)


def test_a_time_above_its_bound_fails_the_command(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(speed_start, "seconds", lambda *_: 1e3)
    monkeypatch.setattr(speed_start.Path, "is_file", lambda _: True)
    assert len(exceeded(benchmark_start(["--size=64"]))) == 2
    monkeypatch.undo()
    monkeypatch.setattr(
        speed_start, "benchmark_start", lambda _: [{"name": "x", "value": 2.0, "unit": "s", "bound": 1.0}]
    )
    assert main(["start", f"--results={tmp_path}"]) == 1
    assert "exceeds the bound" in capsys.readouterr().err
