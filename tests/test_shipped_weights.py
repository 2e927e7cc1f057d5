"""The weights that come with the package are those of the recipe beside them, and the card tells of both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jointwrist.config import merge_trees, parse_overrides, read_yaml
from jointwrist.engine.checkpoint import read_weights
from jointwrist.hub import find_weights

ROOT = Path(__file__).parent.parent
FIRST, SECOND = (read_yaml(ROOT / "recipes" / f"{name}.yaml") for name in ("jointwrist_tiny", "jointwrist_tiny_tune"))


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten to dotted keys; sequences as lists."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= leaves(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, list | tuple) else value
    return flat


#: What the second recipe is given anew each time that it is run once more.
AGAIN = [
    parse_overrides(values.split())
    for values in re.findall(r"\$\(TUNE\).* --set (start=.*)", (ROOT / "Makefile").read_text())
]


def test_every_value_of_the_recipe_is_one_the_weights_were_trained_with():
    _, info = read_weights(find_weights("jointwrist_tiny"))
    trained, wanted = leaves(info["config"]), leaves(merge_trees(SECOND, AGAIN[-1]))
    assert {key: trained.get(key) for key in wanted} == wanted


def test_the_card_names_what_the_recipe_says():
    card = " ".join((ROOT / "jointwrist" / "weights" / "README.md").read_text(encoding="utf-8").split())
    assert (
        FIRST["stream"]["options"] == SECOND["stream"]["options"]
        and FIRST["stream"]["seed"] != SECOND["stream"]["seed"]
    )
    stream = SECOND["stream"]
    low, high = stream["options"]["field_of_view"]
    parts = [FIRST, SECOND, *[SECOND] * len(AGAIN)]
    seen = [recipe["stream"]["wrists"] * recipe["optim"]["epochs"] for recipe in parts]
    wrists, steps = sum(seen), sum(count // SECOND["optim"]["batch_size"] for count in seen)
    assert f"{wrists:,} phantom wrists" in card
    assert f"Prevalence {stream['options']['prevalence']:.0%}".replace("%", " %") in card
    assert f"field of view {low:.0f} to {high:.0f} mm" in card
    assert f"{steps:,} steps of {SECOND['optim']['batch_size']} wrists at {SECOND['image_size']} px" in card
    assert f"cut from {SECOND['detail_size']} px" in card
    for *first, last in (
        [r["seed"] for r in (FIRST, SECOND, *AGAIN)],
        [r["stream"]["seed"] for r in (FIRST, SECOND, *AGAIN)],
    ):
        assert f"eeds {', '.join(map(str, first))} and {last}" in card
    changes = [values["augment"]["uneven"] for values in AGAIN if "augment" in values]
    assert f"uneven look {' and '.join(map(str, changes))}" in card
