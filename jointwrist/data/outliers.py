"""Correct faulty lines, outlying grey values and bright frames, which compress the grey range of the bones.

The network's input is stretched by its minimum and maximum, so that one hot pixel can make the rest of a radiograph
dark. Radiographs without outliers are returned unchanged, bit for bit. Bright markers and metal are outliers only if
they are far brighter than everything else; clipped, they remain the brightest parts.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import gcd

import numpy as np
from scipy.ndimage import binary_dilation, binary_opening

from jointwrist.data.bright_frame import bright_frame
from jointwrist.data.collimation import exposed_window
from jointwrist.data.radiograph import Radiograph

#: Outliers lie further than this below percentile 1 or above percentile 99, as a multiple of the distance between the
#: two. The range of 16 real wrists ends at 0.12 or less, that of 40 phantoms at 0.24, of 239 finger joints at 0.37.
#: A pixel at these distances leaves the masks of real wrists as they are: DSC of the worst bone is 0.98 or more.
BELOW, ABOVE = 0.5, 1.0
#: Pixels within this share of the range from its end may all be outliers, as those of a saturated corner are; they are
#: excluded from the percentiles.
_END = 0.02
#: Outliers are at most this share of the pixels.
_MOST = 0.5
#: Percentiles are taken of about this many pixels.
_SAMPLE = 2**18
#: Faulty pixels and lines are at most this wide, in pixels.
_THIN = 3

_FILLED = "Faulty pixels or lines were filled from the pixels beside them."
_CLIPPED = "Grey values far outside those of the rest, {share:.2g} % of all, were clipped."
_DARKENED = "A bright frame around the radiograph was darkened, as by a shutter."


def without_outliers(radiograph: Radiograph) -> Radiograph:
    """Fill faulty pixels and lines, clip other outlying grey values, and darken a bright frame, with a note on each.

    Returns:
        The same object if there are none of these; else a radiograph whose grey values span [0, 1].
    """
    pixels, notes = radiograph.pixels, []
    (low, high), lines = grey_limits(pixels), _constant_lines(pixels)
    outlying = None
    if lines is not None or (low, high) != (pixels.min(), pixels.max()):
        outlying = (pixels < low) | (pixels > high) | (False if lines is None else lines)
        pixels = np.clip(pixels, low, high)
    frame = bright_frame(pixels)
    if outlying is not None:
        rest = outlying if frame is None else outlying & ~frame
        wide = binary_opening(rest, np.ones((_THIN + 1, _THIN + 1), bool))
        wide = rest & binary_dilation(wide, iterations=_THIN)  # with its jagged edge
        if wide.any():
            notes.append(_CLIPPED.format(share=max(100 * wide.mean(), 0.01)))
        if (thin := rest & ~wide).any():
            notes.append(_FILLED)
            _fill(pixels, thin, ~outlying)
    if frame is not None:
        notes.append(_DARKENED)
        pixels = np.where(frame, pixels[~frame].min(), pixels)
    if not notes:
        return radiograph
    low, high = float(pixels.min()), float(pixels.max())
    stretched = ((pixels.astype(np.float64) - low) / ((high - low) or 1)).astype(np.float32)
    return replace(radiograph, pixels=stretched, notes=(*radiograph.notes, *notes))


def grey_limits(pixels: np.ndarray) -> tuple[np.float32, np.float32]:
    """Return the lowest and the highest of (H, W) grey values that are not outliers.

    Where both ends have outliers, the percentiles are only right once the farther ones are left out, hence the rounds.
    """
    low, high = pixels.min(), pixels.max()
    sample = _sample(pixels)
    fewest = (1 - _MOST) * len(sample)
    for _ in range(4):
        ends = low, high
        if (fence := _upper_fence(-sample, -low, BELOW, fewest)) < -low:
            low = pixels[pixels >= -fence].min()
        if (fence := _upper_fence(sample, high, ABOVE, fewest)) < high:
            high = pixels[pixels <= fence].max()
        if ends == (low, high):
            break
        sample = sample[(sample >= low) & (sample <= high)]
    return low, high


def _sample(pixels: np.ndarray) -> np.ndarray:
    """Return evenly spaced pixels, which come from all columns alike, as float64."""
    step = max(pixels.size // _SAMPLE, 1)
    while gcd(step, pixels.shape[1]) > 1:
        step += 1
    return pixels.ravel()[::step].astype(np.float64)


def _upper_fence(values: np.ndarray, high: float, reach: float, fewest: float) -> float:
    """Return the grey value above which those of a radiograph are outliers, from a sample and their maximum.

    It is the maximum itself where fewer than `fewest` of the sample would remain, or where it hardly lies beyond.
    """
    span = high - values.min()
    rest = values[values < high - _END * span]
    if len(rest) < fewest:
        return high
    first, last = np.quantile(rest, (0.01, 0.99))
    fence = float(last + reach * (last - first))
    return fence if last > first and fence < high - _END * span else high


def _constant_lines(pixels: np.ndarray) -> np.ndarray | None:
    """Return the (H, W) bool pixels of single rows and columns of one grey within the exposed part, or None."""
    height, width = pixels.shape
    middle = pixels[height // 4 : -height // 4 : 8], pixels[:, width // 4 : -width // 4 : 8].T
    if not any(len(plane) and _constant(plane).any() for plane in middle):
        return None
    lines, window = np.zeros(pixels.shape, bool), exposed_window(pixels)
    for plane, found in ((pixels[window], lines[window]), (pixels[window].T, lines[window].T)):
        found[:, _constant(plane)] = True
    return lines


def _constant(plane: np.ndarray) -> np.ndarray:
    """Return which columns of a plane have one grey, while of columns side by side no more than `_THIN` do."""
    constant = plane.min(0) == plane.max(0)
    return constant & ~binary_opening(constant, np.ones(_THIN + 1, bool))


def _fill(pixels: np.ndarray, thin: np.ndarray, sound: np.ndarray) -> None:
    """Give thin parts of (H, W) pixels the mean of the sound pixels of the smallest window that holds any."""
    rows, columns = np.nonzero(thin)
    for radius in range(1, _THIN + 1):
        total, number = np.zeros(len(rows)), np.zeros(len(rows))
        for down, right in product(range(-radius, radius + 1), repeat=2):
            y, x = rows + down, columns + right
            inside = (y >= 0) & (y < pixels.shape[0]) & (x >= 0) & (x < pixels.shape[1])
            y, x = np.where(inside, y, 0), np.where(inside, x, 0)
            used = inside & sound[y, x]
            total += np.where(used, pixels[y, x], 0)
            number += used
        near = number > 0
        pixels[rows[near], columns[near]] = total[near] / number[near]
        rows, columns = rows[~near], columns[~near]
