"""JSON Schemas of configuration classes, for completion, help and validation in editors."""

from __future__ import annotations

import dataclasses
import inspect
import math
import types
import typing
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union

from jointwrist.config.explain import attribute_texts
from jointwrist.config.values import Range, to_dict

#: Draft 7, which all editors support.
DRAFT = "http://json-schema.org/draft-07/schema#"
_PLAIN = {bool: "boolean", int: "integer", float: "number", str: "string"}


def json_schema(
    cls: type,
    *,
    partial: bool = False,
    renamed: Mapping[str, str] | None = None,
    contents: Mapping[str, type] | None = None,
) -> dict[str, Any]:
    """Return the JSON Schema of a configuration file.

    `build` accepts whatever the schema accepts, as far as types, choices and ranges go. `build` also takes numbers
    written as text.

    Args:
        cls: Frozen dataclass that `build` makes of the file; its docstring explains the keys.
        partial: Whether the file may leave out keys without a default, as values from elsewhere fill them.
        renamed: Former names of dotted keys and their current ones; both are accepted.
        contents: Classes that describe the content of free mappings, by dotted key.
    """
    writer = _Writer(partial, renamed or {}, contents or {})
    return {"$schema": DRAFT, "title": cls.__name__, **writer.mapping(cls, "")}


@dataclasses.dataclass(frozen=True)
class _Writer:
    partial: bool
    renamed: Mapping[str, str]
    contents: Mapping[str, type]

    def mapping(self, cls: type, prefix: str) -> dict[str, Any]:
        """Describe a dataclass whose fields have the dotted prefix."""
        hints, texts = typing.get_type_hints(cls, include_extras=True), attribute_texts(cls)
        properties, needed = {}, []
        for field in dataclasses.fields(cls):
            part = self._value(hints[field.name], f"{prefix}{field.name}")
            properties[field.name] = {**part, "description": texts[field.name]}
            if field.default is not dataclasses.MISSING:
                properties[field.name]["default"] = _plain(field.default)
            elif field.default_factory is not dataclasses.MISSING:
                properties[field.name]["default"] = _plain(field.default_factory())
            else:
                needed.append(field.name)
        for old, new in self.renamed.items():
            place, _, name = new.rpartition(".")
            if f"{place}." == prefix and name in properties:
                note = {"description": f"Now called {name}.", "deprecated": True}
                properties[old.rpartition(".")[2]] = {**properties[name], **note}
        schema = {"type": "object", "description": inspect.getdoc(cls).splitlines()[0], "properties": properties}
        if needed and not self.partial:
            schema["required"] = needed
        return {**schema, "additionalProperties": False}

    def _value(self, hint: Any, key: str) -> dict[str, Any]:
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if key in self.contents:
            return self.mapping(self.contents[key], f"{key}.")
        if hint is Any:
            return {}
        if dataclasses.is_dataclass(hint):
            return self.mapping(hint, f"{key}.")
        if origin is Annotated:
            return {**self._value(arguments[0], key), **_limits(arguments[1])}
        if origin in (Union, types.UnionType):
            (kind,) = (argument for argument in arguments if argument is not type(None))
            return {"anyOf": [self._value(kind, key), {"type": "null"}]}
        if origin is Literal:
            # YAML 1.1 reads a bare no as false
            return {"enum": [*arguments, *([False] if "no" in arguments else [])]}
        if origin is tuple:
            return self._sequence(arguments, key)
        if origin in (dict, Mapping):
            return {"type": "object", "additionalProperties": self._value(arguments[1], key)}
        return {"type": _PLAIN[hint]}

    def _sequence(self, kinds: tuple[Any, ...], key: str) -> dict[str, Any]:
        items = self._value(kinds[0], key)
        if kinds[-1] is Ellipsis:
            return {"type": "array", "items": items}
        assert len(set(kinds)) == 1, f"{key}: draft 7 and its successors write mixed tuples differently"
        return {"type": "array", "items": items, "minItems": len(kinds), "maxItems": len(kinds)}


def _limits(limits: Range) -> dict[str, float]:
    low = {"exclusiveMinimum" if limits.open == "low" else "minimum": limits.low}
    high = {"exclusiveMaximum" if limits.open == "high" else "maximum": limits.high}
    return low if limits.high == math.inf else {**low, **high}


def _plain(value: Any) -> Any:
    """Convert a default to JSON."""
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    return list(value) if isinstance(value, tuple) else value
