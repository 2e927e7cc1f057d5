"""Augmentation of a batch on its device: kornia for the geometry, one map for image and bit maps."""

from __future__ import annotations

import kornia.augmentation as K
import torch
from torch import Tensor, nn

from jointwrist.engine.config import AugmentConfig


class Augment(nn.Module):
    """Random zoom, shift, scale, rotation, brightness, contrast, gamma and noise.

    Args:
        config: Ranges and probabilities.
    """

    def __init__(self, config: AugmentConfig):
        super().__init__()
        self.config = config
        steps: list[nn.Module] = []
        if config.zoom_probability > 0:
            steps.append(K.RandomAffine(0.0, scale=config.zoom, p=config.zoom_probability, padding_mode="zeros"))
        if config.affine_probability > 0:
            steps.append(
                K.RandomAffine(
                    config.rotate,
                    translate=(config.shift, config.shift),
                    scale=(1 - config.scale, 1 + config.scale),
                    p=config.affine_probability,
                    padding_mode="zeros",
                )
            )
        self.geometry = K.AugmentationSequential(*steps, data_keys=["input", "mask"]) if steps else None

    @torch.no_grad()
    def forward(self, image: Tensor, bits: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Augment a batch.

        Args:
            image: (B, 1, H, W) in [0, 1].
            bits: (B, M, H, W) integer bit maps that follow the image by the nearest pixel, or None.

        Returns:
            Image and bit maps of the same shapes and dtypes.
        """
        if self.geometry is not None:
            # float32 holds every uint16 exactly, and kornia warps masks by the nearest pixel
            maps = torch.zeros_like(image) if bits is None else bits.float()
            image, maps = self.geometry(image, maps)
            bits = None if bits is None else maps.round().to(bits.dtype)
        return self._intensity(image), bits

    def _intensity(self, image: Tensor) -> Tensor:
        config = self.config

        def draw(limit: float) -> Tensor:
            return (torch.rand(len(image), 1, 1, 1, device=image.device) * 2 - 1) * limit

        if config.gamma > 0:
            image = image.clamp_min(0).pow(draw(config.gamma).exp())
        if config.intensity_probability > 0:
            chosen = torch.rand(len(image), 1, 1, 1, device=image.device) < config.intensity_probability
            changed = (image * (1 + draw(config.contrast)) + draw(config.brightness)).clamp(0, 1)
            image = torch.where(chosen, changed, image)
        if config.noise > 0:
            image = image + torch.randn_like(image) * draw(config.noise).abs()
        return image
