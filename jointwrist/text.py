"""Text from elsewhere, such as the names of files, for people to read."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape what a terminal would obey, such as ESC, and bytes of a file name that are no characters."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )
