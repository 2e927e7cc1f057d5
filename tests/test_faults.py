"""Faults of machine and files: a full disk, a lost worker, an image that becomes unreadable, two runs of one job."""

from __future__ import annotations

import copy
import gc
import json
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
import yaml
from torch.utils.data import Dataset
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

from benchmarks import run_all
from jointwrist.cli import main
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.engine.loop.trainer import BEST, STATE, Trainer
from jointwrist.engine.run_data.loaders import explain_lost_workers, share_loader
from jointwrist.engine.tasks import JointTask
from jointwrist.errors import StorageError, TrainingError
from jointwrist.files import check_writable, write_text
from jointwrist.weights.checkpoint import load_state, save_state, save_weights
from tests import killed_run

pytestmark = [
    pytest.mark.trust,
    pytest.mark.skipif(sys.platform == "win32", reason="limits and signals of Unix"),
    pytest.mark.usefixtures("no_report"),
]
PROTOCOL = {
    "name": "fault",
    "summary": "two small models, images read anew in every epoch",
    "models": ["resnet", "jointwrist_tiny"],
    "seeds": [3],
    "defaults": {"image_size": 32, "cache": False, "optim": {"epochs": 3, "batch_size": 4, "lr": 1.0e-3}},
    "tasks": {
        "erosion": {"erosion": {"crop_size": 32}, "optim": {"batch_size": 32}},
        "joint": {"detail_size": 32, "options": {"encoder": "conv", "roi_crop": 32}},
    },
}


@pytest.fixture(scope="module")
def protocol(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("protocol") / "fault.yaml"
    path.write_text(yaml.safe_dump(PROTOCOL))
    return path


@pytest.fixture
def own_root(phantom_root, tmp_path) -> Path:
    """A copy of the phantom, to be damaged."""
    return Path(shutil.copytree(phantom_root, tmp_path / "data"))


def command(root: Path, protocol: Path, results: Path, *more: str) -> list[str]:
    return ["--data", str(root), "--protocol", str(protocol), "--results", str(results), *more]


def records(results: Path) -> dict[str, dict]:
    found = (json.loads(path.read_text()) for path in results.glob("*/jobs/*/job.json"))
    return {record["model"]: record for record in found}


def rows(results: Path) -> dict[str, bytes]:
    return {f"{p.parent.name}/{p.name}": p.read_bytes() for p in results.glob("*/jobs/*/[es]*.csv")}


@pytest.fixture(scope="module")
def unbroken(processes, phantom_root, protocol, tmp_path_factory) -> dict[str, bytes]:
    """Rows of a run without a fault."""
    results = tmp_path_factory.mktemp("unbroken")
    process = processes.Process(target=killed_run.run, args=(command(phantom_root, protocol, results),))
    process.start()
    process.join(240)
    assert process.exitcode == 0
    return rows(results)


@contextmanager
def small_files():
    """No file may grow beyond 20 kB: what a write meets on a full disk, by another number.

    Around the writes alone, not a fixture: pytest's own report may be going to a file.
    """
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_state_that_does_not_fit_leaves_the_one_before(tmp_path):
    path, weights = tmp_path / STATE, tmp_path / "best.safetensors"
    save_state(path, {"step": 1})
    with small_files():
        with pytest.raises(StorageError, match=rf"{STATE}.*make room"):
            save_state(path, {"step": 2, "model": torch.zeros(10_000)})
        with pytest.raises(StorageError, match=r"best\.safetensors.*make room"):
            save_weights(weights, torch.nn.Linear(100, 100), {"model": "x", "options": {}})
    assert load_state(path) == {"step": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == [STATE]


def test_a_run_on_a_full_disk_stops_and_goes_on_when_there_is_room(
    processes, unbroken, phantom_root, protocol, tmp_path
):
    """No file may grow beyond 12 MB: there is room for all of the first model, and not for the second one's state."""

    def run_apart(name: str, largest_file: int | None = None) -> tuple[int, str]:
        output = tmp_path / "told.txt"
        arguments = (command(phantom_root, protocol, tmp_path / name), output, largest_file)
        process = processes.Process(target=killed_run.run, args=arguments)
        process.start()
        process.join(240)
        return process.exitcode, output.read_text()

    code, told = run_apart("full", 12_000_000)
    assert code == 2 and f"{STATE}: cannot be written" in told and "make room" in told and "Traceback" not in told
    assert {model: record["status"] for model, record in records(tmp_path / "full").items()} == {"resnet": "ok"}
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".tmp")]
    assert run_apart("full")[0] == 0
    assert rows(tmp_path / "full") == unbroken and len(unbroken) == 3


