"""Augmentation of batches on their device: kornia draws the geometry, which is applied to image and bit maps alike."""

from __future__ import annotations

import kornia.augmentation as K
import numpy as np
import torch
from kornia.contrib import diamond_square
from kornia.filters import gaussian_blur2d
from kornia.geometry.conversions import convert_affinematrix_to_homography
from torch import Tensor, nn
from torch.nn.functional import grid_sample, interpolate

from jointwrist.engine.config.run_config import AugmentConfig


def draw_affine(step: K.RandomAffine, images: Tensor) -> tuple[Tensor, Tensor]:
    """Draw the affine transform of each image; some images are not moved.

    Args:
        step: Ranges and probability.
        images: (B, C, H, W).

    Returns:
        (K,) indices of the images to move, and (K, 2, 3) matrices from source to target pixels (x, y).
    """
    # kornia draws on the CPU, where the choice can be read while a GPU continues
    drawn = step.forward_parameters(images.shape)
    chosen = torch.from_numpy(np.flatnonzero(drawn["batch_prob"].numpy() > 0.5))
    values = {
        name: value[chosen].to(images.device, non_blocking=True)
        for name, value in drawn.items()
        if len(value) == len(images)
    }
    chosen = chosen.to(images.device, non_blocking=True)
    return chosen, step.compute_transformation(images[chosen], values, step.flags)[:, :2]


def sampling_grid(matrices: Tensor, height: int, width: int) -> Tensor:
    """Return where each pixel of the warped images is read: (K, H, W, 2) in the coordinates of `grid_sample`.

    Args:
        matrices: (K, 2, 3) from `draw_affine`.
        height: H of the images.
        width: W of the images.
    """
    # not `inv`, which waits for a GPU
    back = torch.linalg.inv_ex(convert_affinematrix_to_homography(matrices)).inverse[:, :2]
    grid = matrices.new_empty(len(matrices), height, width, 2)
    x, y = (torch.arange(size, device=matrices.device, dtype=matrices.dtype) for size in (width, height))
    for axis, size in enumerate((width, height)):
        # -1 and 1 are the outer edges of the frame
        along_x, along_y, start = (back[:, axis] * (2 / size)).split(1, 1)
        torch.add((along_x * x)[:, None], (along_y * y + (start + 1 / size - 1))[..., None], out=grid[..., axis])
    return grid


def sample(images: Tensor, grid: Tensor, mode: str = "bilinear") -> Tensor:
    """Warp (K, C, H, W) floating-point images by a `sampling_grid`; outside of the frame they are 0."""
    return grid_sample(images, grid, mode, padding_mode="zeros", align_corners=False)


def sample_bits(bits: Tensor, grid: Tensor) -> Tensor:
    """Warp (K, C, H, W) integer bit maps by nearest neighbour, 16 bits at a time, which float32 holds exactly."""
    words = max(bits.dtype.itemsize // 2, 1)
    if words == 1:
        return sample(bits.float(), grid, "nearest").to(bits.dtype)
    parts = torch.cat([(bits >> 16 * word) & 0xFFFF for word in range(words)], 1)
    moved = sample(parts.float(), grid, "nearest").to(bits.dtype).chunk(words, 1)
    return sum(part << 16 * word for word, part in enumerate(moved))


#: Side of the fractal fields in pixels; scale of local contrast as a share of the image's side.
FIELD, LOCAL = 64, 1 / 40


def make_uneven(images: Tensor, limit: float) -> Tensor:
    """Vary brightness and local contrast smoothly over the image, by fractal fields.

    Args:
        images: (B, 1, H, W) in [0, 1].
        limit: Largest change of the logarithm of either; each image draws its own fraction of it.

    Returns:
        Images of the same shape, in [0, 1].
    """
    sizes, device = images.shape[-2:], images.device
    fields = diamond_square((len(images), 2, FIELD, FIELD), 0.4, normalize_range=(-1, 1), device=device)
    strength = limit * torch.rand(len(images), 1, 1, 1, device=device)
    bright, contrast = (interpolate(fields, sizes, mode="bilinear") * strength).exp().to(images.dtype).split(1, 1)
    sigma = LOCAL * max(sizes)
    # three standard deviations, unless the image is smaller
    width = 2 * min(round(3 * sigma), min(sizes) - 1) + 1
    around = gaussian_blur2d(images, (width, width), (sigma, sigma))
    return torch.addcmul(around, images - around, contrast).mul_(bright).clamp_(0, 1)


class Augment(nn.Module):
    """Random zoom, shift, scale, rotation, uneven illumination, brightness, contrast, gamma and noise.

    Args:
        config: Ranges and probabilities.
    """

    def __init__(self, config: AugmentConfig):
        super().__init__()
        self.config = config
        self.geometry: list[K.RandomAffine] = []
        if config.zoom_probability > 0:
            self.geometry.append(K.RandomAffine(0.0, scale=config.zoom, p=config.zoom_probability))
        if config.affine_probability > 0:
            spread, shift = (1 - config.scale, 1 + config.scale), (config.shift, config.shift)
            self.geometry.append(K.RandomAffine(config.rotate, shift, spread, p=config.affine_probability))

    @torch.no_grad()
    def forward(self, image: Tensor, bits: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Augment a batch.

        Args:
            image: (B, 1, S, S) in [0, 1].
            bits: (B, M, S, S) integer bit maps, warped like the image by the nearest pixel; or None.

        Returns:
            Image and bit maps of the same shapes and dtypes.
        """
        for step in self.geometry:
            # kornia's own forward would also warp the images that were not chosen
            chosen, matrices = draw_affine(step, image)
            if len(chosen):
                grid = sampling_grid(matrices, *image.shape[-2:])
                image = image.index_copy(0, chosen, sample(image[chosen], grid))
                if bits is not None:
                    bits = bits.index_copy(0, chosen, sample_bits(bits[chosen], grid))
        return self._intensity(image), bits

    def _intensity(self, image: Tensor) -> Tensor:
        config = self.config

        def draw(limit: float) -> Tensor:
            return (torch.rand(len(image), 1, 1, 1, device=image.device) * 2 - 1) * limit

        if config.uneven > 0:
            image = make_uneven(image, config.uneven)
        if config.gamma > 0:
            image = image.clamp_min(0).pow(draw(config.gamma).exp())
        if config.intensity_probability > 0:
            chosen = torch.rand(len(image), 1, 1, 1, device=image.device) < config.intensity_probability
            factor, offset = (torch.where(chosen, draw(limit), 0.0) for limit in (config.contrast, config.brightness))
            image = torch.addcmul(offset, image, 1 + factor).clamp_(0, 1)
        if config.noise > 0:
            image = image + torch.randn_like(image) * draw(config.noise).abs()
        return image
