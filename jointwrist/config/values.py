"""Build frozen configuration dataclasses: defaults, then YAML files, then command-line overrides (`merge_trees`).

Unknown keys, wrong types and values out of range are errors that name the key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import types
import typing
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union

import yaml

T = TypeVar("T")
#: The safe loader, in C where PyYAML was built with libyaml: ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
#: Types in words, for messages.
_KINDS: dict[Any, str] = {int: "a whole number", str: "text", bool: "true or false"}


class ConfigError(ValueError):
    """A configuration value that cannot be used; the message names the key and the remedy."""


@dataclasses.dataclass(frozen=True)
class Range:
    """Range of the finite numbers that a field accepts, used as `Annotated[float, Range(0, 1)]`.

    Attributes:
        low: Lower limit.
        high: Upper limit.
        open: The limit that is excluded: "low", "high" or none.
    """

    low: float
    high: float = math.inf
    open: Literal["low", "high", ""] = ""

    def __contains__(self, value: float) -> bool:
        """Return whether a value is a finite number within the range."""
        ends = (self.low if self.open == "low" else None, self.high if self.open == "high" else None)
        return self.low <= value <= self.high and abs(value) != math.inf and value not in ends

    def __str__(self) -> str:
        """Describe the range in words."""
        above = f"above {self.low:,}" if self.open == "low" else f"at least {self.low:,}"
        if self.high == math.inf:
            return above
        return f"{above} and {'below' if self.open == 'high' else 'at most'} {self.high:,}"


Count = Annotated[int, Range(1)]
CountOrNone = Annotated[int, Range(0)]
Seed = Annotated[int, Range(0, 2**32 - 1)]
Positive = Annotated[float, Range(0, open="low")]
NotNegative = Annotated[float, Range(0)]
Share = Annotated[float, Range(0, 1)]
ShareBelowOne = Annotated[float, Range(0, 1, open="high")]


def build(cls: type[T], values: Mapping[str, Any], where: str = "") -> T:
    """Build a (nested) frozen dataclass from plain values.

    Args:
        cls: Dataclass to build. If it has a static method `current_keys`, that renames old keys of the values first.
        values: Field values; nested mappings for nested dataclasses.
        where: Dotted prefix for error messages.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type or is out of range.
    """
    if hasattr(cls, "current_keys"):
        values = cls.current_keys(values)
    hints = typing.get_type_hints(cls, include_extras=True)
    names = [f.name for f in dataclasses.fields(cls)]
    for key in values:
        if key not in names:
            near = get_close_matches(str(key), names)
            hint = f"did you mean {where}{near[0]}?" if near else f"known keys: {', '.join(names)}"
            outer, dot, inner = str(key).partition(".")
            if dot and outer in names:
                hint = f"in a mapping it is written {outer}: {{{inner}: ...}}"
            raise ConfigError(f"unknown key {where}{key!s}; {hint}")
    return cls(**{key: _convert(hints[key], value, f"{where}{key}") for key, value in values.items()})


def check_ranges(config: Any) -> None:
    """Check the types and ranges of a dataclass that was constructed directly.

    Raises:
        ConfigError: A value has the wrong type or is out of range.
    """
    for name, hint in typing.get_type_hints(type(config), include_extras=True).items():
        _convert(hint, getattr(config, name), name)


def merge_trees(*trees: Mapping[str, Any]) -> dict[str, Any]:
    """Merge nested mappings; later ones take precedence."""
    merged: dict[str, Any] = {}
    for tree in trees:
        for key, value in tree.items():
            both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
            merged[key] = merge_trees(merged[key], value) if both else value
    return merged


def parse_overrides(items: Iterable[str]) -> dict[str, Any]:
    """Parse command-line overrides `a.b=value` into a nested mapping; values are YAML.

    Raises:
        ConfigError: An item has no `=`, its value is not valid YAML, or a key has both a value and nested keys.
    """
    tree: dict[str, Any] = {}
    for item in items:
        path, separator, text = item.partition("=")
        if not separator:
            raise ConfigError(f"override {item!r} is not of the form key=value")
        node = tree
        *parents, leaf = path.split(".")
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ConfigError(f"override {item!r}: {parent} already has a value; give a value or nested keys")
        try:
            node[leaf] = parse_yaml(text)
        except (yaml.YAMLError, ValueError) as error:
            raise ConfigError(f"override {item!r}: the value is not valid YAML: {error}") from None
    return tree


def parse_yaml(text: str, names: bool = False) -> Any:
    """Parse YAML.

    Args:
        text: YAML.
        names: Take keys of mappings as they are written: `01` and `no` as names, not as a number and false.

    Raises:
        yaml.YAMLError: The text is not valid YAML, or a mapping has a key twice, of which PyYAML would drop one.
    """
    loader = _LOADER(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return None
        _check_keys(root, names, set())
        return loader.construct_document(root)
    finally:
        loader.dispose()


def _check_keys(node: yaml.Node, names: bool, seen: set[int]) -> None:
    """Refuse repeated keys in a node and all within it; see `parse_yaml`."""
    if id(node) in seen or isinstance(node, yaml.ScalarNode):
        return
    seen.add(id(node))
    found: set[tuple[str, str]] = set()
    for item in node.value:
        key, value = item if isinstance(node, yaml.MappingNode) else (None, item)
        if isinstance(key, yaml.ScalarNode) and not key.tag.endswith(":merge"):  # PyYAML merges all of several
            if names:
                key.tag = "tag:yaml.org,2002:str"
            if (key.tag, key.value) in found:
                line = key.start_mark.line + 1
                raise yaml.YAMLError(f"line {line} gives {key.value} again; keep one of them")
            found.add((key.tag, key.value))
        _check_keys(value, names, seen)


def read_yaml(path: Path, names: bool = False) -> dict[str, Any]:
    """Read a YAML mapping.

    Args:
        path: File.
        names: As for `parse_yaml`.

    Raises:
        ConfigError: The file is missing, is not valid YAML, has a key twice, or is not a mapping.
    """
    try:
        values = parse_yaml(Path(path).read_text(encoding="utf-8"), names)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such configuration file; check the name") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: a configuration file must be a mapping of keys to values")
    return values


def to_dict(config: Any) -> dict[str, Any]:
    """Convert a configuration to plain nested values, the inverse of `build`."""
    return json.loads(json.dumps(dataclasses.asdict(config)))


def digest(config: Any) -> str:
    """Return 12 hexadecimal digits that identify a configuration (dataclass or plain values)."""
    values = to_dict(config) if dataclasses.is_dataclass(config) else config
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is Annotated:
        number, limits = _convert(arguments[0], value, where), arguments[1]
        if number not in limits:
            raise ConfigError(f"{where} is {value!r}; it must be {limits}")
        return number
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _convert(next(a for a in arguments if a is not type(None)), value, where)
    if origin is Literal:
        if value is False and "no" in arguments:  # YAML 1.1 reads a bare no as False
            return "no"
        if value not in arguments:
            raise ConfigError(f"{where} is {value!r}; choose one of {', '.join(map(str, arguments))}")
        return value
    if dataclasses.is_dataclass(hint):
        if isinstance(value, hint):
            return value
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} needs keys and values, not {value!r}")
        return build(hint, value, f"{where}.")
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise ConfigError(f"{where} needs a list, not {value!r}")
        kinds = [arguments[0]] * len(value) if arguments[-1] is Ellipsis else list(arguments)
        if len(kinds) != len(value):
            raise ConfigError(f"{where} needs {len(kinds)} values, not {value!r}")
        return tuple(_convert(kind, item, where) for kind, item in zip(kinds, value, strict=True))
    if origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} needs keys and values, not {value!r}")
        return dict(value)
    if hint is float and isinstance(value, int | str) and not isinstance(value, bool):
        try:  # YAML 1.1 reads 1e-4, without a dot, as text
            return float(value)
        except (ValueError, OverflowError):
            raise ConfigError(f"{where} needs a number, not {value!r}") from None
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        raise ConfigError(f"{where} needs {_KINDS.get(hint, hint.__name__)}, not {value!r}")
    return value
