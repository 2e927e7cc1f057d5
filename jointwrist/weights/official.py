"""Load state dicts of the RAM-W600 authors' code."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from jointwrist.errors import DataError


def load_official_state(model: nn.Module, state_dict: Mapping[str, Tensor]) -> list[str]:
    """Load a state dict with the authors' parameter names.

    Most parameters have the authors' names here too. Where a name differs, or the authors' code registers a tensor
    twice, the class lists it in `official_names`: pairs of a regular expression and its replacement, applied in order
    to a name that the model does not have.

    Args:
        model: Model from `create_model`; unchanged if an error is raised.
        state_dict: Tensors by the authors' names.

    Returns:
        Sorted names that are not in the model: buffers that it computes itself, or parts that it does not have.

    Raises:
        DataError: A tensor has the wrong shape, two names of one tensor hold different values, or a parameter or
            running statistic of the model is not in the state dict.
    """
    own = model.state_dict()
    placed: dict[str, Tensor] = {}
    unplaced = []
    for official, value in state_dict.items():
        name = _own_name(model, official, own)
        if name is None:
            unplaced.append(official)
            continue
        if value.shape != own[name].shape:
            raise DataError(f"{official} has shape {tuple(value.shape)}, the model's is {tuple(own[name].shape)}")
        if name in placed and not torch.equal(placed[name], value):
            raise DataError(f"{official} is another name of {name} and holds different values")
        placed[name] = value
    missing = [name for name in own if name not in placed and not name.endswith("num_batches_tracked")]
    if missing:
        raise DataError(f"{len(missing)} of {len(own)} tensors are missing: {', '.join(missing[:5])}")
    model.load_state_dict(placed, strict=False)
    return sorted(unplaced)


def _own_name(model: nn.Module, official: str, own: Mapping[str, Tensor]) -> str | None:
    name = official
    for pattern, replacement in getattr(model, "official_names", ()):
        if name in own:
            break
        name = re.sub(pattern, replacement, name)
    return name if name in own else None
