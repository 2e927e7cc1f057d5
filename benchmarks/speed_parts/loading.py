"""Speed and memory of data loading: packed masks in batches compared with arrays of 14 channels, image by image.

Both give what a segmentation network is trained on, augmented images and 14 float32 masks, from the same folder in the
same run. The arrays are read, resized and warped channel by channel, as research code does, with every installed
library. Each is measured both reading every image each time and keeping all images in memory, as MONAI's CacheDataset
and the trainer do. All run on one thread, and CPU time is measured: other programs disturb it
least, and the files come from the system's cache.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from accelerate.utils import send_to_device
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.utils.data import default_collate

from benchmarks.speed_parts.measurements import Measurements, threads
from jointwrist.benchmark.peak_memory import peak_memory
from jointwrist.data.batches.samplers import EpochBatches
from jointwrist.data.batches.torch_datasets import WristDataset
from jointwrist.data.dataset.case import Case
from jointwrist.data.dataset.ram_w600 import RamW600
from jointwrist.engine.config.run_config import AugmentConfig, OptimConfig, RunConfig
from jointwrist.engine.processes.session import keep_freed_memory
from jointwrist.engine.run_data.datasets import RunData
from jointwrist.engine.run_data.loaders import train_loader
from jointwrist.engine.tasks import build_task
from jointwrist.phantom.phantom_dataset import write_phantom

PACKED = "packed"
#: Without augmentation, which follows on the GPU.
HOST = "packed, before augmentation"
#: With the augmentation on the GPU, where there is one.
GPU = "packed, augmented on the GPU"
#: Where each of them augments.
DEVICES = {PACKED: "cpu", HOST: None, GPU: "cuda"}
#: Libraries that warp arrays, by the module that they need.
LIBRARIES = {"scipy": "scipy", "kornia": "kornia", "Pillow": "PIL", "OpenCV": "cv2"}
#: Runs one pass and returns the number of images; as in training, no batch is kept while the next is made.
Epoch = Callable[[], int]
#: The library with the smallest memory of its own; its memory represents that of all arrays.
ARRAYS = "Pillow"
#: Aims of loading against arrays that are read and warped one by one. Images per second: up to the GPU against all
#: libraries, with augmentation on the CPU against SciPy. Memory of cached images: largest share of that of the arrays.
FASTER, SMALLER = 8.0, 0.1


def warp_scipy(array: np.ndarray, matrix: np.ndarray, order: int) -> np.ndarray:
    """Warp (H, W) by a 2 x 3 matrix from target to source pixels (x, y), linearly or by the nearest pixel."""
    return ndimage.affine_transform(array, matrix[::-1, 1::-1], matrix[::-1, 2], order=order, prefilter=False)


def warp_pillow(array: np.ndarray, matrix: np.ndarray, order: int) -> np.ndarray:
    """The same by Pillow."""
    method = Image.Resampling.BILINEAR if order else Image.Resampling.NEAREST
    image = Image.fromarray(array)
    return np.asarray(image.transform(image.size, Image.Transform.AFFINE, matrix.ravel().tolist(), method))


def warp_opencv(array: np.ndarray, matrix: np.ndarray, order: int) -> np.ndarray:
    """The same by OpenCV."""
    import cv2

    method = (cv2.INTER_LINEAR if order else cv2.INTER_NEAREST) | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(array, matrix, array.shape[::-1], flags=method)


def warp_kornia(array: np.ndarray, matrix: np.ndarray, order: int) -> np.ndarray:
    """The same by kornia."""
    from kornia.geometry import warp_affine

    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    source, transform = torch.from_numpy(array)[None, None], torch.from_numpy(inverse).float()[None]
    return warp_affine(source, transform, array.shape, "bilinear" if order else "nearest")[0, 0].numpy()


WARPS = {"scipy": warp_scipy, "kornia": warp_kornia, "Pillow": warp_pillow, "OpenCV": warp_opencv}


def random_affine(config: AugmentConfig, size: int, rng: np.random.Generator) -> np.ndarray:
    """Draw the 2 x 3 matrix from target to source pixels of one augmentation."""
    angle = math.radians(rng.uniform(-config.rotate, config.rotate))
    zoom = rng.uniform(1 - config.scale, 1 + config.scale)
    linear = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]) / zoom
    centre = np.full(2, (size - 1) / 2)
    shift = rng.uniform(-config.shift, config.shift, 2) * size
    return np.column_stack([linear, centre - linear @ (centre + shift)])


class Arrays:
    """Images and masks as arrays, one image and one channel at a time.

    Args:
        cases: Cases with masks.
        size: Side in pixels.
        library: Name of a library in `WARPS`.
        keep: Keep the resized arrays in memory.
    """

    def __init__(self, cases: list[Case], size: int, library: str, keep: bool):
        self.cases, self.size, self.warp = cases, size, WARPS[library]
        self.kept: dict[int, tuple[np.ndarray, np.ndarray]] | None = {} if keep else None
        self.config, self.rng = AugmentConfig(), np.random.default_rng(0)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read, stretch, mirror and resize one image and its 14 masks."""
        case, size = self.cases[index], (self.size, self.size)
        image = np.asarray(Image.open(case.image).convert("L"), np.float32)
        image = (image - image.min()) / (image.max() - image.min())
        masks = np.load(case.mask).astype(np.float32)
        if case.side == "L":
            image, masks = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(masks[:, :, ::-1])
        resized = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        channels = [np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.BILINEAR)) > 0.5 for mask in masks]
        return resized, np.stack(channels).astype(np.float32)

    def item(self, index: int) -> tuple[Tensor, Tensor]:
        """Return one augmented image (1, S, S) and its masks (14, S, S)."""
        if self.kept is None:
            image, masks = self.read(index)
        else:
            if index not in self.kept:
                self.kept[index] = self.read(index)
            image, masks = self.kept[index]
        config, rng = self.config, self.rng
        if rng.random() < config.affine_probability:
            matrix = random_affine(config, self.size, rng)
            image = self.warp(image, matrix, 1)
            masks = np.stack([self.warp(mask, matrix, 0) for mask in masks])
        if rng.random() < config.intensity_probability:
            factor = 1 + rng.uniform(-config.contrast, config.contrast)
            image = np.clip(image * factor + rng.uniform(-config.brightness, config.brightness), 0, 1)
        return torch.from_numpy(np.array(image, np.float32))[None], torch.from_numpy(masks)

    def epoch(self, batch_size: int) -> int:
        """Make the batches of one pass; return the number of images."""
        order = self.rng.permutation(len(self.cases))
        return sum(
            len(default_collate([self.item(int(i)) for i in order[start : start + batch_size]])[0])
            for start in range(0, len(order) - batch_size + 1, batch_size)
        )


