"""Profile of a training step: time and memory before a run, and the batch that fits after one that did not."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import yaml
from accelerate import Accelerator
from torch import nn

from benchmarks import run_all
from jointwrist import registry
from jointwrist.benchmark.profile_step import advice, fitting_batch, out_of_memory, profile_step
from jointwrist.config import build
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.registry import ModelSpec, register_model

VALUES = {"model": "unet", "task": "segmentation", "image_size": 32, "optim": {"epochs": 1, "batch_size": 8}}
LIMIT = 3
DEVICES = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)


class MemoryLimited(nn.Module):
    """Has no memory for more than `LIMIT` images."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 14, 3, padding=1)

    def forward(self, image):
        if len(image) > LIMIT:
            raise RuntimeError(
                "[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"
            )
        return self.convolution(image)


@pytest.fixture
def memory_limited(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    monkeypatch.setattr(registry, "_BUILDERS", dict(registry._BUILDERS))
    spec = ModelSpec("memory_limited", "segmentation", None, "none", "none", "tests", 140, 32)
    register_model(spec)(MemoryLimited)
    return "memory_limited"


def test_what_means_out_of_memory():
    assert out_of_memory(MemoryError()) and out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    assert not out_of_memory(RuntimeError("shapes differ")) and not out_of_memory(ValueError("not enough memory"))


def alike(device: str = "cpu", processes: int = 1) -> SimpleNamespace:
    """Stands for an accelerator, of which a process can have one alone."""
    return SimpleNamespace(
        device=torch.device(device), num_processes=processes, autocast=nullcontext, free_memory=lambda: None
    )


@pytest.mark.parametrize("device", DEVICES, indirect=True)
def test_a_larger_batch_holds_more_and_parameters_count_four_times(device, dataset):
    def profile(size):
        config = build(RunConfig, VALUES | {"optim": {"batch_size": size}})
        return profile_step(alike(device), config, load_run_data(config, dataset))

    small, large = profile(2), profile(8)
    weights = 16 * registry.model_spec("unet").parameters / 1e6
    assert weights < small.megabytes < large.megabytes
    # a GPU's libraries also take memory to work in, whatever the batch
    most = 0.1 if device.type == "cpu" else 0.5
    assert (large.megabytes - weights) / (small.megabytes - weights) == pytest.approx(4, rel=most)
    assert small.seconds > 0


def test_the_largest_half_that_fits_is_found(memory_limited, dataset):
    config = build(RunConfig, VALUES | {"model": memory_limited})
    data = load_run_data(config, dataset)
    assert fitting_batch(Accelerator(cpu=True), config, data) == 2
    assert "optim.batch_size=2 optim.accumulate=4" in advice(config, 2)
    assert "single image" in advice(config, 0)


def test_processes_that_share_a_batch_each_try_their_part(memory_limited, dataset):
    config = build(RunConfig, VALUES | {"model": memory_limited})
    data = load_run_data(config, dataset)
    assert profile_step(alike(processes=4), config, data).seconds > 0
    large = replace(config, optim=replace(config.optim, batch_size=32))
    assert fitting_batch(alike(processes=4), large, data) == 8
    assert fitting_batch(alike(processes=20), large, data) == 0


def protocol(tmp_path, *models):
    path = tmp_path / "small.yaml"
    content = {"name": "small", "summary": "x", "models": list(models), "defaults": {"image_size": 32}}
    path.write_text(yaml.safe_dump(content | {"tasks": {"segmentation": {"optim": VALUES["optim"]}}}))
    return ["--protocol", str(path), "--results", str(tmp_path / "results")]


@pytest.mark.usefixtures("no_report")
def test_a_job_without_memory_says_what_fits_and_the_others_go_on(memory_limited, phantom_root, tmp_path):
    arguments = [*protocol(tmp_path, memory_limited, "unet"), "--data", str(phantom_root)]
    assert run_all.main(arguments) == 1
    records = [json.loads(path.read_text()) for path in tmp_path.glob("results/*/jobs/*/job.json")]
    told = {record["model"]: record for record in records}
    assert told["unet"]["status"] == "ok"
    assert told[memory_limited]["error"].startswith("out of memory: a batch of 8 does not fit, one of 2 does")
    assert "can't allocate memory" in told[memory_limited]["traceback"]


def test_a_dry_run_makes_no_phantom(tmp_path, capsys):
    assert run_all.main(["--dry-run", "--models", "unetpp", "--results", str(tmp_path)]) == 0
    assert "unetpp, seeds 3407: to do" in capsys.readouterr().out and not list(tmp_path.iterdir())


def test_a_dry_run_reports_time_and_memory_and_trains_nothing(memory_limited, phantom_root, tmp_path, capsys):
    arguments = [*protocol(tmp_path, "unet", memory_limited), "--data", str(phantom_root), "--dry-run"]
    assert run_all.main(arguments) == 0
    told = capsys.readouterr().out
    assert re.search(r"unet-seed\d+-\w+: [\d.]+ minutes \(\d+ steps of [\d.]+ s, \d+ MB\)", told)
    assert "one of 2 does" in told and "in all about" in told
    assert not list(tmp_path.glob("results/*/jobs"))
    assert run_all.main([*arguments, "--no-measure"]) == 0
    assert "minutes" not in capsys.readouterr().out
