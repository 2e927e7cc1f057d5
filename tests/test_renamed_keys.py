"""Old names of configuration keys: they work everywhere, with a warning where a user wrote them."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest

from jointwrist.benchmark.protocol import load_protocol
from jointwrist.config import ConfigError, build, to_dict
from jointwrist.engine.config.renamed_keys import RENAMED_KEYS, current_keys, first_keys
from jointwrist.engine.config.run_config import RunConfig, config_hash

NEEDED = {"model": "jointwrist_tiny", "task": "joint"}
#: A value of every key that is not its default.
VALUES = {
    "joint.mask_grad_scale": 0.25,
    "joint.mask_grad_start": 0.5,
    "joint.mask_grad_nsd_drop": 3.0,
    "joint.teacher_forcing": 0.75,
    "joint.segmentation_warmup": 0.125,
    "erosion.heat_map": 2.0,
    "options.feature_grad_scale": 0.5,
}


def tree(key: str, value: float) -> dict:
    section, name = key.split(".")
    return {section: {name: value}}


@pytest.mark.parametrize("old", RENAMED_KEYS)
def test_an_old_key_sets_the_field_of_the_new_one(old, caplog):
    new = RENAMED_KEYS[old]
    section, name = new.split(".")
    config = build(RunConfig, {**NEEDED, **tree(old, VALUES[new])})
    assert config == build(RunConfig, {**NEEDED, **tree(new, VALUES[new])})
    assert config != build(RunConfig, NEEDED)
    part = getattr(config, section)
    assert (part[name] if section == "options" else getattr(part, name)) == VALUES[new]
    assert not caplog.records  # stored metadata is nobody's fault


@pytest.mark.parametrize("old", RENAMED_KEYS)
def test_where_a_user_wrote_it_one_line_names_file_and_new_key(old, caplog):
    assert current_keys(tree(old, 0.5), "recipe.yaml") == tree(RENAMED_KEYS[old], 0.5)
    (record,) = caplog.records
    told = record.getMessage()
    assert record.levelno == logging.WARNING and "\n" not in told
    assert told.startswith("recipe.yaml: ") and f"{old} is now called {RENAMED_KEYS[old]}" in told


def test_a_key_by_both_names_is_refused():
    with pytest.raises(ConfigError, match=r"give joint\.mask_grad_scale alone"):
        current_keys({"joint": {"lam": 0.1, "mask_grad_scale": 0.1}})


def test_new_keys_are_fields_and_old_ones_are_not():
    values = to_dict(build(RunConfig, NEEDED))
    for old, new in RENAMED_KEYS.items():
        section, name = new.split(".")
        assert section == "options" or name in values[section]
        assert section == old.split(".")[0] and old.split(".")[1] not in values[section]


def test_hashes_are_those_of_the_first_names():
    config = build(RunConfig, {**NEEDED, "joint": {"mask_grad_scale": 0.1}})
    # computed by the version that called the key joint.lam
    assert config_hash(config) == "0237f950ba88"
    stored = json.loads(json.dumps(first_keys(to_dict(config))))
    assert stored["joint"]["lam"] == 0.1 and "mask_grad_scale" not in stored["joint"]
    assert config_hash(stored) == config_hash(to_dict(config)) == config_hash(config)
    assert build(RunConfig, stored) == config
    other = dataclasses.replace(config, joint=dataclasses.replace(config.joint, mask_grad_scale=0.2))
    assert config_hash(other) != config_hash(config)


def test_protocols_of_users_may_have_old_keys(tmp_path, caplog):
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\nsummary: x\nmodels: [jointwrist_tiny]\ntasks: {joint: {joint: {guided: 0.25}}}\n")
    protocol = load_protocol(str(path))
    assert f"{path}: joint.guided is now called joint.teacher_forcing" in caplog.text
    overrides = current_keys({"joint": {"guided": 0.75}}, "--set")
    forcing = [protocol.run_config("jointwrist_tiny", 1, more).joint.teacher_forcing for more in ({}, overrides)]
    assert forcing == [0.25, 0.75]
