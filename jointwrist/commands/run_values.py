"""Values of a run configuration from files and `--set`, checked before PyTorch is imported, which takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


def run_values(overrides: Sequence[str], files: Sequence[Path] = ()) -> dict[str, Any]:
    """Return the values of `--config` files, overridden by those of `--set`.

    Raises:
        ConfigError: A key is unknown, or a value has the wrong type or is out of range.
    """
    from jointwrist.config import build, merge_trees, parse_overrides, read_yaml
    from jointwrist.engine.renamed_keys import current_keys
    from jointwrist.engine.run_config import RunConfig

    trees = [current_keys(read_yaml(path), str(path)) for path in files]
    values = merge_trees(*trees, current_keys(parse_overrides(overrides), "--set"))
    build(RunConfig, {"model": "", "task": "joint", **values})
    return values
