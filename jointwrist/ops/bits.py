"""Types of packed bit maps, which hold a mask in every bit."""

from __future__ import annotations

import numpy as np

_ARRAYS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
#: Tensors are signed and no mask uses the sign, as PyTorch computes little with unsigned types other than uint8.
_TENSORS = {8: np.uint8, 15: np.int16, 31: np.int32, 63: np.int64}


def bits_dtype(masks: int, least: int = 16) -> np.dtype:
    """Return the smallest unsigned type of at least `least` bits for a number of masks, at most 64."""
    return np.dtype(next(kind for bits, kind in _ARRAYS.items() if bits >= max(masks, least)))


def tensor_bits_dtype(masks: int, least: int = 15) -> np.dtype:
    """Return the smallest type for the bit map in a tensor of a number of masks, at most 63."""
    return np.dtype(next(kind for bits, kind in _TENSORS.items() if bits >= max(masks, least)))
