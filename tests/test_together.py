"""Processes that train together: the gradient of one, every case once, and one error or signal for all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from jointwrist.anatomy import NUM_JOINTS
from jointwrist.benchmark.jobs import make_job
from jointwrist.benchmark.protocol import load_protocol
from jointwrist.benchmark.run_jobs import check_shares
from jointwrist.config import ConfigError
from jointwrist.engine.loop.trainer import STATE
from tests import ranks

ROOT = Path(__file__).parent.parent
STILL = {"affine_probability": 0.0, "intensity_probability": 0.0}
PLAIN = {"image_size": 32, "augment": STILL, "erosion": {"crop_size": 32}}
OPTIM = {"epochs": 1, "batch_size": 5, "lr": 0.1}
# later versions of the head normalise over the crops of a process
JOINT = {"encoder": "conv", "roi_crop": 32, "head_version": 1}
RUNS = {
    "segmentation": {**PLAIN, "model": "probe_segmentation", "task": "segmentation", "optim": {**OPTIM, "lr": 2.0}},
    "erosion": {**PLAIN, "model": "probe_erosion", "task": "erosion", "optim": OPTIM},
    "joint": {
        **PLAIN,
        "model": "jointwrist_tiny",
        "task": "joint",
        "detail_size": 64,
        "options": JOINT,
        "optim": {**OPTIM, "ema": 0.5, "lr": 0.01, "clip_norm": 5.0},
        "segmentation": {"distance": 0.2, "overlap": 0.2, "boundary": 0.1},
        # all that have masks give them to the head, whatever is drawn
        "joint": {"segmentation_warmup": 0.0, "teacher_forcing": 1e9, "consistency": 1.0, "masked_share": 0.4},
    },
}


@pytest.fixture(scope="module")
def alone(processes, phantom_root, tmp_path_factory) -> Path:
    """Weights and sums of losses after the steps of one process."""
    out = tmp_path_factory.mktemp("alone")
    assert ranks.start(processes, 1, ranks.few_steps, 1, phantom_root, out, RUNS, 3) == [0]
    return out


@pytest.mark.parametrize("count", [2, 3])
def test_several_processes_take_the_steps_of_one(count, alone, processes, phantom_root, tmp_path):
    assert ranks.start(processes, count, ranks.few_steps, count, phantom_root, tmp_path, RUNS, 3) == [0] * count
    for name in RUNS:
        one, several = (torch.load(folder / f"{name}.pt") for folder in (alone, tmp_path))
        for key, value in one.items():
            assert torch.allclose(several[key], value, rtol=1e-4, atol=1e-5), (name, key)


PROTOCOL = {
    "name": "together",
    "summary": "small models",
    "models": ["jointwrist_tiny", "mobilenet"],
    "seeds": [3],
    "defaults": {"image_size": 32, "cache": False, "optim": {"epochs": 1, "batch_size": 4, "lr": 1.0e-3}},
    "tasks": {
        "erosion": {"erosion": {"crop_size": 32}, "optim": {"batch_size": 32}},
        "joint": {"detail_size": 32, "options": JOINT},
    },
}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("protocol") / "together.yaml"
    path.write_text(yaml.safe_dump(PROTOCOL))
    return path


def command(root: Path, protocol: Path, results: Path, *more: str) -> list[str]:
    return ["--data", str(root), "--protocol", str(protocol), "--results", str(results), *more]


def records(results: Path) -> dict[str, dict]:
    found = (json.loads(path.read_text()) for path in results.glob("*/jobs/*/job.json"))
    return {record["model"]: record for record in found}


def test_a_signal_to_one_process_stops_both_at_the_same_step(processes, phantom_root, protocol, tmp_path):
    arguments = command(phantom_root, protocol, tmp_path, "--models", "jointwrist_tiny")
    assert ranks.start(processes, 2, ranks.benchmark, arguments, "signal") == [143, 143]
    (job,) = tmp_path.glob("*/jobs/*")
    assert torch.load(job / STATE)["step_in_epoch"] == 2 and not (job / "job.json").exists()
    assert ranks.start(processes, 2, ranks.benchmark, arguments) == [0, 0]
    assert records(tmp_path)["jointwrist_tiny"]["status"] == "ok"


def test_a_process_that_fails_alone_leaves_a_record_and_the_rest_goes_on(processes, phantom_root, protocol, tmp_path):
    arguments = command(phantom_root, protocol, tmp_path)
    assert ranks.start(processes, 2, ranks.benchmark, arguments, "memory") == [1, 1]
    (record,) = records(tmp_path).values()
    assert record["model"] == "jointwrist_tiny" and record["error"].startswith("out of memory: a batch of 4")
    assert ranks.start(processes, 2, ranks.benchmark, arguments) == [1, 1]
    assert {model: record["status"] for model, record in records(tmp_path).items()} == {
        "jointwrist_tiny": "error",
        "mobilenet": "ok",
    }


def test_an_image_that_one_process_cannot_read_is_named_and_the_rest_goes_on(
    processes, phantom_root, dataset, protocol, tmp_path
):
    root = Path(shutil.copytree(phantom_root, tmp_path / "data"))
    # of three batches, the second process tests the middle one
    damaged = [case for case in dataset.segmentation("test")][1]
    (root / damaged.image.relative_to(phantom_root)).write_bytes(b"no image")
    arguments = command(root, protocol, tmp_path / "results", "--models", "jointwrist_tiny", "mobilenet")
    assert ranks.start(processes, 2, ranks.benchmark, arguments) == [1, 1]
    found = records(tmp_path / "results")
    assert found["mobilenet"]["status"] == "ok" and damaged.identifier in found["jointwrist_tiny"]["error"]


WRITES = """
import os, sys
from pathlib import Path
sys.path.insert(0, os.environ["PYTHONPATH"])
from benchmarks import run_all
replace, log = os.replace, Path(sys.argv.pop(1))
def told(source, target):
    with log.open("a") as file:
        file.write(f"{os.environ['RANK']} {target}\\n")
    replace(source, target)
