"""Augmentation of a batch on its device: kornia for the geometry, one warp for image and bit maps."""

from __future__ import annotations

import kornia.augmentation as K
import torch
from kornia.geometry.transform import warp_affine
from torch import Tensor, nn

from jointwrist.engine.config import AugmentConfig


def draw_affine(step: K.RandomAffine, images: Tensor) -> tuple[Tensor, Tensor]:
    """Choose images and how each is moved.

    Args:
        step: Ranges and probability.
        images: (B, C, H, W).

    Returns:
        (K,) indices of the images to be moved, and (K, 2, 3) matrices from source to target pixels (x, y).
    """
    drawn = step.forward_parameters(images.shape)
    chosen = torch.nonzero(drawn["batch_prob"] > 0.5).flatten()
    values = {name: value[chosen] for name, value in drawn.items() if len(value) == len(images)}
    chosen = chosen.to(images.device)
    return chosen, step.compute_transformation(images[chosen], values, step.flags)[:, :2]


def warp(images: Tensor, matrices: Tensor, mode: str = "bilinear") -> Tensor:
    """Warp (K, C, H, W) floating-point images by the matrices of `draw_affine`, zeros from beyond the frame."""
    return warp_affine(images, matrices, images.shape[-2:], mode, padding_mode="zeros", align_corners=False)


class Augment(nn.Module):
    """Random zoom, shift, scale, rotation, brightness, contrast, gamma and noise.

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
            bits: (B, M, S, S) integer bit maps that follow the image by the nearest pixel, or None.

        Returns:
            Image and bit maps of the same shapes and dtypes.
        """
        for step in self.geometry:
            # kornia's own forward warps images that were not chosen too
            chosen, matrices = draw_affine(step, image)
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
