"""Programs that pip does not install: a test is left out without the one it needs, or fails where one is promised."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest

#: Programs, by commas, that are promised to be here; `.ci/run` and the workflow set it.
PROMISED = "JOINTWRIST_REQUIRE"


def lacking(program: str, reason: str) -> NoReturn:
    """Leave the test out, or let it fail where the program is promised."""
    if program in os.environ.get(PROMISED, "").split(","):
        pytest.fail(f"{reason}, but {PROMISED} names {program}")
    pytest.skip(reason)


def need(program: str, package: str) -> str:
    """Find a program of a Debian package; see `lacking`."""
    return shutil.which(program) or lacking(program, f"{program} (Debian's {package}) is not installed")
