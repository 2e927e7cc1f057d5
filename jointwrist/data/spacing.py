"""Pixel spacings in mm: the plausible range, and their spellings in tables."""

from __future__ import annotations

import re
from numbers import Real
from typing import Any

#: Pixel spacings of radiographs in mm; anything else is an error of unit or entry.
SPACING_RANGE = (0.01, 2.0)
#: Largest relative difference of row and column spacing that still counts as square pixels.
SQUARE_TOLERANCE = 0.01
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_MM = re.compile(r"mm(?:\s*/\s*(?:px|pixel)|\s+per\s+pixel)?", re.IGNORECASE)
#: Letters and signs of other units than mm; an x may stand between height and width.
_FOREIGN = re.compile(r"[^\W\d_xX]|%")


def check_spacing(spacing_mm: float | None) -> None:
    """Refuse a spacing that is neither None nor a plausible number with a `ValueError`."""
    low, high = SPACING_RANGE
    number = isinstance(spacing_mm, Real) and not isinstance(spacing_mm, bool)
    if spacing_mm is not None and not (number and low <= spacing_mm <= high):
        raise ValueError(f"a pixel spacing is one number from {low:g} to {high:g} mm, not {spacing_mm!r}")


def parse_spacing(value: Any) -> float | None:
    """Parse a pixel spacing in mm, written as a number, `0.15`, `0.15 mm`, `[0.15, 0.15]` or similar.

    Returns:
        The spacing, or None if there is none, it has another unit, it is outside `SPACING_RANGE`, or the pixels are not
        square.
    """
    text = str(value)[:100]
    if _FOREIGN.search(_NUMBER.sub("", _MM.sub(" ", text))):
        return None
    numbers = [float(number) for number in _NUMBER.findall(text)]
    if not 1 <= len(numbers) <= 2 or not all(SPACING_RANGE[0] <= n <= SPACING_RANGE[1] for n in numbers):
        return None
    return numbers[0] if max(numbers) - min(numbers) <= SQUARE_TOLERANCE * max(numbers) else None
