"""The claimed lower bounds are those that `make test-oldest` installs."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import oldest
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from test_supply import PROJECT, declared


def test_every_claimed_bound_becomes_a_constraint():
    made = dict(line.split("==") for line in oldest.constraints(oldest.PYPROJECT.read_text(encoding="utf-8")))
    claimed = {
        claim.name: part.version
        for claim in declared(*PROJECT["optional-dependencies"])
        for part in claim.specifier
        if part.operator == ">="
    }
    assert made == claimed
    assert all(Version(low) in claim.specifier for claim in declared() for low in [made[claim.name]])


@pytest.mark.skipif(Path(sys.prefix).name != ".venv-oldest", reason="not the environment of the oldest versions")
def test_this_environment_holds_the_oldest_versions():
    claims = [Requirement(line) for line in oldest.constraints(oldest.PYPROJECT.read_text(encoding="utf-8"))]
    held = {}
    for claim in claims:
        try:
            held[claim] = version(claim.name)
        except PackageNotFoundError:
            continue
    assert len(held) > 25 and {str(claim): has for claim, has in held.items() if has not in claim.specifier} == {}
