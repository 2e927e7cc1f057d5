"""From attenuation maps to a radiograph: scatter, noise, detector, and image processing of several centres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter

from jointwrist.phantom.ray_depths import enlarge


@dataclass(frozen=True)
class Centre:
    """How one centre exposes and processes radiographs.

    Attributes:
        dose: Photons per pixel of 0.15 mm in air.
        scatter: Scattered share of the primary beam.
        blur: Detector blur in mm.
        air: Grey of unattenuated exposure.
        soft: Grey of soft tissue.
        bone: Grey of dense bone; the sigmoid look-up table runs through both.
        detail: Strength of edge enhancement.
        compression: Strength of the removal of slow trends.
        gamma: Exponent of the display.
        inverted: Bones dark.
        bars: Black bars (top, bottom, left, right) in mm.
        marker: Whether there is a side marker on the radiograph.
    """

    dose: float
    scatter: float
    blur: float
    air: float
    soft: float
    bone: float
    detail: float
    compression: float
    gamma: float
    inverted: bool
    bars: tuple[float, float, float, float]
    marker: bool


def draw_centre(rng: np.random.Generator, variation: float) -> Centre:
    """Draw an imaging style."""
    v = variation
    top = rng.uniform(1, 9) if rng.random() < 0.25 * v else 0.0
    others = [rng.uniform(1, 6) if rng.random() < 0.03 * v else 0.0 for _ in range(3)]
    return Centre(
        dose=float(np.exp(rng.normal(np.log(2500), 0.5 * v))),
        scatter=rng.uniform(0.02, 0.12),
        blur=rng.uniform(0.06, 0.16),
        air=rng.uniform(0.0, 0.12),
        soft=float(np.clip(rng.normal(0.47, 0.05 * v), 0.28, 0.66)),
        bone=float(np.clip(rng.normal(0.87, 0.035 * v), 0.74, 0.95)),
        detail=rng.uniform(0.2, 1.0),
        compression=rng.uniform(0.0, 0.3),
        gamma=float(np.exp(rng.normal(0, 0.12 * v))),
        inverted=bool(rng.random() < 0.02 * v),
        bars=(top, *others),
        marker=bool(rng.random() < 0.06 * v),
    )


def _smooth(image: np.ndarray, sigma: float) -> np.ndarray:
    """Return a wide Gaussian blur, computed on a grid as coarse as the blur allows."""
    factor = int(max(sigma / 2.5, 1))
    if factor == 1:
        return gaussian_filter(image, sigma, mode="nearest", truncate=3)
    coarse = gaussian_filter(_block_means(image, factor), sigma / factor, mode="nearest", truncate=3)
    return enlarge(coarse, factor, len(image))


def _block_means(image: np.ndarray, factor: int) -> np.ndarray:
    """Return the means of blocks of `factor` x `factor` pixels; blocks at the edge repeat the last pixels."""
    height, width = image.shape
    padded = np.pad(image, ((0, -height % factor), (0, -width % factor)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // factor, factor, -1, factor)
    # the sum over a short axis is slow; sums of fewer than eight numbers are added in the same order either way
    rows = sum(blocks[..., column] for column in range(factor)) if factor < 8 else blocks.sum(3)
    return rows.sum(1) / factor**2


def develop(
    bones: np.ndarray, soft: np.ndarray, centre: Centre, rng: np.random.Generator, spacing: float
) -> np.ndarray:
    """Return the radiograph, float32 in [0, 1], of bones and soft tissue given as attenuation maps (H, W)."""
    signal = bones + soft
    np.exp(np.negative(signal, out=signal), out=signal)
    scattered = _smooth(signal, 12 / spacing)
    signal += np.multiply(scattered, centre.scatter, out=scattered)
    photons = centre.dose * (spacing / 0.15) ** 2
    noise = np.divide(signal, photons, out=scattered)
    np.sqrt(noise, out=noise)
    noise *= rng.standard_normal(signal.shape, dtype=np.float32)
    signal += noise
    if centre.blur > 0.3 * spacing:
        signal = gaussian_filter(signal, centre.blur / spacing, mode="nearest", truncate=2.5)
    shown = np.maximum(signal, np.float32(0.01), out=signal)
    np.negative(np.log(shown, out=shown), out=shown)
    fine = shown - _smooth(shown, 1.2 / spacing)
    shown += np.multiply(fine, centre.detail, out=fine)
    slow = _smooth(shown, 10 / spacing)
    trend = np.where(slow > 0.4, 0.9 - slow, 0)
    shown += np.multiply(trend, centre.compression, out=trend)
    some = (slice(None, None, 4), slice(None, None, 4))
    bone, tissue, values = bones[some] > 0.1, soft[some] > 0.3, shown[some]
    dark = np.median(values[tissue & ~bone]) if (tissue & ~bone).any() else 0.8
    bright = np.percentile(values[bone], 90) if bone.any() else 1.4
    low, high = (np.log(grey / (1 - grey)) for grey in (centre.soft, centre.bone))
    slope = (high - low) / max(bright - dark, 0.2)
    image = (shown - dark) * slope
    image += low
    np.exp(np.negative(image, out=image), out=image)
    image += 1
    np.divide(1, image, out=image)
    bare = 1 / (1 + np.exp(-(low - (np.log1p(centre.scatter) + dark) * slope)))
    image -= bare
    image /= 1 - bare
    np.clip(image, 0, 1, out=image)
    image *= 1 - centre.air
    image += centre.air
    return np.power(image, centre.gamma, out=image).astype(np.float32)


_GLYPHS = {"L": ("100", "100", "100", "100", "111"), "R": ("110", "101", "110", "101", "101")}


def finish(image: np.ndarray, centre: Centre, rng: np.random.Generator, spacing: float, side: str) -> np.ndarray:
    """Add collimator bars and a side marker to the radiograph, and quantise it to 8 bits."""
    size = image.shape[0]
    if centre.marker:
        cell = max(round(rng.uniform(0.7, 1.3) / spacing), 1)
        glyph = np.kron(np.array([[c == "1" for c in row] for row in _GLYPHS[side]]), np.ones((cell, cell), bool))
        y = int(rng.uniform(0.03, 0.9) * size)
        x = int((rng.uniform(0.02, 0.1) if rng.random() < 0.5 else rng.uniform(0.85, 0.93)) * size)
        patch = image[y : y + glyph.shape[0], x : x + glyph.shape[1]]
        patch[glyph[: patch.shape[0], : patch.shape[1]]] = rng.uniform(0.85, 1.0)
    if centre.inverted:
        image = 1 - image
    top, bottom, left, right = (round(bar / spacing) for bar in centre.bars)
    image[:top] = 0
    image[size - bottom :] = 0
    image[:, :left] = 0
    image[:, size - right :] = 0
    return (np.round(image * 255) / 255).astype(np.float32)
