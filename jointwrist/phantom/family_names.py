"""Names of the lesion families, the scores that each erosive family can reach, and their shares in a configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches

from jointwrist.config import ConfigError

#: Erosive families, with the lowest and highest score aimed at.
EROSIVE: dict[str, tuple[int, int]] = {
    "cluster": (1, 5),
    "round": (1, 3),
    "long": (1, 4),
    "ragged": (1, 4),
    "several": (1, 4),
    "undermined": (1, 2),
    "surface": (1, 4),
    "open_cyst": (1, 3),
    "diffuse": (2, 4),
    "collapse": (4, 5),
}
#: Families that resemble erosions; their score is 0.
LOOK_ALIKES = ("cyst", "vessel", "notch", "osteophyte", "overlap", "narrowed", "osteopenia")
FAMILIES = (*EROSIVE, *LOOK_ALIKES)
#: Family of a joint surface without a finding, and of erosions where no family is requested.
NO_FAMILY, DEFAULT_FAMILY = "none", "cluster"
#: Key that sets the share of every family; keys of single families take precedence.
_ALL = "all"


def family_shares(asked: Mapping[str, float]) -> dict[str, float]:
    """Return the frequency of each family relative to the others of its kind (erosive, look-alike).

    Args:
        asked: Shares by family; `all` sets those that are not named. Families without a share are not drawn.

    Raises:
        ConfigError: A family is unknown, a share is not a number of at least 0, or no erosive family is left.
    """
    for name, share in asked.items():
        if name != _ALL and name not in FAMILIES:
            near = get_close_matches(str(name), FAMILIES)
            hint = f"did you mean {near[0]!r}?" if near else f"families are {', '.join((_ALL, *FAMILIES))}"
            raise ConfigError(f"families: unknown family {name!r}; {hint}")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < math.inf:
            raise ConfigError(f"families.{name} is {share!r}; a share is a number from 0 up")
    shares = {name: float(asked.get(name, asked.get(_ALL, 0.0))) for name in FAMILIES}
    drawn = {name: share for name, share in shares.items() if share > 0}
    if asked and not drawn:
        raise ConfigError("families: all shares are 0; give a family a share above 0, or leave families out")
    return drawn
