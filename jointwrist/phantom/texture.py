"""Periodic noise tiles: trabecular networks and soft-tissue mottle, made once and sampled everywhere."""

from __future__ import annotations

from functools import lru_cache

import numba
import numpy as np

#: Side of a tile in mm, and its pixels at the finest level.
TILE_MM = 102.4
_PIXELS = 1024


def _band(seed: int, wavelength: float, stretch: float) -> np.ndarray:
    """Return periodic Gaussian noise around a wavelength in mm, `stretch` times longer along y."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((_PIXELS, _PIXELS)))
    fy = np.fft.fftfreq(_PIXELS, TILE_MM / _PIXELS)[:, None] * stretch
    fx = np.fft.rfftfreq(_PIXELS, TILE_MM / _PIXELS)[None]
    octaves = np.log2(np.maximum(np.hypot(fx, fy), 1e-9) * wavelength)
    noise = np.fft.irfft2(spectrum * np.exp(-0.5 * (octaves / 0.45) ** 2), s=(_PIXELS, _PIXELS))
    return noise / noise.std()


def _network(seed: int, wavelength: float, stretch: float) -> np.ndarray:
    """Return bright ridges where band-limited noise crosses zero: a projection of thin plates and struts."""
    ridges = sum(np.exp(-np.abs(_band(seed + 10 * k, wavelength * s, stretch)) * 2.2) for k, s in enumerate((1.0, 1.5)))
    return (ridges - ridges.mean()) / ridges.std()


@lru_cache(maxsize=8)
def tile(kind: str, level: int) -> np.ndarray:
    """Return a float32 tile of unit variance at the finest level, averaged over 2**level pixels.

    Args:
        kind: "network" (isotropic trabeculae), "struts" (trabeculae along y) or "mottle" (soft tissue, along y).
        level: Averaging level, 0 to 4.
    """
    if level:
        finer = tile(kind, level - 1)
        return np.ascontiguousarray(finer.reshape(finer.shape[0] // 2, 2, -1, 2).mean((1, 3)))
    if kind == "network":
        field = 0.8 * _network(1, 0.95, 1.3) + 0.3 * _band(5, 4.0, 1.0)
    elif kind == "struts":
        field = 0.75 * _network(2, 0.85, 3.6) + 0.3 * _network(3, 1.1, 0.8) + 0.25 * _band(6, 4.0, 2.0)
    else:
        field = _band(7, 9.0, 2.5) + 0.5 * _band(8, 3.0, 3.0)
    return (field / field.std()).astype(np.float32)


def level_for(spacing: float) -> int:
    """Return the averaging level whose pixels are nearest below the pixel spacing in mm."""
    return min(max(int(np.floor(np.log2(max(spacing, 1e-3) / (TILE_MM / _PIXELS)))), 0), 4)


@numba.njit(cache=True, fastmath=True, inline="always")
def sample(field: np.ndarray, u: float, v: float) -> float:
    """Return the bilinear value of a periodic tile at (u, v) in tile pixels; sides are powers of two."""
    iu, iv = int(np.floor(u)), int(np.floor(v))
    fu, fv = u - iu, v - iv
    mask = field.shape[0] - 1
    a, b, c, d = iu & mask, (iu + 1) & mask, iv & mask, (iv + 1) & mask
    top = field[c, a] + fu * (field[c, b] - field[c, a])
    low = field[d, a] + fu * (field[d, b] - field[d, a])
    return top + fv * (low - top)