def packed_epochs(cases: list[Case], size: int, batch_size: int, keep: bool, device: str | None = "cpu") -> Epoch:
    """Return what runs one pass of the trainer's own reader and loader, and its augmentation on a device if given."""
    optim = OptimConfig(batch_size=batch_size)
    config = RunConfig("unetpp", "segmentation", image_size=size, optim=optim, cache=keep)
    dataset = WristDataset(cases, size, keep)
    batches = EpochBatches([False] * len(cases), batch_size, 0.0, 0)
    loader = train_loader(RunData(dataset, batches, dataset, dataset, None, ()), 0, 0, 1)
    task = build_task(config)

    def made(batch: dict[str, Any]) -> int:
        return len((task.prepare(send_to_device(batch, device), training=True) if device else batch)["image"])

    def epoch() -> int:
        images = sum(map(made, loader))
        if device == "cuda":
            torch.cuda.synchronize()
        return images

    return epoch


def masked_cases(root: str, images: int) -> list[Case]:
    """Cases with masks of a folder, repeated under other names until there are so many."""
    cases = [case for case in RamW600.open(root).cases if case.mask]
    return [replace(cases[i % len(cases)], identifier=str(i)) for i in range(images)]


def epochs(kind: str, root: str, images: int, size: int, batch_size: int, keep: bool) -> Epoch:
    """Return what runs one pass over a folder: a kind of `DEVICES`, or arrays with a library of `WARPS`."""
    cases = masked_cases(root, images)
    if kind in DEVICES:
        keep_freed_memory()  # as training does
        return packed_epochs(cases, size, batch_size, keep, DEVICES[kind])
    return partial(Arrays(cases, size, kind, keep).epoch, batch_size)


