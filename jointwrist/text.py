"""Text shown to users (the notice on every result, printable file names), and numbers as users write them."""

from __future__ import annotations

import re

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."


def whole_number(text: str) -> int | None:
    """Parse `2`, or `2.0`, as pandas writes the whole numbers of a column with gaps; None for any other text."""
    found = re.fullmatch(r"([0-9]{1,9})(?:[.,]0+)?", text)
    return int(found[1]) if found else None


def is_missing(text: str) -> bool:
    """Whether a cell of a table is empty or says so, as R, pandas, SAS, SPSS and databases write it."""
    return text.lower() in ("", "na", "n/a", "nan", "<na>", "null", "none", ".", "-")


def number_of(count: int, noun: str) -> str:
    """Return a count with its noun, such as "1 radiograph" and "2,300 radiographs"."""
    ending = "" if count == 1 else "es" if noun.endswith("s") else "s"
    return f"{count:,} {noun}{ending}"


def duration(seconds: float) -> str:
    """Return a time in minutes, or in hours from one hour."""
    return f"{seconds / 3600:.1f} hours" if seconds >= 3600 else f"{seconds / 60:.1f} minutes"


def printable(text: str) -> str:
    """Escape control characters, such as ESC, and bytes of a file name that are not valid text."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
