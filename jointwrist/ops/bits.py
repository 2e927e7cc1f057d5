"""Types of packed bit maps, which hold a mask in every bit."""

from __future__ import annotations

import numpy as np
import torch

_ARRAYS = {8: np.uint8, 16: np.uint16, 32: np.uint32, 64: np.uint64}
#: Tensors are signed, whose sign no mask uses, as PyTorch computes little in the other unsigned types.
_TENSORS = {8: torch.uint8, 15: torch.int16, 31: torch.int32, 63: torch.int64}


def bits_dtype(masks: int, least: int = 16) -> np.dtype:
    """Return the smallest unsigned type of at least `least` bits for a number of masks, at most 64."""
    return np.dtype(next(kind for bits, kind in _ARRAYS.items() if bits >= max(masks, least)))


def tensor_bits(masks: int, least: int = 15) -> torch.dtype:
    """Return the smallest type of tensor for a number of masks, at most 63; `least` as for `bits_dtype`."""
    return next(kind for bits, kind in _TENSORS.items() if bits >= max(masks, least))
