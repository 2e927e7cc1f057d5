"""The page of messages quotes messages that the code has."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from jointwrist.registry import model_spec

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^\| `(.+?)` \|", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def texts():
    """All texts of the code, values left out of formatted ones."""
    found = []
    for path in (ROOT / "jointwrist").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                found.append("...".join(_parts(node)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def _parts(node):
    return [part.value if isinstance(part, ast.Constant) else "" for part in node.values]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_message_of_the_page_is_one_of_the_code(message, texts):
    pieces = [re.escape(piece.strip()) for piece in message.split("...") if piece.strip()]
    pattern = re.compile(".*".join(pieces), re.DOTALL)
    assert any(pattern.search(text) for text in texts)


def test_the_page_has_messages():
    assert len(MESSAGES) > 25


def test_models_are_suggested_where_a_name_is_near_and_not_listed_where_none_is():
    with pytest.raises(
        ValueError, match=r"unknown model 'unett'; did you mean [^?]*\bunet\b[^?]*\? `jointwrist models"
    ):
        model_spec("unett")
    with pytest.raises(ValueError, match=r"unknown model 'qqq'; `jointwrist models list` names all"):
        model_spec("qqq")