os.replace = told
sys.exit(run_all.main())
"""


@pytest.mark.timeout(660)
def test_two_processes_of_torchrun_write_every_case_once(phantom_root, dataset, protocol, tmp_path):
    script, log, results = tmp_path / "script.py", tmp_path / "log", tmp_path / "results"
    script.write_text(WRITES)
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", str(script)]
    arguments = command(phantom_root, protocol, results, "--models", "jointwrist_tiny")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, str(log), *arguments], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    written = [line.split(" ", 1) for line in log.read_text().splitlines()]
    assert {rank for rank, path in written if Path(path).name != "writable"} == {"0"}
    for name in ("job.json", "segmentation.csv", "erosion.csv"):
        paths = [path for _, path in written if Path(path).name == name and "jobs" in Path(path).parts]
        assert paths and len(paths) == len(set(paths)), name

    (record,) = records(results).values()
    assert (record["status"], record["processes"]) == ("ok", 2)
    (masks,), (calls,) = (
        [pd.read_csv(path, dtype=str) for path in results.glob(f"*/jobs/*/{name}.csv")]
        for name in ("segmentation", "erosion")
    )
    assert not masks.duplicated(["case", "kind", "region"]).any() and not calls.duplicated(["case", "joint"]).any()
    tested = {case.identifier for case in dataset.segmentation("test")}
    assert set(masks["case"]) == tested and len(masks) == 28 * len(tested)
    scored = [case for case in dataset.erosion("test") for joint in range(NUM_JOINTS) if case.scores[joint] >= 0]
    assert sorted(calls["case"]) == sorted(case.identifier for case in scored)
    page = (results / "together-phantom" / "report.html").read_text(encoding="utf-8")
    assert 'class="gallery"' in page and "data:image/jpeg" in page


def test_more_processes_than_images_are_refused_before_anything_is_trained(processes, phantom_root, protocol, tmp_path):
    arguments = command(phantom_root, protocol, tmp_path, "--set", "optim.batch_size=1")
    assert ranks.start(processes, 2, ranks.benchmark, arguments) == [2, 2]
    assert not list(tmp_path.glob("*/jobs/*/*"))
    config = load_protocol(str(protocol)).run_config("mobilenet", 3)
    with pytest.raises(ConfigError, match="mobilenet: a batch of 32 cannot be shared by 40 processes"):
        check_shares([make_job(config, "data", tmp_path)], 40)