def two_passes(*arguments: Any) -> Callable[[], int]:
    """Passes whose memory is measured: one that fills the cache, and one from it."""
    kind, root, _, size, batch_size, _ = arguments
    epochs(kind, root, batch_size, size, batch_size, False)()  # libraries load what they need on first use
    epoch = epochs(*arguments)
    return lambda: epoch() + epoch()


def rates(runs: dict[tuple[str, bool], Epoch], passes: int) -> dict[tuple[str, bool], float]:
    """Images per second of processor time, median over alternating passes; caches are filled beforehand."""
    found: dict[tuple[str, bool], list[float]] = {key: [] for key in runs}
    for epoch in runs.values():
        epoch()
    for _ in range(passes):
        for key, epoch in runs.items():
            start = time.process_time()
            images = epoch()
            found[key].append(images / (time.process_time() - start))
    return {key: float(np.median(values)) for key, values in found.items()}


def benchmark_loading(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print images per second, memory and their ratios; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py loading", description=__doc__)
    parser.add_argument("--data", help="folder in the released layout (default: a phantom of 600 px made for this)")
    parser.add_argument("--wrists", type=int, default=16, help="wrists of that phantom (default: %(default)s)")
    parser.add_argument("--size", type=int, default=512, help="side in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images per batch (default: %(default)s)")
    parser.add_argument("--images", type=int, default=16, help="images of a timed pass (default: %(default)s)")
    parser.add_argument("--passes", type=int, default=5, help="timed passes (default: %(default)s)")
    parser.add_argument(
        "--kept", type=int, default=160, help="images of the memory measurement; fewer are repeated (%(default)s)"
    )
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        if arguments.data is None:
            write_phantom(folder, arguments.wrists, seed=3)
        return _measured(arguments, arguments.data or folder)


def _measured(arguments: argparse.Namespace, root: str) -> list[dict[str, Any]]:
    measured = Measurements()
    libraries = [name for name, module in LIBRARIES.items() if find_spec(module)]
    ways = {True: "cached", False: "read each time"}
    options = (arguments.size, arguments.batch)
    packed = [PACKED, HOST, *([GPU] if torch.cuda.is_available() else [])]
    runs = [(kind, kept) for kind in (*packed, *libraries) for kept in ways]
    with threads(1):
        passes = {(kind, kept): epochs(kind, root, arguments.images, *options, kept) for kind, kept in runs}
        found = rates(passes, arguments.passes)
    for (kind, kept), rate in found.items():
        measured.add(f"{kind}, {ways[kept]}", rate, "images/s")
    for library in libraries:
        for kind in packed:
            bounds = {"least": FASTER} if kind != PACKED or library == "scipy" else {}
            measured.add(
                f"{kind}, cached, to {library}, read each time", found[kind, True] / found[library, False], "", **bounds
            )
        measured.add(f"{PACKED} to {library}, both cached", found[PACKED, True] / found[library, True], "")
        measured.add(f"{PACKED} to {library}, both read each time", found[PACKED, False] / found[library, False], "")
    count = arguments.kept
    peaks = {
        (kind, kept): peak_memory(two_passes, kind, root, count, *options, kept).extra
        for kind in (PACKED, HOST, ARRAYS)
        for kept in ways
    }
    for (kind, kept), peak in peaks.items():
        measured.add(f"{kind}, {count} images, {ways[kept]}, memory", peak, "MB")
    per_image = {kind: (peaks[kind, True] - peaks[kind, False]) / count for kind in (PACKED, HOST, ARRAYS)}
    for kind, value in per_image.items():
        measured.add(f"{kind}, memory of a cached image", value, "MB")
    for kind in (PACKED, HOST):
        share = per_image[kind] / per_image[ARRAYS]
        measured.add(f"{kind} to {ARRAYS}, memory of a cached image", share, "", bound=SMALLER)
        for kept, way in ways.items():
            name = f"{kind} to {ARRAYS}, {count} images, {way}, memory"
            bounds = {"bound": SMALLER} if kept and kind == HOST else {}
            measured.add(name, peaks[kind, kept] / peaks[ARRAYS, kept], "", **bounds)
    return measured.rows
