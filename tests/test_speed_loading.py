"""The loading benchmark compares equal work, and its memory is that of the work."""

from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest
import torch

from benchmarks.speed_parts.loading import (
    HOST,
    PACKED,
    WARPS,
    Arrays,
    benchmark_loading,
    masked_cases,
    packed_epochs,
    random_affine,
)
from jointwrist.benchmark.peak_memory import peak_memory
from jointwrist.engine.config.run_config import AugmentConfig
from jointwrist.engine.tasks.augment import Augment, sample, sampling_grid
from jointwrist.phantom.phantom_dataset import write_phantom
from tests.allocating import allocate

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the peak is read from /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return str(write_phantom(tmp_path_factory.mktemp("wrists"), 9, size=96, seed=1, workers=1))


@LINUX
def test_peak_is_that_of_the_work_alone():
    found = {size: peak_memory(allocate, size) for size in (20, 100)}
    for size, peak in found.items():
        assert peak.extra == pytest.approx(1.048576 * size, abs=6)
        assert peak.total > 64 + size


@pytest.mark.parametrize(
    "library", [n for n in WARPS if importlib.util.find_spec({"OpenCV": "cv2", "Pillow": "PIL"}.get(n, n))]
)
def test_every_library_warps_as_the_trainer_does(library):
    """A smooth image, so that conventions of half a pixel show and interpolation does not."""
    size = 65
    y, x = np.mgrid[:size, :size] / size
    image = (np.exp(-((x - 0.6) ** 2 + (y - 0.4) ** 2) * 8)).astype(np.float32)
    matrix = random_affine(AugmentConfig(), size, np.random.default_rng(3))
    moved = WARPS[library](image, matrix, 1)
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[None, :2]
    grid = sampling_grid(torch.tensor(back, dtype=torch.float32), size, size)
    expected = sample(torch.from_numpy(image)[None, None], grid)[0, 0].numpy()
    inner = slice(12, -12)
    assert np.abs(moved - expected)[inner, inner].max() < 0.02
    assert np.abs(image - expected)[inner, inner].max() > 0.05


def test_both_readers_give_the_same_images_and_masks(folder, monkeypatch):
    """Without augmentation, what a network would see differs by how an image is resized alone."""
    cases = masked_cases(folder, 4)
    still = AugmentConfig(affine_probability=0.0, intensity_probability=0.0)
    arrays = Arrays(cases, 64, "scipy", keep=False)
    arrays.config = still
    seen = []
    monkeypatch.setattr(
        Augment, "forward", lambda self, image, bits: (seen.append(image), seen.append(bits), image, bits)[2:]
    )
    assert packed_epochs(cases, 64, 4, keep=False)() == 4
    images, bits = seen[0], seen[1][:, 0]
    for index in range(4):
        image, masks = arrays.item(index)
        packed = (masks.int() << torch.arange(14)[:, None, None]).sum(0)
        distances = (bits != packed).flatten(1).float().mean(1)
        match = int(distances.argmin())
        assert distances[match] < 0.001
        assert (images[match] - image).abs().mean() < 0.03


def test_rows_hold_rates_ratios_and_memory(folder, monkeypatch):
    peaks = {(PACKED, True): 3.0, (PACKED, False): 1.0, ("Pillow", True): 50.0, ("Pillow", False): 10.0}
    monkeypatch.setattr(
        "benchmarks.speed_parts.loading.peak_memory",
        lambda setup, kind, *rest: type("P", (), {"extra": peaks.get((kind, rest[-1]), 2.0)}),
    )
    found = benchmark_loading(["--data", folder, "--size=64", "--batch=2", "--images=2", "--passes=1", "--kept=10"])
    rows = {row["name"]: row["value"] for row in found}
    assert rows["packed to scipy, both cached"] == pytest.approx(rows["packed, cached"] / rows["scipy, cached"])
    assert rows["packed, cached, to scipy, read each time"] == pytest.approx(
        rows["packed, cached"] / rows["scipy, read each time"]
    )
    assert rows["packed, memory of a cached image"] == pytest.approx(0.2)
    assert rows["packed to Pillow, memory of a cached image"] == pytest.approx(0.05)
    for row in found:
        bounded = (
            row["name"].startswith(f"{HOST}, cached, to ")
            or row["name"] == f"{PACKED}, cached, to scipy, read each time"
        )
        assert row.get("least") == (8.0 if bounded else None), row["name"]
        small = row["name"].endswith("memory of a cached image") and row["unit"] == ""
        assert row.get("bound") == (
            0.1 if small or row["name"] == f"{HOST} to Pillow, 10 images, cached, memory" else None
        )
