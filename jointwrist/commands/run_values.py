"""Values of a run configuration from files and `--set`, checked before PyTorch is imported, which takes seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def run_values(overrides: Sequence[str], files: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the values of `--config` files, overridden by those of `--set`.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type or is out of range.
    """
    from jointwrist.config import ConfigError, merge_trees, parse_overrides, read_yaml
    from jointwrist.engine.config.renamed_keys import current_keys

    trees = [current_keys(read_yaml(path), str(path)) for path in files]
    values = merge_trees(*trees, current_keys(parse_overrides(overrides), "--set"))
    if mistake := _mistake(values):
        named = (str(path) for path, tree in zip(files, trees, strict=True) if _mistake(tree) == mistake)
        raise ConfigError(": ".join([*named, mistake]))
    return values


def _mistake(values: Mapping[str, Any]) -> str:
    """Say what is wrong with the values of a run; empty if nothing is."""
    from jointwrist.config import ConfigError, build
    from jointwrist.engine.config.run_config import RunConfig

    try:
        build(RunConfig, {"model": "", "task": "joint", **values})
    except ConfigError as error:
        return str(error)
    return ""
