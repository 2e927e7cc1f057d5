"""Networks of a protocol get the epochs that take the same time, measured once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from jointwrist.benchmark import equal_time as module
from jointwrist.benchmark.equal_time import equal_time
from jointwrist.benchmark.profile_step import StepProfile
from jointwrist.benchmark.protocol import Protocol
from jointwrist.errors import DataError

#: Seconds of a step by network, of which an epoch has 25.
SECONDS = {"unet": 0.5, "unetpp": 2.0, "transunet": 500.0}
PROTOCOL = Protocol("p", "", tuple(SECONDS), per_model={"unet": {"optim": {"lr": 0.5}}})


@pytest.fixture
def measured(monkeypatch):
    """Names of the networks of which a step was measured."""
    names: list[str] = []

    def profile(_, config, data, clock):
        names.append(config.model)
        return StepProfile(SECONDS[config.model], 0.0)

    monkeypatch.setattr(module, "load_run_data", lambda *_: SimpleNamespace(batches=range(25)))
    monkeypatch.setattr(module, "profile_step", profile)
    return names


def test_epochs_take_the_same_time_and_are_measured_once(measured, tmp_path):
    accelerator = SimpleNamespace(
        is_main_process=True, wait_for_everyone=lambda: None, device=SimpleNamespace(type="cpu")
    )
    kept = tmp_path / "results" / "equal_time.json"
    arguments = accelerator, PROTOCOL, list(SECONDS)
    for _ in range(2):
        protocol = equal_time(*arguments, 5.0, {}, None, kept)
    assert measured == list(SECONDS)
    configs = {name: protocol.run_config(name, 1) for name in SECONDS}
    # 300 s of steps; a network whose epoch takes longer still gets one
    assert {name: config.optim.epochs for name, config in configs.items()} == {"unet": 24, "unetpp": 6, "transunet": 1}
    assert configs["unet"].optim.lr == 0.5
    with pytest.raises(DataError, match="holds the epochs of 5 minutes"):
        equal_time(*arguments, 6.0, {}, None, kept)
