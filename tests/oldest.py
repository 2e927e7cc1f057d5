"""Print the oldest versions that pyproject.toml claims, as constraints for pip; `make test-oldest` installs them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def constraints(text: str) -> list[str]:
    """One `name==version` for every lower bound of a pyproject.toml."""
    project = tomllib.loads(text)["project"]
    claims = sum(project["optional-dependencies"].values(), project["dependencies"])
    found = (re.match(r"([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)", claim) for claim in claims)
    return [f"{match[1]}=={match[2]}" for match in found if match]


if __name__ == "__main__":
    print("\n".join(constraints(PYPROJECT.read_text(encoding="utf-8"))))
