"""Runs that are killed or told to stop: no finished work is lost, and the results equal an uninterrupted run's."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import torch
import yaml

from benchmarks import run_all
from jointwrist.engine.loop.trainer import BEST, STATE, Trainer
from jointwrist.engine.processes.stop import SENDERS_KNOWN, STOP, graceful_stop
from tests import killed_run

pytestmark = [pytest.mark.trust, pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")]

PROTOCOL = {
    "name": "kill",
    "summary": "two small models, a state after every step",
    "models": ["resnet", "jointwrist_tiny"],
    "seeds": [3],
    "defaults": {"image_size": 32, "optim": {"epochs": 2, "batch_size": 4, "lr": 1.0e-3, "save_minutes": 0.0}},
    "tasks": {
        "erosion": {"erosion": {"crop_size": 32}, "optim": {"batch_size": 32}},
        "joint": {"detail_size": 32, "optim": {"ema": 0.9}, "options": {"encoder": "conv", "roi_crop": 32}},
    },
}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("protocol") / "kill.yaml"
    path.write_text(yaml.safe_dump(PROTOCOL))
    return path


def command(root: Path, protocol: Path, results: Path) -> list[str]:
    return ["--data", str(root), "--protocol", str(protocol), "--results", str(results)]


def rows(results: Path) -> dict[str, bytes]:
    return {
        f"{path.parent.name}/{path.name}": path.read_bytes()
        for path in results.glob("*/jobs/*/*.csv")
        if path.name in ("segmentation.csv", "erosion.csv")
    }


def start(processes, *arguments):
    process = processes.Process(target=killed_run.run, args=arguments)
    process.start()
    return process


@pytest.mark.timeout(1200)
def test_killed_ten_times_the_rows_are_those_of_an_unbroken_run(processes, phantom_root, protocol, tmp_path):
    began = time.monotonic()
    unbroken = start(processes, command(phantom_root, protocol, tmp_path / "unbroken"))
    unbroken.join(600)
    whole = time.monotonic() - began
    assert unbroken.exitcode == 0
    expected = rows(tmp_path / "unbroken")
    assert {Path(name).name for name in expected} == {"segmentation.csv", "erosion.csv"} and len(expected) == 3

    chance, kills, lives = random.Random(1), 0, 0
    while kills < 10 and lives < 40:
        lives += 1
        child = start(processes, command(phantom_root, protocol, tmp_path / "killed"))
        child.join(chance.uniform(0.05, 0.5) * whole)
        if child.exitcode is None:
            os.kill(child.pid, signal.SIGKILL)
            child.join()
            kills += 1
        elif kills < 10:  # finished before it could be killed: begin again, what is done so far is as it should be
            assert child.exitcode == 0 and rows(tmp_path / "killed") == expected
            (tmp_path / "killed").rename(tmp_path / f"done{lives}")
    assert kills == 10
    last = start(processes, command(phantom_root, protocol, tmp_path / "killed"))
    last.join(600)
    assert last.exitcode == 0
    assert rows(tmp_path / "killed") == expected
    assert not list((tmp_path / "killed").rglob(f"{STATE}")), "states of finished jobs are removed"


ACCUMULATED = {
    # with batch normalisation, whose statistics move between the steps of the optimiser
    "erosion": {"model": "resnet", "task": "erosion", "image_size": 64, "erosion": {"crop_size": 32}},
    "joint": {
        "model": "jointwrist_tiny",
        "task": "joint",
        "image_size": 32,
        "options": {"encoder": "conv", "roi_crop": 16},
    },
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("task", ACCUMULATED)
def test_killed_between_accumulated_steps_the_weights_are_those_of_an_unbroken_run(
    task, processes, phantom_root, tmp_path
):
    size = {"erosion": 13, "joint": 3}[task]
    optim = {"epochs": 2, "batch_size": size, "accumulate": 4, "lr": 1e-2, "ema": 0.5, "save_minutes": 0.0}
    values = {**ACCUMULATED[task], "optim": {**optim, "clip_norm": 1.0}}

    def run(name, *kill_at):
        process = processes.Process(target=killed_run.train, args=(phantom_root, tmp_path / name, values, *kill_at))
        process.start()
        process.join(300)
        return process.exitcode

    assert run("unbroken") == 0
    states = []
    for kill_at in (2, 5, 9):
        assert run("killed", kill_at) == -signal.SIGKILL
        states.append(torch.load(tmp_path / "killed" / STATE)["step_in_epoch"])
    assert states == [0, 4, 0]
    assert run("killed") == 0
    expected, found = (torch.load(tmp_path / name / "weights.pt") for name in ("unbroken", "killed"))
    assert expected.keys() == found.keys() and all(torch.equal(expected[key], found[key]) for key in expected)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_the_state_and_the_run_goes_on_where_it_stopped(
    number, phantom_root, protocol, tmp_path, monkeypatch, capsys
):
    arguments = [*command(phantom_root, protocol, tmp_path), "--models", "resnet"]
    original, seen = Trainer._step, []

    def step(self, batch, at):
        seen.append(at)
        if len(seen) == 2:
            os.kill(os.getpid(), number)
        original(self, batch, at)

    monkeypatch.setattr(Trainer, "_step", step)
    handler = signal.getsignal(number)
    with pytest.raises(SystemExit) as left:
        run_all.main(arguments)
    assert left.value.code == 128 + number and seen == [0, 1]
    assert signal.getsignal(number) is handler
    assert "give the same command again" in capsys.readouterr().err
    (job,) = (tmp_path / "kill-phantom" / "jobs").iterdir()
    assert (job / STATE).is_file() and not (job / "job.json").exists()
    assert run_all.main(arguments) == 0
    assert seen[2] == 2 and json.loads((job / "job.json").read_text())["status"] == "ok"
    assert (job / BEST).is_file() and (tmp_path / "kill-phantom" / "report.html").is_file()


def members(group: int) -> set[int]:
    """The processes of a group that are alive, but for its leader."""
    found = set()
    for process in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
    return found - {group}


@pytest.fixture
def lead():
    """Nothing of a process's group outlives the test, whatever fails."""
    leaders = []
    yield lambda process: leaders.append(process) or process
    for process in leaders:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.mark.skipif(not SENDERS_KNOWN, reason="the platform does not say who sent a signal")
