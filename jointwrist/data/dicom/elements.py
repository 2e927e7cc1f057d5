"""Values of single DICOM elements, including incorrectly written ones."""

from __future__ import annotations

import math
import re
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

#: Elements with the date of a radiograph, the nearest to the exposure first.
TAKEN = ("AcquisitionDate", "AcquisitionDateTime", "ContentDate", "SeriesDate", "StudyDate")


def element_text(dataset: Dataset, name: str) -> str:
    """Return the value of an element as text, several values separated by a backslash; empty if missing."""
    try:
        value = dataset.get(name)
    except ValueError:  # pydicom converts values on access
        return ""
    if value is None:
        return ""
    values = [value] if isinstance(value, (str, bytes, int, float)) else list(value)
    return "\\".join(str(part) for part in values).strip()


def element_numbers(dataset: Dataset, name: str) -> list[float] | None:
    """Return the numbers of an element: an empty list if missing or empty, None if one is not a finite number."""
    try:
        value = dataset.get(name)
        if value is None or value == "":
            return []
        numbers = [float(part) for part in ([value] if isinstance(value, (str, int, float)) else value)]
    except ValueError:  # a decimal comma, say
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def element_date(dataset: Dataset, name: str) -> date | None:
    """Return the date in an element, or None if it is missing or not a date."""
    # the dots are those of ACR-NEMA; a time may follow
    text = element_text(dataset, name)
    found = re.match(r"(\d{4})(\.?)(\d{2})\2(\d{2})", text)
    try:
        return date(int(found[1]), int(found[3]), int(found[4])) if found else None
    except ValueError:
        return None


def code_meaning(dataset: Dataset, sequence: str) -> str:
    """Return the meanings of the codes in a sequence, separated by spaces; empty without one."""
    return " ".join(element_text(item, "CodeMeaning") for item in dataset.get(sequence) or ())
