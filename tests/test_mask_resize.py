"""Masks at the size of a network stay where the image shows the bone, and are the same for every model."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import default_collate

from jointwrist.benchmark.protocol import load_protocol
from jointwrist.data.mask_resize import _covered_by_float, resize_bits
from jointwrist.data.preprocess import resize_image, unpack_bits
from jointwrist.data.sample import pack_masks
from jointwrist.engine.config.run_config import AugmentConfig
from jointwrist.engine.run_data.datasets import load_run_data
from jointwrist.engine.tasks import build_task
from jointwrist.engine.tasks.augment import Augment
from jointwrist.metrics.segmentation import case_metrics

SHAPES = 14


def ellipses(side: int, seed: int = 0) -> torch.Tensor:
    """Bit map (1, side, side) int16 of ellipses of all sizes and directions, as bones are."""
    rng = np.random.default_rng(seed)
    y, x = (np.mgrid[:side, :side] + 0.5) / side
    masks = []
    for _ in range(SHAPES):
        (cx, cy), angle, long, short = rng.uniform(0.4, 0.6, 2), rng.uniform(0, 3), *rng.uniform(0.05, 0.3, 2)
        u, v = (x - cx) * np.cos(angle) + (y - cy) * np.sin(angle), (y - cy) * np.cos(angle) - (x - cx) * np.sin(angle)
        masks.append((u / long) ** 2 + (v / short) ** 2 < 1)
    return torch.from_numpy(pack_masks(np.array(masks)).astype(np.int16))[None]


def offset(images: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
    """Pixels in x and y by which (N, S, S) masks lie off images of them, mean over all that is covered.

    The third figure is how much larger the masks are: the change of area over the length of the contours.
    """
    places = torch.arange(images.shape[-1], dtype=torch.float64) + 0.5
    areas = images.sum((1, 2), dtype=torch.float64)

    def centres(planes: torch.Tensor) -> torch.Tensor:
        columns, rows = (planes.sum(axis, dtype=torch.float64) for axis in (1, 2))
        return torch.stack([columns @ places, rows @ places]) / columns.sum(-1)

    contour = sum(images.diff(dim=axis).abs().sum() for axis in (1, 2)) * math.pi / 4
    moved = (centres(masks) - centres(images)) @ (areas / areas.sum())
    return np.array([*moved.tolist(), float((masks.sum(dtype=torch.float64) - areas.sum()) / contour)])


RATIOS = [(native, size) for native in (600, 650, 720, 900) for size in (256, 384, 512, 1024)]
EVEN = [(512, 256), (768, 384), (1024, 256), (1024, 768), (256, 512), (192, 576), (601, 601)]


@pytest.mark.parametrize(("native", "size"), RATIOS + EVEN)
def test_image_and_mask_stay_aligned(native, size):
    bits = ellipses(native)
    image = resize_image(unpack_bits(bits, SHAPES), size)[0]
    mask = unpack_bits(resize_bits(bits, size), SHAPES)[0]
    assert np.abs(offset(image, mask)).max() < 0.03


def test_the_authors_rule_takes_the_pixel_that_opencv_takes_and_moves_masks():
    bits = ellipses(600)
    found = resize_bits(bits, 512, "nearest")
    taken = [math.floor(pixel * (600 / 512)) for pixel in range(512)]
    assert torch.equal(found, bits[:, taken][:, :, taken])
    moved = offset(resize_image(unpack_bits(bits, SHAPES), 512)[0], unpack_bits(found, SHAPES)[0])
    assert moved[:2] == pytest.approx([0.5, 0.5], abs=0.05)


@pytest.mark.parametrize(("native", "size"), [(96, 48), (96, 64), (75, 64), (97, 31), (31, 97), (64, 192), (48, 40)])
def test_the_rule_in_whole_numbers_is_the_antialiased_coverage(native, size):
    """Also of noise, and of the sizes of batches and types that are resized."""
    noise = torch.randint(0, 2**14, (2, native, native), generator=torch.Generator().manual_seed(0))
    for bits in (ellipses(native), noise.to(torch.int16), (noise % 64).to(torch.uint8), noise.to(torch.int32)):
        found = resize_bits(bits, size)
        assert found.dtype == bits.dtype and torch.equal(found, _covered_by_float(bits, size))
        share = resize_image(unpack_bits(bits, SHAPES).double(), size)
        clear = (share - 0.5).abs() > 1e-6
        assert torch.equal(unpack_bits(found, SHAPES).bool()[clear], (share > 0.5)[clear])


def test_masks_of_mirrored_and_transposed_radiographs_are_mirrored_and_transposed():
    for native, size in ((96, 48), (96, 64), (96, 45), (600, 512)):
        bits = ellipses(native, seed=1)
        found = resize_bits(bits, size)
        for turned in (lambda b: b.flip(-1), lambda b: b.flip(-2), lambda b: b.mT):
            assert torch.equal(resize_bits(turned(bits), size), turned(found))


def test_edges_through_the_centres_of_pixels_neither_move_nor_grow():
    for left, right in ((21, 75), (20, 75), (21, 74), (20, 74)):
        bits = torch.zeros(1, 96, 96, dtype=torch.uint8)
        bits[:, :, left:right] = 1
        widths = resize_bits(bits, 48).sum(-1).double()
        starts = resize_bits(bits, 48).argmax(-1).double()
        assert float(widths.mean()) == (right - left) / 2 and float(starts.mean()) == left / 2
        assert set(widths.flatten().tolist()) <= {math.floor((right - left) / 2) + n for n in (-1, 0, 1)}


def test_augmented_masks_stay_aligned_down_to_the_size_of_the_network():
    torch.manual_seed(0)
    augment = Augment(AugmentConfig(affine_probability=1.0, intensity_probability=0.0))
    radiographs = unpack_bits(torch.cat([ellipses(192, seed) for seed in range(6)]), SHAPES).flatten(0, 1)[:, None]
    images, bits = augment(radiographs, radiographs.to(torch.int16))
    whole = F.pad(images[..., 1:-1, 1:-1], (1, 1, 1, 1)).eq(images).flatten(1).all(1)
    assert whole.sum() > 40
    for size in (192, 96, 72):
        image, mask = resize_image(images[whole], size)[:, 0], resize_bits(bits[whole, 0], size)
        assert np.abs(offset(image, mask)).max() < 0.03


def truth(protocol: str, model: str, dataset, split: str, augmented: bool) -> dict[str, torch.Tensor]:
    """Masks (14, S, S) that a model of a protocol is measured by, of up to four wrists."""
    config = load_protocol(protocol).run_config(model, 1, {"precision": "no"})
    items = getattr(load_run_data(config, dataset, augmented=augmented), split)
    masked = [i for i, case in enumerate(items.cases) if case.mask is not None][:4]
    batch = build_task(config).prepare(default_collate([items[i] for i in masked]), training=False)
    return dict(zip(batch["identifier"], batch["masks"], strict=True))


@pytest.mark.parametrize("protocol", ["clean", "demo", "smoke", "official"])
def test_joint_network_and_baselines_have_one_truth(protocol, dataset):
    for split, augmented in (("val", True), ("test", True), ("train", False)):
        baseline, joint = (truth(protocol, name, dataset, split, augmented) for name in ("unetpp", "jointwrist_tiny"))
        shared = baseline.keys() & joint.keys()
        assert shared and all(torch.equal(baseline[case], joint[case]) for case in shared)
        figures = [case_metrics(joint[case].numpy(), baseline[case].numpy()) for case in shared]
        assert {float(value) for figure in figures for value in figure["dsc"]} == {1.0}
        assert {float(value) for figure in figures for value in figure["msd"]} == {0.0}
