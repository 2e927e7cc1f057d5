"""What `make test-trust` tried, survived and lost, as a table of docs/trust.md."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass
from pathlib import Path

from pytest import CollectReport, TestReport

from jointwrist.files import write_text

ROOT = Path(__file__).parent.parent
START, END = "<!-- trust: written by `make test-trust` -->\n", "<!-- trust: end -->\n"


@dataclass
class Count:
    """Tests of one file, and the cases in them.

    Attributes:
        tests: Tests that were run, or left out.
        survived: Cases that came out as they must.
        lost: Cases of tests that failed.
        not_run: Tests that were left out, for want of something.
    """

    tests: int = 0
    survived: int = 0
    lost: int = 0
    not_run: int = 0

    @property
    def tried(self) -> int:
        return self.survived + self.lost

    def add(self, outcome: str, report: TestReport | CollectReport) -> None:
        """Count a report of pytest; a test is one case unless it records how many it tried, as the property `cases`."""
        self.tests += 1
        cases = dict(getattr(report, "user_properties", ())).get("cases", 1)
        if outcome == "skipped":
            self.not_run += 1
        elif outcome == "passed":
            self.survived += cases
        else:
            self.lost += cases

    def __str__(self) -> str:
        return (
            f"tests {self.tests:4}  tried {self.tried:5}  survived {self.survived:5}  lost {self.lost:4}"
            f"  not run {self.not_run:3}"
        )


def family(file: Path) -> str:
    """What a file of tests is about: its docstring."""
    return " ".join(ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))).split())


def write(page: Path, counts: dict[str, Count]) -> None:
    """Put the counts of every file between the marks of a page."""
    rows = [
        "| file | what | tests | cases tried | survived | lost | tests not run |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, count in sorted(counts.items()):
        about = family(ROOT / name).replace("|", "\\|")
        numbers = (count.tests, count.tried, count.survived, count.lost, count.not_run)
        rows.append(f"| `{Path(name).name}` | {about} | {' | '.join(map(str, numbers))} |")
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page}: the marks of the table are missing")
    write_text(page, before + START + "\n".join([*rows, ""]) + END + after)


def read(page: Path) -> dict[str, tuple[str, Count]]:
    """What each file is about, and its counts, as a page has them."""
    table = page.read_text(encoding="utf-8").partition(START)[2].partition(END)[0]
    rows = re.findall(r"^\| `(\w+\.py)` \| (.+)" + r" \| (\d+)" * 5 + r" \|$", table, re.M)
    found = {}
    for name, about, tests, tried, survived, lost, not_run in rows:
        count = Count(int(tests), int(survived), int(lost), int(not_run))
        assert count.tried == int(tried), name
        found[name] = about.replace("\\|", "|"), count
    return found
