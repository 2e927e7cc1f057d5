"""Commands that messages and pages tell a reader to give exist, and work from a checkout."""

from __future__ import annotations

import argparse
import ast
import json
import re
import tomllib
from pathlib import Path

import pytest

from jointwrist.cli import build_parser

ROOT = Path(__file__).parent.parent
EXTRAS = set(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"])
TARGETS = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
PARSER = build_parser()


def texts():
    """Yield the place and the text of every page, notebook and string of the code; values in strings are "..."."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "baselines").glob("*.md")]:
        yield path, path.read_text(encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            yield path, "".join(cell["source"])
    for folder in ("jointwrist", "baselines", "benchmarks"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    yield path, "".join(map(_text, node.values))
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield path, node.value


def _text(part):
    return part.value if isinstance(part, ast.Constant) else "..."


def wrong_installs(text):
    """Commands that would fetch a package of this name from an index, or that name an extra which does not exist."""
    bad = re.findall(r"jointwrist\[[\w,-]+\]", text)
    for command in re.findall(r"pip install[^\n`]*", text):
        for before, extras in re.findall(r"(\S*\s)'\.\[([^\]]*)\]'", command):
            unknown = set(extras.split(",")) - EXTRAS - {"..."}
            if before != "-e " or unknown:
                bad.append(command)
        if re.search(r"(?<!')\.\[", command.replace("'.[", "")) or re.search(r"install (-\S+ )*jointwrist\b", command):
            bad.append(command)
    return bad


def wrong_commands(text):
    """Commands of this program that its parser does not know, and targets that the Makefile has not."""
    words = [match.split() for match in re.findall(r"`(?:\.venv/bin/)?jointwrist ([a-z][^`\n]*)`", text)]
    bad = [" ".join(found) for found in words if not _known(PARSER, found)]
    return bad + [f"make {name}" for name in re.findall(r"`make ([\w-]+)", text) if name not in TARGETS]


def _known(parser, words):
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups or not words:
        return True
    choices = re.split(r"[|/]", words[0])
    return all(word in groups[0].choices and _known(groups[0].choices[word], words[1:]) for word in choices)


@pytest.mark.parametrize("check", [wrong_installs, wrong_commands])
def test_every_command_works_from_a_checkout(check):
    found = list(texts())
    assert len(found) > 3000
    wrong = [(str(path.relative_to(ROOT)), bad) for path, text in found if "CHANGELOG" not in path.name
             for bad in check(text)]  # fmt: skip
    assert wrong == []


@pytest.mark.parametrize(
    "text",
    [
        'install it: pip install "jointwrist[monai]"',
        "`pip install jointwrist`",
        "pip install '.[dicom]'",
        "pip install -e '.[dicmo]'",
        "pip install -e .[dicom]",
    ],
)
def test_a_wrong_installation_is_noticed(text):
    assert wrong_installs(text)


@pytest.mark.parametrize("text", ["`jointwrist predictt x.png`", "`jointwrist data exprot coco`", "`make runn`"])
def test_a_wrong_command_is_noticed(text):
    assert wrong_commands(text)


def test_right_ones_are_not():
    assert not wrong_installs("pip install -e '.[dicom,node]' or pip install jupyterlab -e '.[dev]'")
    assert not wrong_commands("`jointwrist data export coco|labelme x` and `make run ARGS=1`")
