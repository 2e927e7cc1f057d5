"""`jointwrist.__all__`: every name loads, type checkers know it, and the reference shows it."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

import jointwrist
from jointwrist.renamed_modules import MODULES

ROOT = Path(__file__).parent.parent
REFERENCE = (ROOT / "docs" / "reference" / "python.md").read_text(encoding="utf-8")
PUBLIC = [name for name in jointwrist.__all__ if name != "__version__"]


def names_for_type_checkers() -> dict[str, str]:
    tree = ast.parse(Path(jointwrist.__file__).read_text(encoding="utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    return {alias.name: node.module for node in block.body for alias in node.names}


def names_of_the_reference() -> dict[str, str]:
    """Objects that the page shows, and the modules that it takes them from."""
    shown = {}
    for path, options in re.findall(r"^::: ([\w.]+)\n(.*)", REFERENCE, re.MULTILINE):
        if members := re.search(r"members: \[([\w, ]+)\], show_root_heading: false", options):
            shown |= dict.fromkeys(members[1].split(", "), path)
        elif "show_root_heading: false" not in options:
            module, _, name = path.rpartition(".")
            shown[name] = module
    return shown


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_loads(name):
    assert getattr(jointwrist, name).__name__ == name and name in dir(jointwrist)


def test_type_checkers_and_the_reference_know_the_public_names():
    assert sorted(names_for_type_checkers()) == sorted(PUBLIC)
    shown = names_of_the_reference()
    assert {name: shown.get(name) for name in PUBLIC} == names_for_type_checkers()


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'predict_all'"):
        _ = jointwrist.predict_all


@pytest.mark.parametrize("former", MODULES)
def test_a_renamed_module_is_found_by_its_former_name(former):
    name = f"jointwrist.{MODULES[former]}"
    with pytest.warns(FutureWarning, match=f"is now {name}"):
        found = importlib.import_module(f"jointwrist.{former}")
    assert found is importlib.import_module(name) and found.__name__ == name
