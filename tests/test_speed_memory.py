"""Memory is held against its bounds, and evaluation keeps no images."""

from __future__ import annotations

import weakref

import pytest
from accelerate import Accelerator
from torch import nn
from torch.utils.data import Dataset

from benchmarks.speed import exceeded
from benchmarks.speed import main as speed
from benchmarks.speed_parts import memory as speed_memory
from benchmarks.speed_parts.loading import masked_cases
from benchmarks.speed_parts.memory import BOUNDS, GROWTH_BOUND, WORK, benchmark_memory, growth
from jointwrist.benchmark.peak_memory import Peak
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import OptimConfig, RunConfig
from jointwrist.engine.loop.evaluation import evaluate_model
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.phantom.phantom_dataset import write_phantom


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_phantom(tmp_path_factory.mktemp("wrists"), 9, size=128, seed=1, workers=1))


class Watched(Dataset):
    """Count the images of a dataset that are alive at once."""

    def __init__(self, dataset):
        self.dataset, self.images, self.most = dataset, [], 0

    def __len__(self):
        return len(self.dataset)

    def __getitem__(self, index):
        item = self.dataset[index]
        self.images = [*(image for image in self.images if image() is not None), weakref.ref(item["image"])]
        self.most = max(self.most, len(self.images))
        return item


def test_evaluation_holds_no_more_images_of_many_wrists_than_of_few(folder):
    config = RunConfig("unetpp", "segmentation", image_size=32, optim=OptimConfig(batch_size=2))
    most = []
    for number in (4, 24):
        watched = Watched(WristDataset(masked_cases(folder, number), 32, cache=False))
        _, rows = evaluate_model(Accelerator(), nn.Conv2d(1, 14, 1), watched, build_task(config), losses=True)
        assert len({row["case"] for row in rows["segmentation"]}) == number
        most.append(watched.most)
    assert most[0] == most[1] <= 2 * config.optim.batch_size


def test_growth_is_what_a_further_wrist_adds(monkeypatch):
    peaks = {4: Peak(110.0, 0.0), 44: Peak(130.0, 0.0)}
    monkeypatch.setattr(speed_memory, "peak_memory", lambda work, number, *_: peaks[number])
    assert growth(4, 44, 32, "anywhere") == (110.0, 130.0, 0.5)


def test_training_and_validation_are_kept_and_the_test_split_is_not(folder):
    data = load_run_data(RunConfig("unetpp", "segmentation", image_size=32), RamW600.open(folder))
    for split, kept in ((data.train, True), (data.val, True), (data.test, False)):
        assert (split[0]["image"].shape == (1, 32, 32)) and (split._cache is not None) == kept


@pytest.mark.parametrize("work", WORK.values(), ids=WORK)
def test_every_piece_of_work_runs(work, folder):
    """Without an error is all that is asked here."""
    work("jointwrist_tiny", 64, folder)()


def test_every_peak_has_a_bound_and_one_above_it_fails_the_command(monkeypatch, tmp_path, capsys):
    peak = Peak(1.0, 0.0)
    monkeypatch.setattr(speed_memory, "write_phantom", lambda *_, **__: None)
    monkeypatch.setattr(speed_memory, "peak_memory", lambda *_: peak)
    rows = benchmark_memory([])
    assert [row["bound"] for row in rows if "bound" in row] == [*BOUNDS.values(), GROWTH_BOUND]
    assert not exceeded(rows) and speed(["memory", f"--results={tmp_path}"]) == 0
    peak = Peak(1e6, 0.0)
    assert speed(["memory", f"--results={tmp_path}"]) == 1
    assert capsys.readouterr().err.count("exceeds the bound") == len(BOUNDS)
