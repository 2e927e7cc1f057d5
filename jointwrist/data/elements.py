"""Values of DICOM elements, whatever a writer made of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset


def element_text(dataset: Dataset, name: str) -> str:
    """Return the value of an element as DICOM writes it, several separated by a backslash; empty without one."""
    try:
        value = dataset.get(name)
    except ValueError:  # pydicom converts a value when it is asked for
        return ""
    if value is None:
        return ""
    values = [value] if isinstance(value, (str, bytes, int, float)) else list(value)
    return "\\".join(str(part) for part in values).strip()


def element_numbers(dataset: Dataset, name: str) -> list[float] | None:
    """Return the numbers of an element: none where it is missing or empty, None where one is not a finite number."""
    try:
        value = dataset.get(name)
        if value is None or value == "":
            return []
        numbers = [float(part) for part in ([value] if isinstance(value, (str, int, float)) else value)]
    except ValueError:  # a decimal comma, say
        return None
    return numbers if all(map(math.isfinite, numbers)) else None
