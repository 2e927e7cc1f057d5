"""Former names of the arguments of `Predictor`."""

from __future__ import annotations

import warnings
from typing import Any


def renamed(options: dict[str, Any]) -> dict[str, Any]:
    """Take the arguments `tidy`, `field` and `turn` of version 0.1 out of `options`, by their new names."""
    found = {}
    for old, new in (("tidy", "postprocess"), ("field", "localise"), ("turn", "rotation")):
        if old in options:
            warnings.warn(f"Predictor: the argument {old!r} is now {new!r}", FutureWarning, stacklevel=3)
            value = options.pop(old)
            found[new] = value == "auto" if old == "field" else value
    return found
