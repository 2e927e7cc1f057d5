"""The table in docs/trust.md: of the files that `make test-trust` runs, and of nothing that was lost."""

from __future__ import annotations

import re
from pathlib import Path

import trust_table

PAGE = trust_table.ROOT / "docs" / "trust.md"
MARK = re.compile(r"^pytestmark = .*pytest\.mark\.trust\b", re.M)


def test_the_page_has_every_family_and_no_loss():
    table = trust_table.read(PAGE)
    marked = [file for file in Path(__file__).parent.glob("test_*.py") if MARK.search(file.read_text(encoding="utf-8"))]
    expected = {file.name: trust_table.family(file) for file in marked}
    assert {name: about for name, (about, *_) in table.items()} == expected
    assert all(tried == survived > 0 and lost == 0 for _, tried, survived, lost in table.values())


def test_what_is_written_is_read_again(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{trust_table.START}STALE\n{trust_table.END}after\n")
    trust_table.write(page, {"tests/test_kill.py": trust_table.Count(3, 1)})
    assert list(trust_table.read(page)) == ["test_kill.py"]
    assert trust_table.read(page)["test_kill.py"][1:] == (4, 3, 1)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "STALE" not in text
