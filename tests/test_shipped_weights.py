"""The weights that come with the package are those of the recipe beside them, and the card tells of both."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from jointwrist.config import build, merge_trees, parse_overrides, read_yaml
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import build_model
from jointwrist.weights.checkpoint import read_weights
from jointwrist.weights.find import find_weights, weights_source

ROOT = Path(__file__).parent.parent
FIRST, SECOND, FINE, MALALIGNED, RADIOGRAPHS, MORE = (
    read_yaml(ROOT / "recipes" / f"jointwrist_tiny{part}.yaml")
    for part in ("", "_tune", "_fine", "_malaligned", "_radiographs", "_radiographs_more")
)
THIRD = merge_trees(SECOND, FINE)
FOURTH = merge_trees(THIRD, MALALIGNED)
LONGER = merge_trees(RADIOGRAPHS, MORE)


def leaves(tree: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten to dotted keys; sequences as lists."""
    flat = {}
    for key, value in tree.items():
        if isinstance(value, dict) and value:
            flat |= leaves(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = list(value) if isinstance(value, list | tuple) else value
    return flat


def again(variable: str, recipe: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a recipe as often as `make weights` runs it, each time with the values that it is given anew."""
    lines = re.findall(rf"\$\({variable}\) --out \S+(?: --set (.*))?", (ROOT / "Makefile").read_text(encoding="utf-8"))
    return [merge_trees(recipe, parse_overrides(values.split())) for values in lines]


PARTS = [FIRST, *again("TUNE", SECOND), *again("FINE", THIRD), *again("MALALIGNED", FOURTH)]


def test_every_value_of_the_last_recipe_is_one_the_weights_were_trained_with():
    _, info = read_weights(find_weights("jointwrist_tiny"))
    trained, wanted = leaves(current_keys(info["config"])), leaves(LONGER)
    del wanted["start"]
    assert {key: trained.get(key) for key in wanted} == wanted


def test_the_first_recipe_builds_the_network_of_the_weights():
    config = build(RunConfig, {"model": "jointwrist_tiny", "task": "joint", **FIRST})
    built = {name: value.shape for name, value in build_model(config).state_dict().items()}
    assert built == {name: value.shape for name, value in read_weights(find_weights("jointwrist_tiny"))[0].items()}


def test_the_card_names_what_the_recipe_says():
    text = (ROOT / "jointwrist" / "weights" / "README.md").read_text(encoding="utf-8")
    card, lines = " ".join(text.split()), text.splitlines()
    stream = THIRD["stream"]
    assert all(
        {**part["stream"]["options"], "malalignment": 0} == {**stream["options"], "malalignment": 0} for part in PARTS
    )
    assert len({part["stream"]["seed"] for part in PARTS}) == len({part["seed"] for part in PARTS}) == len(PARTS)
    low, high = stream["options"]["field_of_view"]
    assert f"Prevalence {stream['options']['prevalence']:.0%}".replace("%", " %") in card
    assert f"field of view {low:.0f} to {high:.0f} mm" in card
    seen, steps = 0, 0
    for number, part in enumerate(PARTS, 1):
        optim = part["optim"]
        wrists = part["stream"]["wrists"] * optim["epochs"]
        values = (
            f"{part['image_size']} px",
            f"{wrists // optim['batch_size']:,}",
            f"{1000 * optim['lr']:g}e-3",
            f"{part['augment'].get('uneven', 0):g}",
            f"{part['stream']['options'].get('malalignment', 0):g}°",
            part["seed"],
            part["stream"]["seed"],
        )
        assert f"| {number} | " + " | ".join(map(str, values)) + " |" in lines
        seen, steps = seen + wrists, steps + wrists // optim["batch_size"]
    assert f"{seen:,} phantom wrists" in card
    assert f"{steps:,} steps of {THIRD['optim']['batch_size']} wrists" in card
    assert f"cut from {THIRD['detail_size']} px" in card
    for part in (RADIOGRAPHS, LONGER):
        batch, wrists = part["optim"]["batch_size"], part["stream"]["wrists"] * part["optim"]["epochs"]
        pairs = round(batch * part["radiographs"]["share"] / 2)
        phantoms = batch - 2 * pairs
        assert f"{wrists // phantoms} steps of {phantoms} phantoms and {pairs} pairs" in card and f"{wrists:,}" in card
        assert f"seed {part['seed']}, phantom seed {part['stream']['seed']}" in card
    assert f"cut from {RADIOGRAPHS['detail_size']} px" in card and f"{RADIOGRAPHS['options']['roi_crop']} px" in card
    assert f"Trained at {PARTS[0]['image_size']}, then at {PARTS[-1]['image_size']} px" in card


def test_a_training_states_shipped_weights_by_name_wherever_the_package_lies(tmp_path):
    assert weights_source(find_weights("jointwrist_tiny")) == "jointwrist_tiny"
    own = tmp_path / "best.safetensors"
    own.touch()
    assert find_weights(weights_source(own)) == own.resolve()
