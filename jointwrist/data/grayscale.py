"""From stored DICOM values to grey as displayed: modality LUT, VOI LUT or window, then MONOCHROME1 (PS3.3, C.11).

The look-up is done here because pydicom's wraps around where a table of 8-bit entries has more than 256 of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from pydicom import Dataset
from scipy.special import expit


class GreyScaleError(ValueError):
    """The grey values cannot be displayed; the message repeats no text of the header."""


def displayed(stored: np.ndarray, dataset: Dataset, window: int = 0) -> tuple[np.ndarray, tuple[str, ...]]:
    """Turn stored values into grey values as a viewer shows them, bright where the film is bright.

    A VOI LUT goes before a window; without either, or where they leave one grey value of many, the full range of the
    values is used. Padding (PixelPaddingValue to PixelPaddingRangeLimit) has no part in that range and is dark.

    Args:
        stored: (H, W) integer values as decoded.
        dataset: Header of the image.
        window: Which of several VOI LUTs or windows.

    Returns:
        (H, W) float32 in [0, 1], and notes on what the header lacks.

    Raises:
        GreyScaleError: A look-up table is shorter than its descriptor says, or there is no such window.
    """
    values, notes = _apply_modality(stored, dataset), []
    padding = _padding(stored, dataset)
    shown = ... if padding is None else ~padding
    image = None
    if dataset.get("VOILUTSequence"):
        image = _look_up(values, _choose(dataset.VOILUTSequence, window), dataset, scale=True)
    elif dataset.get("WindowWidth") is not None and dataset.get("WindowCenter") is not None:
        image = _apply_window(values, dataset, window)
        if image is None:
            notes.append("The stored window is not valid; the full range of grey values is used.")
    if image is None or image[shown].min() == image[shown].max():
        if image is not None and stored[shown].min() < stored[shown].max():
            notes.append("The stored window shows a single grey value; the full range of grey values is used.")
        image = _ramp(values, float(values[shown].min()), float(values[shown].max()))
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        image = 1 - image
    if padding is not None:
        image[padding] = 0
    return image, tuple(notes)


def _padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Return (H, W) bool, the pixels that only fill the frame (C.7.5.1.1.2); None where none or all of them do."""
    first = dataset.get("PixelPaddingValue")
    if first is None:
        return None
    last = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(first), int(first if last is None else last)))
    padding = (stored >= low) & (stored <= high)
    return padding if padding.any() and not padding.all() else None


def _apply_modality(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    if dataset.get("ModalityLUTSequence"):
        return _look_up(stored, dataset.ModalityLUTSequence[0], dataset, scale=False)
    slope, intercept = dataset.get("RescaleSlope"), dataset.get("RescaleIntercept")
    if slope is None or intercept is None:
        return stored
    slope, intercept = float(slope), float(intercept)
    if (slope, intercept) == (1, 0):
        return stored
    with np.errstate(over="ignore", invalid="ignore"):
        values = stored * np.float32(slope) + np.float32(intercept)
    if slope == 0 or not np.isfinite(values).all():
        raise GreyScaleError(f"rescale slope {slope} and intercept {intercept} leave no image")
    return values


def _look_up(values: np.ndarray, item: Dataset, dataset: Dataset, scale: bool) -> np.ndarray:
    """Apply the table of a LUT sequence item; values outside take its first or last entry."""
    entries, first, bits = (int(v) for v in item.LUTDescriptor)
    entries = entries % 65536 or 65536
    data = item.LUTData
    if isinstance(data, bytes):
        order = "<" if dataset.original_encoding[1] else ">"
        table = np.frombuffer(data, np.uint8 if len(data) < 2 * entries else f"{order}u2")[:entries]
    else:
        table = np.atleast_1d(np.asarray(data, np.int64))[:entries]
    if len(table) < entries:
        raise GreyScaleError(f"look-up table of {len(table)} entries, its descriptor says {entries}")
    table = (table / (2**bits - 1)).clip(0, 1).astype(np.float32) if scale else table.astype(np.int32)
    index = np.rint(values).astype(np.int32) if values.dtype.kind == "f" else values.astype(np.int32)
    return table[np.clip(index - first, 0, entries - 1)]


def _apply_window(values: np.ndarray, dataset: Dataset, window: int) -> np.ndarray | None:
    """Apply a window (C.11.2.1.2 and C.11.2.1.3), or return None if its values are not valid."""
    center, width = (_choose(_listed(dataset[name].value), window) for name in ("WindowCenter", "WindowWidth"))
    center, width = float(center), float(width)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").upper()
    if not (math.isfinite(center) and math.isfinite(width)) or width <= 0 or (function == "LINEAR" and width < 1):
        return None
    if function == "SIGMOID":
        return expit((values - np.float32(center)) * np.float32(4 / width)).astype(np.float32)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    elif function != "LINEAR_EXACT":
        return None
    return _ramp(values, center - width / 2, center + width / 2)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low to 0 and high to 1, and clip."""
    span = max(high - low, float(np.finfo(np.float32).tiny))
    return np.clip((values.astype(np.float64) - low) / span, 0, 1).astype(np.float32)


def _choose(items: Sequence, window: int) -> object:
    if not 0 <= window < len(items):
        raise GreyScaleError(f"there is no window {window}; the file has {len(items)}")
    return items[window]


def _listed(value: object) -> Sequence:
    return [value] if isinstance(value, (str, float, int)) else list(value)
