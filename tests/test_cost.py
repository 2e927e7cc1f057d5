"""The cost of the matrix is counted, not guessed: against PyTorch's own counter, and by hand."""

from __future__ import annotations

import re

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode, flop_registry

pytest.importorskip("monai")
pytest.importorskip("segmentation_models_pytorch")

from benchmarks.cost import (
    BACKWARD,
    GPUS,
    ITEMS,
    KERNEL_SECONDS,
    PAGE,
    Gpu,
    Operation,
    count_forward,
    run_cost,
    scan_flops,
    step_seconds,
    table,
)
from jointwrist.benchmark.protocol import load_protocol
from jointwrist.engine.config.run_config import OptimConfig, RunConfig
from jointwrist.registry import create_model, model_spec


def config(model, size, batch):
    values = {"image_size": size, "optim": {"batch_size": batch}, "erosion": {"crop_size": size}}
    return load_protocol("official").run_config(model, 0, values)


@pytest.mark.parametrize("model", ["mobilenet", "unetpp", "mobilevit"])
def test_operations_are_those_of_a_real_forward_pass(model):
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        create_model(model)(torch.rand(2, 1, 64, 64))
    assert sum(o.flops for o in count_forward(config(model, 64, 2))) == pytest.approx(counter.get_total_flops())


def test_a_scan_is_one_operator_and_its_operations_count(monkeypatch):
    assert scan_flops((2, 8, 100), (2, 8, 100), (8, 16)) == 9 * 2 * 8 * 100 * 16
    counted = count_forward(config("medmamba", 64, 2))
    monkeypatch.setitem(flop_registry, torch.ops.jointwrist.selective_scan, lambda *_, **__: 0)
    without = count_forward(config("medmamba", 64, 2))
    scans = [one.flops for one, other in zip(counted, without, strict=True) if one != other]
    # depths 2, 2, 4, 2; four directions are channels of one scan of 16 states, and stages halve the side from 16
    assert len(scans) == 10 and scans[0] == 9 * 2 * 4 * 96 * 16**2 * 16
    assert scans[2] == scans[0] // 2


def test_numbers_are_those_that_pass_through_memory(monkeypatch):
    monkeypatch.setattr("benchmarks.cost.create_model", lambda *_, **__: torch.nn.Conv2d(1, 4, 3, bias=False))
    run = RunConfig("unetpp", "segmentation", image_size=10, optim=OptimConfig(batch_size=2))
    assert count_forward(run) == [Operation(2 * 9 * 2 * 4 * 8 * 8, 2 * 100 + 36 + 2 * 4 * 64)]


def test_an_operator_takes_as_long_as_what_binds_it():
    gpu = Gpu(operations=1e12, bandwidth=1e9)
    bound = {"compute": Operation(10**12, 1), "memory": Operation(1, 10**9), "start": Operation(1, 1)}
    times = {name: step_seconds([operation], gpu, 0.5) for name, operation in bound.items()}
    assert times == pytest.approx({"compute": 2.0, "memory": 2.0, "start": KERNEL_SECONDS})


def test_hours_follow_from_steps_and_epochs():
    run = config("mobilenet", 64, 16)
    cost = run_cost(run, GPUS["A100"], 0.35)
    forward = step_seconds(count_forward(run), GPUS["A100"], 0.35)
    assert cost.step == pytest.approx((1 + BACKWARD) * forward)
    train, val = ITEMS["erosion"]
    assert cost.hours == pytest.approx(run.optim.epochs * forward / 16 * (3 * train + val) / 3600)
    assert table("official", "A100", 0.35, ["mobilenet"]).count("`mobilenet`") == 1


def test_page_has_every_model_of_both_protocols():
    page = PAGE.read_text(encoding="utf-8")
    for name in ("official", "clean"):
        block = re.search(rf"<!-- cost:{name} -->(.*?)<!-- /cost -->", page, re.DOTALL)[1]
        trained = [model for model in load_protocol(name).models if model_spec(model).task != "foundation"]
        assert re.findall(r"^\| `(\w+)`", block, re.MULTILINE) == trained
        hours = [float(row) for row in re.findall(r"\| ([\d.]+) \| [\d.]+ \|$", block, re.MULTILINE)]
        assert hours[-1] == pytest.approx(sum(hours[:-1]), abs=0.06 + 0.005 * len(hours))
