"""Take over the stored configuration of a weight file for a further training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jointwrist.engine.config.renamed_keys import current_keys

#: Weights of the losses of erosions; all are 0 after a training without scores.
_EROSION_LOSSES = ("weight", "heat_map", "shapes")


def inherited_config(stored: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a stored configuration that describe the network, not its last training alone.

    That training may have left the bones frozen, or erosions without a loss since its data had no scores. Of `joint`
    only the segmenter of a cascade stays; losses of erosions that were off return to their defaults.

    Args:
        stored: `config` of a weight file's metadata.
    """
    values = current_keys(stored)
    segmenter = values.pop("joint", {}).get("segmenter", "")
    erosion = dict(values.pop("erosion", {}))
    if erosion.get("weight") == 0:
        erosion = {key: value for key, value in erosion.items() if key not in _EROSION_LOSSES}
    return {**values, "erosion": erosion, "joint": {"segmenter": segmenter}}
