"""Configuration: frozen dataclasses from YAML and the command line, their JSON Schema, and commented YAML files."""

from jointwrist.config.values import (
    ConfigError,
    Count,
    CountOrNone,
    NotNegative,
    Positive,
    Range,
    Seed,
    Share,
    ShareBelowOne,
    build,
    check_ranges,
    digest,
    merge_trees,
    parse_overrides,
    read_yaml,
    to_dict,
)

__all__ = [
    "ConfigError",
    "Count",
    "CountOrNone",
    "NotNegative",
    "Positive",
    "Range",
    "Seed",
    "Share",
    "ShareBelowOne",
    "build",
    "check_ranges",
    "digest",
    "merge_trees",
    "parse_overrides",
    "read_yaml",
    "to_dict",
]
