"""Unpack bit maps on a CPU; a separate module, as prediction does not unpack any and need not import numba."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def bit_planes(bits, channels):
    """Unpack (B, H, W) integer bit maps into (B, channels, H, W) float32 masks, each written once."""
    images, height, width = bits.shape
    masks = np.empty((images, channels, height, width), np.float32)
    for image in range(images):
        for channel in range(channels):
            for y in range(height):
                for x in range(width):
                    masks[image, channel, y, x] = (bits[image, y, x] >> channel) & 1
    return masks
