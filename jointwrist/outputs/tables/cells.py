"""Values of cells, written so that statistics programs and spreadsheets read them alike."""

from __future__ import annotations

import re

#: Between the entries of a list that shares one cell.
SEPARATOR = " | "


def flag(value: bool | None) -> int | None:
    """Return 1 or 0 for yes or no."""
    return None if value is None else int(value)


def score_range(label: str | None) -> str | None:
    """Write a range of scores so that no spreadsheet takes it for a date."""
    return label and re.sub(r"(?<=\d)-(?=\d)", " to ", label)
