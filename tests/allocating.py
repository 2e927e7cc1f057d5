"""Work of a known size, in a module that imports little: `test_speed_loading.py` measures it in fresh processes."""

from __future__ import annotations

from collections.abc import Callable

import torch


def allocate(megabytes: int) -> Callable[[], object]:
    """Work that takes so much memory, after a set-up that took more."""
    held = torch.ones(64 << 18)
    return lambda: torch.ones(megabytes << 18).sum() + held[0]