def test_a_results_folder_that_takes_nothing_is_known_before_the_training(phantom_root, protocol, tmp_path, capsys):
    write_text(tmp_path / "file", "not a folder")
    assert run_all.main(command(phantom_root, protocol, tmp_path / "file" / "results")) == 2
    told = capsys.readouterr().err
    assert "choose a folder that can be written to" in told and "Traceback" not in told
    check_writable(tmp_path / "new")
    assert list((tmp_path / "new").iterdir()) == []


def test_an_image_that_turns_unreadable_is_named_and_the_run_goes_on_after_it_is_mended(
    own_root, unbroken, protocol, tmp_path, monkeypatch
):
    arguments = command(own_root, protocol, tmp_path / "damaged")
    original, broken = Trainer._step, {}

    def step(self, batch, number):
        original(self, batch, number)
        if self.config.model == "jointwrist_tiny" and number == 2 * self.steps_per_epoch and not broken:
            batches = copy.copy(self.loader.batch_sampler)
            batches.seek(2, 0)
            last = self.data.train.cases[list(batches)[-1][0]]
            broken[last.image] = last.image.read_bytes()
            last.image.write_bytes(broken[last.image][:100])

    monkeypatch.setattr(Trainer, "_step", step)
    assert run_all.main(arguments) == 1
    found = records(tmp_path / "damaged")
    (image,) = broken
    assert found["resnet"]["status"] == "ok" and found["jointwrist_tiny"]["status"] == "error"
    assert image.name in found["jointwrist_tiny"]["error"]
    image.write_bytes(broken[image])
    assert run_all.main([*arguments, "--retry"]) == 0
    assert rows(tmp_path / "damaged") == unbroken


@pytest.fixture
def kill_a_worker(monkeypatch):
    """Within the block, one of the processes that load images is killed after the second step."""
    original = Trainer._step

    def step(self, batch, number):
        original(self, batch, number)
        if number == 1:
            os.kill(multiprocessing.active_children()[0].pid, signal.SIGKILL)

    @contextmanager
    def killed():
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "_step", step)
            yield

    return killed


@pytest.mark.timeout(120)
def test_a_lost_worker_ends_the_training_with_the_remedy(kill_a_worker, phantom_root, protocol, tmp_path):
    more = ("--models", "jointwrist_tiny", "--set", "workers=2", "optim.epochs=1")
    arguments = command(phantom_root, protocol, tmp_path, *more)
    with kill_a_worker():
        assert run_all.main(arguments) == 1
    error = records(tmp_path)["jointwrist_tiny"]["error"]
    assert "was lost: DataLoader worker" in error and "workers=1" in error and "same command" in error
    assert run_all.main([*arguments, "--retry"]) == 0


@pytest.mark.parametrize("error", [ConnectionResetError, EOFError])
def test_a_worker_lost_while_it_sends_a_batch_is_no_other_fault(error, phantom_root, protocol, tmp_path, monkeypatch):
    original, batches = _MultiProcessingDataLoaderIter.__next__, []

    def following(self):
        batches.append(self)
        if len(batches) == 3:
            raise error
        return original(self)

    monkeypatch.setattr(_MultiProcessingDataLoaderIter, "__next__", following)
    more = ("--models", "resnet", "--set", "workers=2", "optim.epochs=1")
    arguments = command(phantom_root, protocol, tmp_path, *more)
    assert run_all.main(arguments) == 1
    told = records(tmp_path)["resnet"]["error"]
    assert error.__name__ in told and "workers=1" in told and "same command" in told
    monkeypatch.undo()
    assert run_all.main([*arguments, "--retry"]) == 0


@pytest.fixture
def nan_at(monkeypatch):
    """Make the loss of the joint network nan at a step; afterwards says whose images the batch held."""
    original, seen = JointTask.losses, []

    def choose(step):
        def losses(self, model, batch, progress):
            seen.append(list(batch["identifier"]))
            parts = original(self, model, batch, progress)
            return {**parts, "loss": parts["loss"] * float("nan")} if len(seen) == step + 1 else parts

        monkeypatch.setattr(JointTask, "losses", losses)
        return seen

    return choose


@pytest.mark.parametrize("step", [0, 5])
def test_a_loss_that_is_not_a_number_is_a_row_and_the_others_go_on(step, nan_at, phantom_root, protocol, tmp_path):
    seen = nan_at(step)
    more = ("--models", "jointwrist_tiny", "resnet", "--set", "optim.epochs=2")
    assert run_all.main(command(phantom_root, protocol, tmp_path, *more)) == 1
    found = records(tmp_path)
    assert found["resnet"]["status"] == "ok"
    assert f"TrainingError: jointwrist_tiny: the loss is nan at step {step}" in found["jointwrist_tiny"]["error"]
    (named,) = tmp_path.glob("*/jobs/*/not_finite.txt")
    assert named.read_text().split() == seen[step] and len(seen) <= step + 20, "losses are read every 20 steps"


