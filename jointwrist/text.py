"""Text shown to users: the notice on every result, and printable file names."""

from __future__ import annotations

NOTICE = "Research software, not a medical device: not for diagnosis or treatment."


def printable(text: str) -> str:
    """Escape control characters, such as ESC, and bytes of a file name that are not valid text."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
