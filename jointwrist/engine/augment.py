"""Augmentation of a batch on its device: one warp for image and bit maps, of the chosen images alone."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from jointwrist.engine.config import AugmentConfig


@dataclass(frozen=True)
class RandomAffine:
    """Random zoom, rotation and shift of single images about their centre.

    Attributes:
        probability: Of each image, to be moved at all.
        scale: Range of the zoom; 2 shows the middle half of the image.
        rotate: Largest angle in degrees.
        shift: Largest shift as a fraction of the side.
    """

    probability: float
    scale: tuple[float, float]
    rotate: float = 0.0
    shift: float = 0.0

    def draw(self, number: int) -> tuple[Tensor, Tensor]:
        """Choose among so many images.

        Returns:
            (K,) indices of those to be moved, and (K, 2, 3) matrices from target to source in coordinates (x, y) that
            run from -1 to 1 over a square image.
        """
        chosen = torch.nonzero(torch.rand(number) < self.probability).flatten()

        def uniform(low: float, high: float, *shape: int) -> Tensor:
            return low + (high - low) * torch.rand(len(chosen), *shape)

        scale = uniform(*self.scale)
        angle = torch.deg2rad(uniform(-self.rotate, self.rotate))
        shift = 2 * uniform(-self.shift, self.shift, 2)
        cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
        linear = torch.stack([torch.stack([cosine, -sine], 1), torch.stack([sine, cosine], 1)], 1)
        return chosen, torch.cat([linear, -linear @ shift[:, :, None]], 2)


def warp(images: Tensor, matrices: Tensor, mode: str = "bilinear") -> Tensor:
    """Warp images, zeros from beyond the frame.

    Args:
        images: (K, C, H, W) floating point.
        matrices: (K, 2, 3) from target to source coordinates (x, y) between -1 and 1.
        mode: "bilinear" or "nearest".
    """
    return F.grid_sample(images, _grid(matrices, images.shape[-2:]), mode=mode, align_corners=False)


def _grid(matrices: Tensor, size: tuple[int, int]) -> Tensor:
    """(K, H, W, 2) source coordinates: `affine_grid` as two sums, several times as fast on a CPU."""
    y, x = ((2 * torch.arange(n, device=matrices.device, dtype=matrices.dtype) + 1) / n - 1 for n in size)
    across = matrices[..., 0, None, None] * x
    down = matrices[..., 1, None, None] * y[:, None] + matrices[..., 2, None, None]
    return (across + down).permute(0, 2, 3, 1)


class Augment(nn.Module):
    """Random zoom, shift, scale, rotation, brightness, contrast, gamma and noise.

    Args:
        config: Ranges and probabilities.
    """

    def __init__(self, config: AugmentConfig):
        super().__init__()
        self.config = config
        spread = (1 - config.scale, 1 + config.scale)
        self.geometry = [
            RandomAffine(config.zoom_probability, config.zoom),
            RandomAffine(config.affine_probability, spread, config.rotate, config.shift),
        ]

    @torch.no_grad()
    def forward(self, image: Tensor, bits: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Augment a batch.

        Args:
            image: (B, 1, S, S) in [0, 1].
            bits: (B, M, S, S) integer bit maps that follow the image by the nearest pixel, or None.

        Returns:
            Image and bit maps of the same shapes and dtypes.
        """
        for step in self.geometry:
            chosen, matrices = (drawn.to(image.device) for drawn in step.draw(len(image)))
            if len(chosen):
                image = image.index_copy(0, chosen, warp(image[chosen], matrices))
                if bits is not None:
                    # float32 holds every uint16 exactly
                    moved = warp(bits[chosen].float(), matrices, "nearest")
                    bits = bits.index_copy(0, chosen, moved.to(bits.dtype))
        return self._intensity(image), bits

    def _intensity(self, image: Tensor) -> Tensor:
        config = self.config

        def draw(limit: float) -> Tensor:
            return (torch.rand(len(image), 1, 1, 1, device=image.device) * 2 - 1) * limit

        if config.gamma > 0:
            image = image.clamp_min(0).pow(draw(config.gamma).exp())
        if config.intensity_probability > 0:
            chosen = torch.rand(len(image), 1, 1, 1, device=image.device) < config.intensity_probability
            factor, offset = (torch.where(chosen, draw(limit), 0.0) for limit in (config.contrast, config.brightness))
            image = torch.addcmul(offset, image, 1 + factor).clamp_(0, 1)
        if config.noise > 0:
            image = image + torch.randn_like(image) * draw(config.noise).abs()
        return image
