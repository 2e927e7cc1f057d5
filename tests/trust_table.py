"""What `make test-trust` tried, survived and lost, as a table of docs/trust.md."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from jointwrist.files import write_text

ROOT = Path(__file__).parent.parent
START, END = "<!-- trust: written by `make test-trust` -->\n", "<!-- trust: end -->\n"


@dataclass
class Count:
    """Tests of one file."""

    survived: int = 0
    lost: int = 0

    @property
    def tried(self) -> int:
        return self.survived + self.lost


def family(file: Path) -> str:
    """What a file of tests is about: its docstring."""
    return " ".join(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).split())


def write(page: Path, counts: dict[str, Count]) -> None:
    """Put the counts of every file between the marks of a page."""
    rows = ["| file | what | tried | survived | lost |", "| --- | --- | ---: | ---: | ---: |"]
    for name, count in sorted(counts.items()):
        about = family(ROOT / name).replace("|", "\\|")
        rows.append(f"| `{Path(name).name}` | {about} | {count.tried} | {count.survived} | {count.lost} |")
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page}: the marks of the table are missing")
    write_text(page, before + START + "\n".join([*rows, ""]) + END + after)


def read(page: Path) -> dict[str, tuple[str, int, int, int]]:
    """What each file is about, tried, survived and lost, as a page has it."""
    table = page.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    rows = re.findall(r"^\| `(\w+\.py)` \| (.+) \| (\d+) \| (\d+) \| (\d+) \|$", table, re.M)
    return {name: (about.replace("\\|", "|"), *map(int, numbers)) for name, about, *numbers in rows}
