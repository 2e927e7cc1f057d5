"""Configuration keys that were renamed: the old names keep working in files, on the command line and in stored runs."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from jointwrist.config import ConfigError

LOG = logging.getLogger(__name__)

#: Old key of a run configuration: new key, in the same section.
RENAMED_KEYS = {
    "joint.lam": "joint.mask_grad_scale",
    "joint.lam_from": "joint.mask_grad_start",
    "joint.lam_stop": "joint.mask_grad_nsd_drop",
    "joint.guided": "joint.teacher_forcing",
    "joint.segmentation_only": "joint.segmentation_warmup",
    "erosion.map": "erosion.heat_map",
    "options.feature_gradient": "options.feature_grad_scale",
}


def current_keys(values: Mapping[str, Any], source: str = "") -> dict[str, Any]:
    """Rename the old keys of a run configuration.

    Args:
        values: Plain values of a `RunConfig`, or some of them.
        source: File or option that the user can correct: each old key is then reported in a one-line warning. Empty for
            stored metadata, whose keys are renamed silently.

    Raises:
        ConfigError: A key is given by its old and its new name.
    """
    return _rename(values, RENAMED_KEYS, source)


def first_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Undo `current_keys`: hashes are made of the first names, so that they never change with a name."""
    return _rename(values, {new: old for old, new in RENAMED_KEYS.items()})


def _rename(values: Mapping[str, Any], names: Mapping[str, str], source: str = "") -> dict[str, Any]:
    renamed = dict(values)
    for old, new in names.items():
        section, _, old_key = old.partition(".")
        new_key = new.partition(".")[2]
        entries = renamed.get(section)
        if not isinstance(entries, Mapping) or old_key not in entries:
            continue
        if new_key in entries:
            raise ConfigError(f"{old} and {new} are the same key; give {new} alone")
        renamed[section] = {new_key if key == old_key else key: value for key, value in entries.items()}
        if source:
            LOG.warning("%s: %s is now called %s; the old name will stop working in a later version", source, old, new)
    return renamed
