"""Read field descriptions from configuration docstrings, and write a commented YAML file with them."""

from __future__ import annotations

import dataclasses
import inspect
import re
import textwrap
import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import yaml

from jointwrist.config.values import to_dict

_WIDTH = 110
#: Where a sentence, or a part of one, ends.
_END = re.compile(r"\. (?=[A-Z0-9`\"])|; ")
#: How a part begins that says what a special value means.
_SPECIAL = re.compile(r"(0|1|[Ee]mpty|None) ")


def attribute_texts(cls: type) -> dict[str, str]:
    """Return the texts of the Attributes section of a Google-style docstring by field."""
    _, _, section = inspect.getdoc(cls).partition("Attributes:\n")
    entries = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def commented_yaml(config: Any) -> str:
    """Write a configuration as YAML in which a comment explains every key; `read_yaml` and `build` read it back.

    Args:
        config: Frozen dataclass whose docstring explains its fields.
    """
    return "\n".join(_lines(config)) + "\n"


def _lines(config: Any, indent: str = "") -> Iterator[str]:
    hints, texts = typing.get_type_hints(type(config), include_extras=True), attribute_texts(type(config))
    values = to_dict(config)
    fields = dataclasses.fields(config)
    for field in sorted(fields, key=lambda field: dataclasses.is_dataclass(hints[field.name])):
        nested = dataclasses.is_dataclass(hints[field.name])
        if nested:
            yield ""
        yield from _comment(texts[field.name], "" if nested else _limits(hints[field.name]), indent)
        if nested:
            yield f"{indent}{field.name}:"
            yield from _lines(getattr(config, field.name), indent + "  ")
        else:
            yield f"{indent}{field.name}: {_written(values[field.name])}"


def _comment(text: str, limits: str, indent: str) -> list[str]:
    """Return the beginning of a text, the limits of the value and its special values as comment lines."""
    first, *others = _END.split(text.rstrip("."))
    special = [part for part in others if _SPECIAL.match(part)]
    mark = f"{indent}# "
    return textwrap.wrap(
        f"{'; '.join([f'{first}{limits}', *special])}.", _WIDTH, initial_indent=mark, subsequent_indent=mark
    )


def _limits(hint: Any) -> str:
    """Describe the values that a field accepts."""
    if typing.get_origin(hint) is Annotated:
        return f"; {typing.get_args(hint)[1]}"
    if typing.get_origin(hint) is Literal:
        return f"; one of {', '.join(map(str, typing.get_args(hint)))}"
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return f"{_limits(typing.get_args(hint)[0])}, or null"
    return ""


def _written(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True, width=10_000).removesuffix("...\n").strip()