def train(root: Path, out: Path, *values: str) -> list[str]:
    small = ("image_size=32", "optim.epochs=2", "optim.batch_size=4", "options.roi_crop=32", "options.encoder=conv")
    return ["train", "jointwrist_tiny", "--data", str(root), "-o", str(out), "--set", *small, *values]


def test_train_says_what_to_do_about_a_loss_that_is_not_a_number(nan_at, phantom_root, tmp_path, capsys):
    seen = nan_at(3)
    assert main(train(phantom_root, tmp_path)) == 2
    told = capsys.readouterr().err
    assert "the loss is nan at step 3" in told and "lower optim.lr" in told and "Traceback" not in told
    assert (tmp_path / "not_finite.txt").read_text().split() == seen[3]


def test_train_and_evaluate_say_what_to_do_about_a_lost_worker(
    kill_a_worker, phantom_root, tmp_path, monkeypatch, capsys
):
    arguments = train(phantom_root, tmp_path, "workers=2", "cache=false", "optim.epochs=1")
    with kill_a_worker():
        assert main(arguments) == 2
    told = capsys.readouterr().err
    assert "jointwrist: a process that loads images was lost" in told and "workers=1" in told
    assert "Traceback (most recent call last)" not in told
    assert main(arguments) == 0
    monkeypatch.setattr(WristDataset, "__getitem__", lambda self, index: os._exit(3))
    words = ["evaluate", str(tmp_path / BEST), "--data", str(phantom_root), "-o", str(tmp_path / "rows")]
    assert main([*words, "--set", "workers=1"]) == 2
    told = capsys.readouterr().err
    assert "jointwrist: a process that loads images was lost" in told and "Traceback" not in told
    assert "Give the same command again (a training continues from its last saved state)" in told
    assert "workers=0" in told
    gc.collect()  # PyTorch asks the loaders that are left, in any later test, for lost processes


class Items(Dataset):
    """One item, whose loading does something else."""

    def __init__(self, load):
        self.load = load

    def __len__(self):
        return 1

    def __getitem__(self, index):
        self.load()


def test_a_fault_in_a_process_that_loads_images_is_none_of_memory():
    def fault():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ") as raised, explain_lost_workers(1):
        list(share_loader(Items(fault), 1, 1, 0, 1))
    assert "DataLoader worker" in str(raised.value)  # so that the name alone says nothing
    for end in (lambda: os._exit(3), lambda: os.kill(os.getpid(), signal.SIGKILL)):
        with (
            pytest.raises(TrainingError, match=r"was lost: DataLoader worker.* use workers=0"),
            explain_lost_workers(1),
        ):
            list(share_loader(Items(end), 1, 1, 0, 1))
        gc.collect()


HOLD = """
import sys, time
from filelock import FileLock
with FileLock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_job_that_another_run_holds_is_left_to_it(phantom_root, protocol, tmp_path, capsys):
    arguments = command(phantom_root, protocol, tmp_path, "--models", "resnet", "--set", "optim.epochs=1")
    assert run_all.main([*arguments, "--dry-run", "--no-measure"]) == 0
    name = capsys.readouterr().out.strip().splitlines()[-1].split(":")[0].strip()
    folder = tmp_path / "fault-phantom" / "jobs" / name
    folder.mkdir(parents=True)
    other = subprocess.Popen([sys.executable, "-c", HOLD, str(folder / ".lock")], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout.readline().strip() == "held"
        assert run_all.main(arguments) == 0
        assert "another process is training it" in capsys.readouterr().out and not (folder / "job.json").exists()
    finally:
        other.kill()
        other.communicate()
    assert run_all.main(arguments) == 0
    assert records(tmp_path)["resnet"]["status"] == "ok", "the lock of a killed process is gone with it"


def test_two_runs_at_once_share_the_jobs(processes, phantom_root, protocol, tmp_path):
    arguments = command(phantom_root, protocol, tmp_path, "--models", "resnet")
    both = [processes.Process(target=killed_run.run, args=(arguments, tmp_path / f"{name}.txt")) for name in "ab"]
    for process in both:
        process.start()
    for process in both:
        process.join(240)
    assert [process.exitcode for process in both] == [0, 0]
    told = [line for name in "ab" for line in (tmp_path / f"{name}.txt").read_text().splitlines()]
    assert records(tmp_path)["resnet"]["status"] == "ok"
    assert sum("resnet-seed3" in line and ": ok after" in line for line in told) == 1
