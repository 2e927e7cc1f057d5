"""The way of a wrist to the network's image and back, over all combinations of its parts."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torchvision.ops import roi_align

from jointwrist.data.radiograph import Radiograph
from jointwrist.inference.placement import Placement

SHAPES = ((84, 60), (60, 84))
CROPS = (None, (6, 4, 56, 54), (8, 2, 40, 58))
PARTS = list(product(SHAPES, CROPS, (0, 90, 180, 270), "LR", (1.0, 2.0, 0.5)))


def blob(shape: tuple[int, int]) -> np.ndarray:
    """A smooth bright spot off the centre, without any symmetry, from 0 to 1."""
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    ramp = np.exp(-(((y - 24) / 11) ** 2) - ((x - 24 - 0.3 * (y - 24)) / 7) ** 2)
    return (ramp - ramp.min()) / np.ptp(ramp)


def bounding_box(mask: np.ndarray) -> list[int]:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def inside(placement: Placement) -> np.ndarray:
    """The wrist's part of the radiograph, in grey from 0 to 1 as the network sees it."""
    left, top, right, bottom = placement.bounds
    part = placement.radiograph.pixels[top:bottom, left:right]
    grey = np.zeros_like(placement.radiograph.pixels)
    grey[top:bottom, left:right] = (part - part.min()) / np.ptp(part)
    return grey


@pytest.mark.parametrize(("shape", "crop", "rotation", "side", "aspect"), PARTS)
def test_what_a_network_sees_comes_back_to_the_radiograph(shape, crop, rotation, side, aspect):
    """A network that marks bright pixels must mark those of the radiograph, whatever lies between the two."""
    placement = Placement(Radiograph(blob(shape), side=side, aspect=aspect), crop, rotation)
    size = 192
    image = placement.image(size)
    assert image.shape == (1, size, size) and image.min() == 0 and image.max() == pytest.approx(1, abs=0.06)
    marked = image[0] > 0.5
    truth = inside(placement) > 0.5

    mask = placement.masks_back(image - 0.5, 0.0)[0]
    assert mask.shape == shape and 2 * (mask & truth).sum() / (mask.sum() + truth.sum()) > 0.96

    box = placement.boxes_back(np.array([bounding_box(marked)], np.float32), size)[0]
    np.testing.assert_allclose(box, bounding_box(truth), atol=1.3)

    seen = torch.tensor([bounding_box(marked)], dtype=torch.float32)
    heat_map = placement.heat_maps_back(
        roi_align(torch.from_numpy(image)[None], [seen], 7, aligned=True)[:, 0].numpy()
    )[0]
    grey, there = torch.from_numpy(inside(placement))[None, None], [torch.from_numpy(box)[None]]
    np.testing.assert_allclose(heat_map, roi_align(grey, there, 7, aligned=True)[0, 0], atol=0.1)


@pytest.mark.parametrize(("crop", "rotation", "side"), list(product((None, (6, 4, 46, 58)), (0, 90, 180, 270), "LR")))
def test_at_its_own_size_every_pixel_comes_back_exactly(crop, rotation, side):
    pixels = np.random.default_rng(0).random((60, 84), dtype=np.float32)
    placement = Placement(Radiograph(pixels, side=side), crop, rotation)
    _, top, right, _ = placement.bounds
    image = placement.image(max(placement.shape))
    mask = placement.masks_back(image, 0.5)[0]
    np.testing.assert_array_equal(mask, inside(placement) > 0.5)
    assert not mask[:top].any() and not mask[:, right:].any()


def test_marks_of_the_thumb_side_come_back_to_it():
    """Mirroring and rotation by hand: the network's upper left corner lies beside the thumb of a right hand."""
    corner = np.array([[0, 0, 10, 20]], np.float32)
    pixels = np.random.default_rng(0).random((100, 100), dtype=np.float32)
    for side, rotation, expected in (
        ("R", 0, [0, 0, 10, 20]), ("L", 0, [90, 0, 100, 20]), ("R", 90, [0, 90, 20, 100]),
        ("R", 180, [90, 80, 100, 100]), ("R", 270, [80, 0, 100, 10]), ("L", 90, [0, 0, 20, 10]),
    ):  # fmt: skip
        placement = Placement(Radiograph(pixels, side=side), rotation=rotation)
        assert placement.boxes_back(corner, 100)[0].tolist() == expected, (side, rotation)


def test_spacing_follows_the_square_pixels():
    radiograph = Radiograph(blob((60, 84)), spacing_mm=0.2, aspect=0.5)
    upright = Placement(radiograph, crop=(4, 10, 24, 50), rotation=90).upright()
    assert upright.pixels.shape == (40, 40) and upright.spacing_mm == pytest.approx(0.1) and upright.aspect == 1


def test_cleaning_happens_on_the_upright_right_hand():
    pixels = np.random.default_rng(0).random((40, 60), dtype=np.float32)
    placement = Placement(Radiograph(pixels, side="L"), rotation=90)
    seen = {}

    def clean(mask: np.ndarray, channel: int) -> np.ndarray:
        seen[channel] = mask.copy()
        return ~mask

    mask = placement.masks_back(np.full((3, 60, 60), -1.0, np.float32), 0.0, clean)
    assert sorted(seen) == [0, 1, 2] and seen[0].shape == placement.right_hand().shape == (60, 40)
    assert mask.all()
