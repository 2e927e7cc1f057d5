"""Configuration: round trips, and errors that name the key."""

from __future__ import annotations

import pytest

from jointwrist.config import ConfigError, build, digest, merge_trees, parse_overrides, read_yaml, to_dict
from jointwrist.engine.config import OptimConfig, RunConfig


def test_round_trip_through_plain_values():
    config = RunConfig(model="unetpp", task="segmentation", optim=OptimConfig(lr=3e-4), options={"a": [1, 2]})
    assert build(RunConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "m", "task": "segmentation", "imagesize": 3}, "imagesize.*image_size"),
        ({"model": "m", "task": "segmentation", "optim": {"lrr": 1.0}}, r"optim\.lrr.*lr"),
        ({"model": "m", "task": "segmentation", "optim": {"epochs": "ten"}}, r"optim\.epochs needs int"),
        ({"model": "m", "task": "segmentation", "optim": {"epochs": True}}, r"optim\.epochs needs int"),
        ({"model": "m", "task": "detection"}, "task is 'detection'"),
        ({"model": "m", "task": "joint", "augment": {"zoom": [1.0]}}, r"augment\.zoom needs 2 values"),
        ({"model": "m", "task": "joint", "optim": 3}, "optim needs keys"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(RunConfig, values)


def test_command_line_wins_over_yaml(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("model: unetpp\ntask: segmentation\noptim: {lr: 1e-4, epochs: 7}\n")
    tree = merge_trees(read_yaml(path), parse_overrides(["optim.lr=2e-3", "augment.rotate=5"]))
    config = build(RunConfig, tree)
    assert (config.optim.lr, config.optim.epochs, config.augment.rotate) == (2e-3, 7, 5.0)


def test_digest_depends_on_values_not_on_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 1, "b": 3})


def test_yaml_errors_name_the_file(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.yaml"):
        read_yaml(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        read_yaml(tmp_path / "bad.yaml")
    with pytest.raises(ConfigError, match="key=value"):
        parse_overrides(["optim.lr"])
