"""Import onnxruntime so that it reports nothing."""

from __future__ import annotations

import os
from types import ModuleType

from jointwrist.errors import require

#: Variable that onnxruntime, since 1.29, reads once, when it starts: otherwise it sends events of use to its makers
#: and writes an identifier of the machine into the user's cache. See Privacy.md in its package.
SILENT = "ORT_DISABLE_TELEMETRY"


def import_onnxruntime() -> ModuleType:
    """Import onnxruntime without its telemetry, unless the user has set `ORT_DISABLE_TELEMETRY` to another value.

    Raises:
        MissingExtraError: It is not installed.
    """
    os.environ.setdefault(SILENT, "1")
    return require("onnxruntime", "export")
