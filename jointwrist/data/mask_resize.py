"""Resize bit maps of overlapping masks by a rule that keeps masks aligned with the resized image."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numba import njit
from torch import Tensor

#: See `resize_bits`.
MaskRule = Literal["coverage", "nearest"]
#: Coverages computed in float32 that are nearer to one half than this are ties.
_TIE = 4e-6


def resize_bits(bits: Tensor, size: int, rule: MaskRule = "coverage") -> Tensor:
    """Resize bit maps of overlapping masks.

    "coverage" resizes each mask as `resize_image` resizes the radiograph, bilinear and antialiased, and keeps the
    pixels of which it covers more than half. The filter is symmetric, so a straight edge stays where it is at every
    ratio. At even ratios an edge may run through the centres of pixels, which are then covered by exactly one half:
    every other one is kept, as on a chessboard, so that masks neither move nor grow. The pattern is symmetric, so
    mirrored masks give mirrored results.

    "nearest" takes pixel floor(i n / size) of n pixels for pixel i, as OpenCV's `INTER_NEAREST` does, which the authors
    of RAM-W600 use. It moves masks by up to half a pixel against the image, to the right and downwards.

    Args:
        bits: (B, H, W) integer; bit c is mask c.
        size: Side of the result in pixels.
        rule: "coverage" or "nearest".

    Returns:
        (B, size, size) of the same dtype.
    """
    if bits.shape[-2:] == (size, size):
        return bits
    if rule == "nearest":
        rows, columns = (torch.arange(size, device=bits.device) * side // size for side in bits.shape[-2:])
        return bits.index_select(1, rows).index_select(2, columns)
    if bits.device.type == "cpu":
        filters = [_triangles(side, size) for side in bits.shape[-2:]]
        wide = bits.to(torch.int64 if bits.dtype is torch.int64 else torch.int32).contiguous().numpy()
        resized = _covered(wide, *filters[0], *filters[1])
        return torch.from_numpy(resized).to(bits.dtype)
    return _covered_by_float(bits, size)


@njit(cache=True, nogil=True)
def _covered(bits, first_rows, row_weights, first_columns, column_weights):
    """Resize (B, H, W) int32 or int64 bit maps by coverage, in integers, so that ties are ties on every machine."""
    (height, width), (size, taps) = bits.shape[1:], row_weights.shape
    column_taps = column_weights.shape[1]
    resized = np.empty((len(bits), size, size), bits.dtype)
    some, every = np.empty(width, bits.dtype), np.empty(width, bits.dtype)
    for image in range(len(bits)):
        for y in range(size):
            top = first_rows[y]
            some[:] = bits[image, top]
            every[:] = bits[image, top]
            for k in range(1, min(taps, height - top)):
                row = bits[image, top + k]
                if row_weights[y, k] > 0:
                    for x in range(width):
                        some[x] |= row[x]
                        every[x] &= row[x]
            for x in range(size):
                left = first_columns[x]
                any_bit, all_bits = some[left], every[left]
                for j in range(1, min(column_taps, width - left)):
                    if column_weights[x, j] > 0:
                        any_bit |= some[left + j]
                        all_bits &= every[left + j]
                found, mixed, bit = all_bits, any_bit & ~all_bits, 0
                while mixed >> bit:  # at the edge of a bone only
                    if mixed >> bit & 1:
                        balance = 0
                        for k in range(min(taps, height - top)):
                            for j in range(min(column_taps, width - left)):
                                inside = bits[image, top + k, left + j] >> bit & 1
                                balance += (2 * inside - 1) * row_weights[y, k] * column_weights[x, j]
                        even = (min(y, size - 1 - y) + min(x, size - 1 - x)) % 2 == 0
                        if balance > 0 or (balance == 0 and even):
                            found |= bits.dtype.type(1) << bit
                    bit += 1
                resized[image, y, x] = found
    return resized


def _covered_by_float(bits: Tensor, size: int) -> Tensor:
    """Do the same as `_covered` with operations for a GPU, one mask at a time to save memory."""
    edge = torch.arange(size, device=bits.device)
    edge = torch.minimum(edge, size - 1 - edge)
    threshold = torch.where((edge[:, None] + edge) % 2 == 0, 0.5 - _TIE, 0.5 + _TIE)
    resized = bits.new_zeros(len(bits), size, size)
    for bit in range(torch.iinfo(bits.dtype).max.bit_length()):
        mask = ((bits >> bit) & 1)[:, None].float()
        share = F.interpolate(mask, (size, size), mode="bilinear", align_corners=False, antialias=True)
        resized |= (share[:, 0] > threshold).to(bits.dtype) << bit
    return resized


def _triangles(side: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the filter of each of `size` pixels over `side` pixels: first pixel (size,), integer weights (size, K)."""
    common = math.gcd(side, size)
    n, s = side // common, size // common
    centres = (2 * np.arange(size) + 1) * n
    reach = 2 * max(n, s)
    first = np.maximum((centres - reach) // (2 * s), 0)
    pixels = first[:, None] + np.arange(2 * reach // (2 * s) + 2)
    weights = np.maximum(reach - np.abs((2 * pixels + 1) * s - centres[:, None]), 0)
    weights[pixels >= side] = 0
    return first, weights
