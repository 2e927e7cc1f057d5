"""The documentation's pages as the tests see them: fenced blocks with their markers, and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
#: Folders of rows and tables that are kept beside the pages.
KEPT = ("demo", "ablations", "layouts", "left_out")
PAGES = sorted(
    path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md") if path.relative_to(DOCS).parts[0] not in KEPT
)

_BLOCK = re.compile(
    r"^(?:<!-- test: (?P<marker>.*?) -->\n)?```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)


class Block(NamedTuple):
    """A fenced block.

    A comment `<!-- test: ... -->` on the line before says what the tests do with it: `skip REASON`, `append ARGUMENTS`
    to every command, or, of other than commands, `file NAME` to write its text to.
    """

    kind: str
    text: str
    marker: str

    @property
    def skipped(self) -> bool:
        return self.marker.startswith("skip ")

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Commands of a console block, each with the output that stands below it."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        assert not parts[0].strip(), f"a console block begins with a command: {self.text}"
        return [(line, output) for line, _, output in (part.partition("\n") for part in parts[1:])]


def blocks(text: str) -> list[Block]:
    return [Block(found["kind"], found["text"], found["marker"] or "") for found in _BLOCK.finditer(text)]


def page_text(page: str) -> str:
    return (DOCS / page).read_text(encoding="utf-8")


def without_code(text: str) -> str:
    return re.sub(r"`[^`\n]+`", "", _BLOCK.sub("", text))
