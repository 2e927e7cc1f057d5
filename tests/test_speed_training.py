"""The training benchmark times the trainer's own steps, and sets the environment of its processes alone."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

from benchmarks.speed_parts import builds as speed_builds
from benchmarks.speed_parts import training as speed_training
from benchmarks.speed_parts.training import MEMORY, PARTS, benchmark_training, memory_reused


def test_parts_make_up_the_step():
    found = benchmark_training(["--models", "mobilenet", "--sizes", "32", "64", "--batch=2", "--steps=1", "--rounds=0"])
    rows = {row["name"]: row["value"] for row in found}
    for size in (32, 64):
        shares = [rows[f"mobilenet {size} px, {part}"] for part in PARTS]
        assert min(shares) > 0 and 0.7 < sum(shares) <= 1.001
    assert rows["mobilenet 64 px to 32 px"] == pytest.approx(rows["mobilenet 64 px"] / rows["mobilenet 32 px"])


def test_ways_of_memory_take_turns_each_in_its_environment(monkeypatch):
    seen = []

    class Pool:
        def __init__(self, *_, **__):
            self.variables = {k: v for k, v in os.environ.items() if k.startswith("MALLOC_")}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def submit(self, function, name, *arguments):
            seen.append((name, self.variables, arguments))
            return type("Future", (), {"result": lambda self: float(len(seen))})()

    monkeypatch.setattr(speed_training, "ProcessPoolExecutor", Pool)
    before = dict(os.environ)
    times = memory_reused(3, "unetpp", 64)
    assert dict(os.environ) == before
    assert [name for name, *_ in seen] == list(MEMORY) * 3
    assert all(variables == MEMORY[name] and rest == ("unetpp", 64) for name, variables, rest in seen)
    assert times == dict(zip(MEMORY, (4.0, 5.0, 6.0), strict=True))


def test_builds_take_turns_each_in_its_folder(monkeypatch, tmp_path):
    seen = []

    def run(command, cwd, env, **_):
        seen.append((cwd, env["PYTHONPATH"], command[-1]))
        return SimpleNamespace(stdout=f"a note\n{2.0 if cwd == tmp_path else 1.0}\n")

    monkeypatch.setattr(speed_builds.subprocess, "run", run)
    monkeypatch.setattr(speed_builds, "write_phantom", lambda *_, **__: None)
    rows = {row["name"]: row["value"] for row in speed_builds.benchmark_builds([str(tmp_path), "--rounds=2"])}
    assert rows["jointwrist_tiny 256 px, batch 8, other build to this"] == 2.0
    parts = speed_builds.PARTS
    assert all(rows[f"{part}, other build to this"] == 2.0 for part in parts)
    assert [folder for folder, *_ in seen] == [speed_builds.ROOT, tmp_path] * 2 * (1 + len(parts))
    assert all(path == str(folder) for folder, path, _ in seen)
    assert [part for *_, part in seen[:-4:4]] == list(parts)
    assert all(json.loads(step)[:4] == ["returned", "jointwrist_tiny", 256, 8] for *_, step in seen[-4:])
    alone = speed_builds.benchmark_builds([str(tmp_path), "--rounds=1", "--only-training"])
    assert [row["name"].rpartition(", ")[2] for row in alone] == ["this build", "other build", "other build to this"]
