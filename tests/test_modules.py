"""The size of modules, logic that two of them share, and the modules that packages list."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MOST_LINES, MOST_SHARED = 350, 12


def modules(*folders: str) -> dict[str, list[str]]:
    paths = (path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").splitlines() for path in paths}


def shared_logic(texts: dict[str, list[str]], most: int) -> list[str]:
    """Pairs of modules with more than `most` lines in a row in common; imports, comments and empty lines aside."""
    places = defaultdict(set)
    for name, lines in texts.items():
        logic = [line.strip() for line in lines]
        logic = [line for line in logic if line and not line.startswith(("#", "import ", "from "))]
        for start in range(len(logic) - most):
            places[tuple(logic[start : start + most + 1])].add(name)
    return sorted({" and ".join(sorted(names)) for names in places.values() if len(names) > 1})


def test_no_module_is_long():
    texts = modules("jointwrist", "baselines", "benchmarks")
    assert len(texts) > 250 and {name: len(lines) for name, lines in texts.items() if len(lines) > MOST_LINES} == {}


def test_no_two_modules_share_logic():
    assert shared_logic(modules("jointwrist", "baselines"), MOST_SHARED) == []


@pytest.mark.parametrize("count, found", [(13, ["a and b"]), (12, [])])
def test_shared_logic_is_noticed(count, found):
    lines = [f"step_{i}()" for i in range(count)]
    texts = {"a": ["import os", "first()", *lines, "last()"], "b": ["# a comment", *lines[:5], "", *lines[5:], "end()"]}
    assert shared_logic(texts, 12) == found


def test_packages_list_modules_that_they_have():
    listed = 0
    for path in (ROOT / "jointwrist").rglob("__init__.py"):
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        for name in re.findall(r"`(\w+)/?`(?=(?:, `\w+/?`)*:)", text):
            assert (path.parent / name).is_dir() or (path.parent / f"{name}.py").is_file(), f"{path}: {name}"
            listed += 1
    assert listed > 100
