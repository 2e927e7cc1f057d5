"""From stored values to grey values as displayed: modality LUT, VOI LUT or window, MONOCHROME1 (PS3.3, C.11)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydicom import Dataset
from pydicom.valuerep import DSfloat
from scipy.special import expit

from jointwrist.data.dicom.elements import element_numbers
from jointwrist.data.dicom.lut import read_lut
from jointwrist.data.dicom.stored_values import PixelError

_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_FULL_RANGE = "the full range of grey values is used."


class Grey(NamedTuple):
    """Grey values as displayed.

    Attributes:
        pixels: (H, W) float32 in [0, 1].
        notes: Remarks on unusable parts of the header.
        full_range: Lowest and highest value, after the modality LUT or rescaling, where no VOI LUT or window was used.
    """

    pixels: np.ndarray
    notes: tuple[str, ...]
    full_range: tuple[float, float] | None


class _Values(NamedTuple):
    """(H, W) values with the lowest and highest that they can have."""

    pixels: np.ndarray
    low: float
    high: float


def to_grey(stored: np.ndarray, hidden: np.ndarray | None, dataset: Dataset, window: int = 0) -> Grey:
    """Convert stored values to grey values as displayed by a viewer, bright where the radiograph is bright.

    A VOI LUT takes precedence over a window. Without a usable one, or where it leaves one or two grey values, the full
    range of values is used. Hidden pixels are excluded from that range and become dark.

    Args:
        stored: (H, W) integer values.
        hidden: (H, W) bool, padding and pixels outside the shutter, or None.
        dataset: Header of the image.
        window: Index of the VOI LUT or window, if there are several.

    Raises:
        PixelError: A look-up table is shorter than its descriptor says, the rescaling leaves no image, or there is no
            such window.
    """
    notes: list[str] = []
    values = _apply_modality(stored, dataset, notes)
    shown = ... if hidden is None else ~hidden
    image = None if values is None else _apply_voi(values, dataset, window, notes)
    # a width of 1 is valid and shows two values: written by those who mean 0 to 1
    if image is not None and _shades(image[shown]) < _shades(stored[shown]):
        notes.append(f"The stored window shows one or two grey values; {_FULL_RANGE}")
        image = None
    full_range = None
    if image is None:
        pixels = stored if values is None else values.pixels
        full_range = float(pixels[shown].min()), float(pixels[shown].max())
        image = _ramp(pixels, *full_range)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        image = 1 - image
    if hidden is not None:
        image[hidden] = 0
    return Grey(image, tuple(notes), full_range)


def keep_used_window(dataset: Dataset, window: int, full_range: tuple[float, float] | None) -> None:
    """Leave in a header the VOI LUT or window that was used alone, or a window of the full range that was used.

    Args:
        dataset: Header, which is changed.
        window: Index of the VOI LUT or window that was used.
        full_range: Lowest and highest value shown where none was used, or None.
    """
    if full_range is None and dataset.get("VOILUTSequence"):
        dataset.VOILUTSequence = [dataset.VOILUTSequence[window]]
        used = {}
    elif full_range is None:
        used = {name: element_numbers(dataset, name)[window] for name in ("WindowCenter", "WindowWidth")}
        used["VOILUTFunction"] = _voi_function(dataset)
    else:
        low, high = full_range
        dataset.pop("VOILUTSequence", None)
        used = {"WindowCenter": (low + high + 1) / 2, "WindowWidth": high - low + 1, "VOILUTFunction": "LINEAR"}
    for name in ("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction"):
        dataset.pop(name, None)
    for name, value in used.items():
        setattr(dataset, name, value if isinstance(value, str) else DSfloat(value, auto_format=True))


def stored_range(dataset: Dataset) -> tuple[int, int]:
    """Return the lowest and the highest value that BitsStored bits can hold."""
    bits = int(dataset.BitsStored)
    low = -(2 ** (bits - 1)) if int(dataset.PixelRepresentation) == 1 else 0
    return low, low + 2**bits - 1


def is_window_width(dataset: Dataset, width: float) -> bool:
    """Whether a window may have this width with the VOI LUT function of the header (C.11.2.1.2 and C.11.2.1.3)."""
    function = _voi_function(dataset)
    return function in _FUNCTIONS and (width >= 1 if function == "LINEAR" else width > 0)


def _voi_function(dataset: Dataset) -> str:
    return str(dataset.get("VOILUTFunction") or "LINEAR").upper()


def _shades(values: np.ndarray) -> int:
    """Return the number of different values up to 3, which stands for more."""
    low, high = values.min(), values.max()
    return 1 if low == high else 2 if ((values == low) | (values == high)).all() else 3


def _apply_modality(stored: np.ndarray, dataset: Dataset, notes: list[str]) -> _Values | None:
    """Apply the modality LUT or the rescaling; None where slope or intercept is not a number."""
    values = _Values(stored, *stored_range(dataset))
    if dataset.get("ModalityLUTSequence"):
        table = read_lut(dataset.ModalityLUTSequence[0], _little_endian(dataset), values.low, values.high)
        return _Values(table(stored), 0, 65535)
    slope, intercept = element_numbers(dataset, "RescaleSlope"), element_numbers(dataset, "RescaleIntercept")
    if slope is None or intercept is None:
        notes.append(f"Rescale slope or intercept is not a number, so that no window applies; {_FULL_RANGE}")
        return None
    if not slope or not intercept or (slope[0], intercept[0]) == (1, 0):
        return values
    slope, intercept = slope[0], intercept[0]
    with np.errstate(over="ignore", invalid="ignore"):
        pixels = stored * np.float32(slope) + np.float32(intercept)
    if slope == 0 or not np.isfinite(pixels).all():
        raise PixelError(f"rescale slope {slope} and intercept {intercept} leave no image; export it again")
    ends = [end * slope + intercept for end in (values.low, values.high)]
    return _Values(pixels, min(ends), max(ends))


def _apply_voi(values: _Values, dataset: Dataset, window: int, notes: list[str]) -> np.ndarray | None:
    """Apply the VOI LUT or window; None where there is no usable one."""
    if dataset.get("VOILUTSequence"):
        item = _choose(dataset.VOILUTSequence, window)
        table = read_lut(item, _little_endian(dataset), values.low, values.high)
        if table.note:
            notes.append(table.note)
        return table.shades(values.pixels)
    if dataset.get_item("WindowWidth") is None or dataset.get_item("WindowCenter") is None:
        return _without_window(window)
    centers, widths = element_numbers(dataset, "WindowCenter"), element_numbers(dataset, "WindowWidth")
    if centers == [] or widths == []:
        return _without_window(window)
    image = None
    if centers is not None and widths is not None:
        image = _apply_window(values.pixels, _choose(centers, window), _choose(widths, window), dataset)
    if image is None:
        notes.append(f"The stored window is not valid; {_FULL_RANGE}")
    return image


def _apply_window(values: np.ndarray, center: float, width: float, dataset: Dataset) -> np.ndarray | None:
    """Apply a window (C.11.2.1.2 and C.11.2.1.3), or return None if its values are not valid."""
    if not is_window_width(dataset, width):
        return None
    function = _voi_function(dataset)
    if function == "SIGMOID":
        return expit((values - np.float32(center)) * np.float32(4 / width)).astype(np.float32)
    if function == "LINEAR":
        center, width = center - 0.5, width - 1
    return _ramp(values, center - width / 2, center + width / 2)


def _ramp(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Map low to 0 and high to 1, and clip."""
    span = max(high - low, float(np.finfo(np.float32).tiny))
    return np.clip((values.astype(np.float64) - low) / span, 0, 1).astype(np.float32)


def _without_window(window: int) -> None:
    if window:
        raise PixelError(f"there is no window {window}; the file has none")


def _choose(items: Sequence, window: int) -> object:
    if not 0 <= window < len(items):
        raise PixelError(f"there is no window {window}; the file has {len(items)}")
    return items[window]


def _little_endian(dataset: Dataset) -> bool:
    return dataset.file_meta.TransferSyntaxUID.is_little_endian
