"""The self-test passes here, and if something is wrong it fails and names the part."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from jointwrist import selftest
from jointwrist.cli import main
from jointwrist.inference.predictor import Predictor
from jointwrist.ops.scan import chunked

pytestmark = pytest.mark.trust

CPU = torch.device("cpu")


def test_checks_are_chosen_by_name(capsys):
    assert main(["selftest", "--device", "cpu", "--only", "metrics"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert lines[1].split()[:2] == ["ok", "metrics"] and lines[-1] == "PASS: 1 checks, 0 not run"
    assert main(["selftest", "--only", "metric"]) == 2
    assert "scan cpu" in capsys.readouterr().err


def test_this_machine_passes(capsys):
    assert main(["selftest", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    verdicts = {line.split()[0] for line in lines[1:-1]}
    assert verdicts <= {"ok", "not"} and lines[-1].startswith("PASS")


def test_a_backend_that_is_slightly_wrong_is_named(monkeypatch, capsys):
    original = chunked.scan

    def wrong(*problem):
        y, last = original(*problem)
        return y * (1 + 3e-5), last

    monkeypatch.setattr(chunked, "scan", wrong)
    with pytest.raises(selftest.Failed, match="relative error 3e-05"):
        selftest.check_scan("torch", CPU)
    monkeypatch.setattr(selftest, "check_training", lambda device: "left out")
    assert main(["selftest", "--device", "cpu", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert not told["passed"]
    assert [check["name"] for check in told["checks"] if check["verdict"] == "failed"] == ["scan torch"]


def test_a_backend_that_is_wrong_with_one_state_alone_is_found(monkeypatch):
    """The networks have one state, for which backends take ways of their own."""
    original = chunked.scan

    def wrong(u, delta, A, *rest):
        y, last = original(u, delta, A, *rest)
        return (y * (1 + 3e-5) if A.shape[-1] == 1 else y), last

    monkeypatch.setattr(chunked, "scan", wrong)
    with pytest.raises(selftest.Failed, match="relative error 3e-05"):
        selftest.check_scan("torch", CPU)


@pytest.fixture
def short_factors():
    """PyTorch's parts that may shorten float32 on a GPU, allowed to."""
    parts = (torch.backends.cuda.matmul, torch.backends.cudnn)
    before = [part.allow_tf32 for part in parts]
    for part in parts:
        part.allow_tf32 = True
    yield parts
    for part, allowed in zip(parts, before, strict=True):
        part.allow_tf32 = allowed


def test_the_stored_answer_is_held_against_all_bits_of_float32(short_factors, monkeypatch):
    original, seen = Predictor.__call__, []

    def call(self, *arguments, **options):
        seen.append([part.allow_tf32 for part in short_factors])
        return original(self, *arguments, **options)

    monkeypatch.setattr(Predictor, "__call__", call)
    selftest.check_golden(CPU)
    assert seen == [[False, False]] and all(part.allow_tf32 for part in short_factors)


def test_wrong_gradients_are_found(monkeypatch):
    original = chunked.scan

    def wrong(*problem):
        y, last = original(*problem)
        return y.detach() + 1.001 * (y - y.detach()), last

    monkeypatch.setattr(chunked, "scan", wrong)
    with pytest.raises(selftest.Failed, match="of the gradients"):
        selftest.check_scan("torch", CPU)


def test_an_answer_that_is_not_the_stored_one_fails(monkeypatch):
    known = selftest.golden(CPU)
    for key, change in (("areas", 1.05), ("probabilities", 0.5), ("phantom_mean", 1.01)):
        changed = known | {key: (np.array(known[key]) * change).tolist()}
        monkeypatch.setattr(selftest, "golden", lambda device, changed=changed: changed)
        with pytest.raises(selftest.Failed):
            selftest.check_golden(CPU)


def test_nan_and_errors_are_failures_and_the_rest_goes_on(monkeypatch):
    monkeypatch.setattr(selftest, "_batch", lambda device, size=64: 1 / 0)
    monkeypatch.setattr(selftest, "check_golden", lambda device: "left out")
    checks = {check.name: check for check in selftest.selftest("cpu")}
    assert checks["training"].verdict == checks["bfloat16"].verdict == "failed"
    assert "ZeroDivisionError" in checks["training"].detail
    assert checks["metrics"].verdict == "ok" and checks["weights"].verdict == "ok"


def test_metrics_that_are_wrong_fail(monkeypatch):
    wrong = {"dsc": np.array([0.5]), "nsd": np.array([np.nan])}
    monkeypatch.setattr("jointwrist.metrics.segmentation.case_metrics", lambda a, b: wrong)
    with pytest.raises(selftest.Failed):
        selftest.check_metrics(CPU)
