"""The table in docs/trust.md: of the files that `make test-trust` runs, and of nothing that was lost."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest
import trust_table

PAGE = trust_table.ROOT / "docs" / "trust.md"


class Collector:
    """Keeps the tests that a session of pytest collects."""

    def pytest_collection_finish(self, session):
        self.files = Counter(item.path.name for item in session.items)


@pytest.fixture(scope="module")
def collected():
    """Number of tests marked `trust`, by file."""
    # in this process, where most of them are imported already
    marked = [str(path) for path in Path(__file__).parent.rglob("test_*.py") if "mark.trust" in path.read_text("utf-8")]
    collector = Collector()
    quiet = ["-p", "no:terminal", "-p", "no:xdist", "-p", "no:faulthandler"]
    assert pytest.main(["--collect-only", "-m", "trust", *quiet, *marked], plugins=[collector]) == 0
    return collector.files


def test_the_page_has_every_family_claims_no_test_that_is_not_there_and_no_loss(collected):
    table = trust_table.read(PAGE)
    files = {file.name: file for file in Path(__file__).parent.rglob("test_*.py")}
    assert {name: about for name, (about, _) in table.items()} == {
        name: trust_table.family(files[name]) for name in collected
    }
    # tests that came since the page was written are no untruth of it
    counted = {name: count.tests for name, (_, count) in table.items()}
    assert {name: tests for name, tests in counted.items() if tests > collected[name]} == {}, "run `make test-trust`"
    assert all(count.survived >= count.tests and count.lost == count.not_run == 0 for _, count in table.values())


def test_what_is_written_is_read_again(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{trust_table.START}STALE\n{trust_table.END}after\n")
    count = trust_table.Count()
    for outcome, properties in (("passed", [("cases", 200)]), ("passed", []), ("failed", []), ("skipped", [])):
        count.add(outcome, SimpleNamespace(user_properties=properties))
    trust_table.write(page, {"tests/test_kill.py": count})
    assert trust_table.read(page) == {
        "test_kill.py": (trust_table.family(Path(__file__).parent / "test_kill.py"), count)
    }
    assert (count.tests, count.tried, count.survived, count.lost, count.not_run) == (4, 202, 201, 1, 1)
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "STALE" not in text
