"""Former names of the arguments of `Predictor`."""

from __future__ import annotations

import warnings
from typing import Any


def renamed(options: dict[str, Any]) -> dict[str, Any]:
    """Move the former arguments `tidy`, `field` and `turn` out of `options`, and return them under their new names."""
    found = {}
    for old, new in (("tidy", "postprocess"), ("field", "localise"), ("turn", "rotation")):
        if old in options:
            warnings.warn(f"Predictor: the argument {old!r} is now {new!r}", FutureWarning, stacklevel=3)
            value = options.pop(old)
            found[new] = value == "auto" if old == "field" else value
    return found
