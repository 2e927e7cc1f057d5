"""Augmentation moves image and bit maps alike, as SciPy does, and only the images that were drawn."""

from __future__ import annotations

import kornia.augmentation as K
import numpy as np
import pytest
import torch
from scipy import ndimage

from jointwrist.engine.config.run_config import AugmentConfig
from jointwrist.engine.tasks.augment import Augment, draw_affine, make_uneven, sample, sampling_grid

SIZE = 48
STILL = {"zoom_probability": 0.0, "affine_probability": 0.0, "intensity_probability": 0.0}


def test_warps_as_scipy_does():
    torch.manual_seed(0)
    images = torch.rand(6, 2, SIZE, SIZE)
    chosen, matrices = draw_affine(K.RandomAffine(10.0, (0.0625, 0.0625), (0.9, 1.1), p=1.0), images)
    assert chosen.tolist() == list(range(6))
    grid = sampling_grid(matrices, SIZE, SIZE)
    linear, nearest = sample(images, grid), sample(images, grid, "nearest")
    for i in range(6):
        back = np.linalg.inv(np.vstack([matrices[i].double().numpy(), [0, 0, 1]]))
        matrix, offset = back[1::-1, 1::-1], back[1::-1, 2]
        for channel in range(2):
            source = images[i, channel].double().numpy()
            expected = ndimage.affine_transform(source, matrix, offset, order=1, mode="grid-constant")
            assert np.abs(linear[i, channel].numpy() - expected).max() < 1e-3
            expected = ndimage.affine_transform(source, matrix, offset, order=0, mode="grid-constant")
            assert (nearest[i, channel].numpy() != expected.astype(np.float32)).mean() < 1e-3


def test_the_chosen_images_are_those_of_kornia_and_moved_as_it_moves_them():
    images = torch.rand(16, 1, SIZE, SIZE)
    step = K.RandomAffine(10.0, (0.0625, 0.0625), (0.9, 1.1), p=0.5)
    torch.manual_seed(4)
    expected = step(images)
    torch.manual_seed(4)
    chosen, matrices = draw_affine(step, images)
    assert 2 < len(chosen) < 14
    moved = sample(images[chosen], sampling_grid(matrices, SIZE, SIZE))
    torch.testing.assert_close(images.index_copy(0, chosen, moved), expected, rtol=0, atol=1e-5)


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


@pytest.mark.parametrize("name", ["gamma", "noise", "uneven"])
def test_the_look_changes_the_image_alone(name):
    torch.manual_seed(3)
    image, bits = torch.rand(2, 1, SIZE, SIZE), torch.randint(0, 9, (2, 1, SIZE, SIZE))
    moved, maps = Augment(AugmentConfig(**{**STILL, name: 0.2}))(image, bits)
    assert torch.equal(maps, bits) and not torch.equal(moved, image)


def test_uneven_images_keep_within_their_limit_of_brightness_and_vary_in_space():
    torch.manual_seed(5)
    flat = torch.full((64, 1, SIZE, SIZE), 0.25)
    ratio = (make_uneven(flat, 0.7) / flat).log().flatten(1)
    assert float(ratio.abs().max()) <= 0.7 + 1e-5
    assert float((ratio.amax(1) - ratio.amin(1)).max()) > 0.7
    lengths = ratio.abs().amax(1)
    assert float(lengths.min()) < 0.15 < 0.5 < float(lengths.max())


def test_uneven_images_differ_in_contrast_within_its_limit():
    """Of a pattern as fine as the pixels, neighbours' difference over their sum is local contrast alone."""
    torch.manual_seed(6)
    pattern = (torch.arange(192) % 2 * 2 - 1) * 0.05
    image = (0.3 + pattern).expand(24, 1, 192, 192)
    seen = make_uneven(image, 0.5)[..., 24:-24, 24:-24]
    left, right = seen[..., 0::2], seen[..., 1::2]
    contrast = ((right - left) / (right + left) * 6).log()
    assert -0.6 < float(contrast.min()) < -0.2 and 0.2 < float(contrast.max()) < 0.6