@pytest.mark.usefixtures("no_report")
@pytest.mark.parametrize(("number", "early"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_a_signal_to_the_whole_group_spares_the_workers_until_the_state_is_saved(
    number, early, lead, processes, phantom_root, protocol, tmp_path
):
    """Schedulers and terminals signal every process of a job, those that load images among them."""
    epochs = 1 if early else 4  # one ends before any state is saved, the other must not end before it is stopped
    more = ("--models", "resnet", "--set", "workers=2", "cache=false", f"optim.epochs={epochs}")
    arguments = [*command(phantom_root, protocol, tmp_path), *more]
    told, end = tmp_path / "told.txt", time.monotonic() + 240
    job = lead(start(processes, arguments, told, None, True))
    while not (members(job.pid) if early else list(tmp_path.glob(f"*/jobs/*/{STATE}"))):
        assert job.is_alive() and time.monotonic() < end, told.read_text()
        time.sleep(0.01)
    if early:  # the loader processes have hardly started
        os.killpg(job.pid, number)
    else:  # a step that takes longer than the loader processes wait between two looks at their parent
        os.kill(job.pid, signal.SIGSTOP)
        loading = members(job.pid)
        os.killpg(job.pid, number)
        time.sleep(2 * killed_run.LOOK)
        assert loading and members(job.pid) == loading
        os.kill(job.pid, signal.SIGCONT)
    job.join(240)
    assert job.exitcode == 128 + number, told.read_text()
    assert early or "give the same command again" in told.read_text()
    while members(job.pid):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert run_all.main(arguments) == 0
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("*/jobs/*/job.json"))
    assert record["status"] == "ok" and record["epochs"] == epochs


def test_a_signal_outside_a_step_ends_the_run_at_once():
    with pytest.raises(SystemExit) as left, graceful_stop():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)
    assert left.value.code == 143


def test_a_second_signal_does_not_wait():
    with pytest.raises(SystemExit), graceful_stop(), STOP.waiting():
        os.kill(os.getpid(), signal.SIGINT)
        assert STOP.signal == signal.SIGINT
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
    assert STOP.signal is None
