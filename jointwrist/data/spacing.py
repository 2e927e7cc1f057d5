"""Pixel spacings in mm: the plausible range, and their spellings in tables."""

from __future__ import annotations

import re
from typing import Any

#: Pixel spacings of radiographs in mm; anything else is an error of unit or entry.
SPACING_RANGE = (0.01, 2.0)
#: Largest relative difference of row and column spacing that still counts as square pixels.
SQUARE_TOLERANCE = 0.01


def parse_spacing(value: Any) -> float | None:
    """Parse a pixel spacing in mm, written as a number, `0.15`, `[0.15, 0.15]` or similar.

    Returns:
        The spacing, or None if there is none, it is outside `SPACING_RANGE`, or the pixels are not square.
    """
    numbers = [float(text) for text in re.findall(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?", str(value)[:100])]
    if not 1 <= len(numbers) <= 2 or not all(SPACING_RANGE[0] <= n <= SPACING_RANGE[1] for n in numbers):
        return None
    return numbers[0] if max(numbers) - min(numbers) <= SQUARE_TOLERANCE * max(numbers) else None
