"""Augmentation moves image and bit maps alike, as SciPy does, and only the images that were drawn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import ndimage

from jointwrist.engine.augment import Augment, RandomAffine, warp
from jointwrist.engine.config import AugmentConfig

SIZE = 48
STILL = {"zoom_probability": 0.0, "affine_probability": 0.0, "intensity_probability": 0.0}


def pixels(matrix: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """A matrix of coordinates from -1 to 1 as SciPy wants it: rows and columns of pixels."""
    linear, shift = matrix[:, :2].double().numpy(), matrix[:, 2].double().numpy()
    centre = np.full(2, (SIZE - 1) / 2)
    offset = centre - linear @ centre + shift * SIZE / 2
    return linear[::-1, ::-1], offset[::-1]


def test_warps_as_scipy_does():
    torch.manual_seed(0)
    images = torch.rand(6, 2, SIZE, SIZE)
    chosen, matrices = RandomAffine(1.0, (0.9, 1.1), 10.0, 0.0625).draw(6)
    assert chosen.tolist() == list(range(6))
    linear, nearest = warp(images, matrices), warp(images, matrices, "nearest")
    for i in range(6):
        matrix, offset = pixels(matrices[i])
        for channel in range(2):
            source = images[i, channel].double().numpy()
            expected = ndimage.affine_transform(source, matrix, offset, order=1, mode="grid-constant")
            assert np.abs(linear[i, channel].numpy() - expected).max() < 1e-3
            expected = ndimage.affine_transform(source, matrix, offset, order=0, mode="grid-constant")
            assert (nearest[i, channel].numpy() != expected.astype(np.float32)).mean() < 1e-3


def test_zoom_rotation_and_shift_are_those_asked_for():
    identity = torch.eye(2, 3)
    assert torch.equal(RandomAffine(1.0, (1.0, 1.0)).draw(1)[1][0], identity)
    zoomed = RandomAffine(1.0, (2.0, 2.0)).draw(1)[1][0]
    assert torch.allclose(zoomed, identity / 2)  # the middle half fills the frame
    torch.manual_seed(0)
    _, matrices = RandomAffine(1.0, (0.9, 1.1), 10.0, 0.0625).draw(4000)
    scale = 1 / matrices[:, :, :2].det().sqrt()
    angle = torch.rad2deg(torch.atan2(matrices[:, 1, 0], matrices[:, 0, 0]))
    shift = -torch.linalg.solve(matrices[:, :, :2], matrices[:, :, 2]) / 2
    for values, low, high in ((scale, 0.9, 1.1), (angle, -10, 10), (shift, -0.0625, 0.0625)):
        span = high - low
        assert low - 1e-4 <= float(values.min()) < low + 0.02 * span
        assert high - 0.02 * span < float(values.max()) <= high + 1e-4


def test_bits_follow_the_image_and_keep_their_type():
    torch.manual_seed(1)
    image = torch.zeros(32, 1, SIZE, SIZE)
    image[..., 14:34, 10:30] = 1
    bits = torch.cat([image * (2**13 + 5), image], 1).to(torch.int16)
    config = AugmentConfig(**{**STILL, "affine_probability": 0.5})
    moved, maps = Augment(config)(image, bits)
    assert maps.dtype == torch.int16 and set(maps[:, 0].unique().tolist()) == {0, 2**13 + 5}
    assert torch.equal(maps[:, 0] > 0, maps[:, 1] > 0)
    assert ((moved[:, 0] > 0.5) != (maps[:, 0] > 0)).float().mean() < 0.002
    untouched = (moved == image).flatten(1).all(1)
    assert 6 < int(untouched.sum()) < 26
    assert torch.equal(maps[untouched], bits[untouched])


def test_nothing_is_done_when_nothing_is_asked_for():
    image, bits = torch.rand(2, 1, SIZE, SIZE), torch.randint(0, 9, (2, 1, SIZE, SIZE))
    moved, maps = Augment(AugmentConfig(**STILL))(image, bits)
    assert torch.equal(moved, image) and torch.equal(maps, bits)
    assert Augment(AugmentConfig(**STILL))(image)[1] is None


def test_brightness_and_contrast_stay_within_their_limits():
    torch.manual_seed(2)
    image = torch.full((400, 1, 4, 4), 0.5)
    seen, _ = Augment(AugmentConfig(**{**STILL, "intensity_probability": 0.5}))(image)
    values = seen[:, 0, 0, 0]
    same = values == 0.5
    assert 140 < int(same.sum()) < 260
    assert 0.5 * 0.8 - 0.2 <= float(values.min()) < 0.26 and 0.74 < float(values.max()) <= 0.5 * 1.2 + 0.2


@pytest.mark.parametrize("name", ["gamma", "noise"])
def test_gamma_and_noise_change_the_image_alone(name):
    torch.manual_seed(3)
    image, bits = torch.rand(2, 1, SIZE, SIZE), torch.randint(0, 9, (2, 1, SIZE, SIZE))
    moved, maps = Augment(AugmentConfig(**{**STILL, name: 0.2}))(image, bits)
    assert torch.equal(maps, bits) and not torch.equal(moved, image)
