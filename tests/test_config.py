"""Configuration: round trips, and errors that name the key."""

from __future__ import annotations

import dataclasses
import math
import typing

import pytest
import yaml

from jointwrist.benchmark.protocol import PhantomData
from jointwrist.cli import main
from jointwrist.config import ConfigError, build, digest, merge_trees, parse_overrides, read_yaml, to_dict
from jointwrist.engine.config.run_config import OptimConfig, RunConfig
from jointwrist.phantom import PhantomConfig


def test_round_trip_through_plain_values():
    config = RunConfig(model="unetpp", task="segmentation", optim=OptimConfig(lr=3e-4), options={"a": [1, 2]})
    assert build(RunConfig, to_dict(config)) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"model": "m", "task": "segmentation", "imagesize": 3}, "imagesize.*image_size"),
        ({"model": "m", "task": "segmentation", "optim": {"lrr": 1.0}}, r"optim\.lrr.*lr"),
        ({"model": "m", "task": "segmentation", "optim": {"epochs": "ten"}}, r"optim\.epochs needs a whole number"),
        ({"model": "m", "task": "segmentation", "optim": {"epochs": True}}, r"optim\.epochs needs a whole number"),
        ({"model": "m", "task": "detection"}, "task is 'detection'"),
        ({"model": "m", "task": "joint", "augment": {"zoom": [1.0]}}, r"augment\.zoom needs 2 values"),
        ({"model": "m", "task": "joint", "optim": 3}, "optim needs keys"),
    ],
)
def test_mistakes_are_named(values, message):
    with pytest.raises(ConfigError, match=message):
        build(RunConfig, values)


def numbers(cls, prefix=""):
    """Yield the dotted key, the annotation and the places in a tuple of every numeric field."""
    for name, hint in typing.get_type_hints(cls, include_extras=True).items():
        if dataclasses.is_dataclass(hint):
            yield from numbers(hint, f"{prefix}{name}.")
        for part in typing.get_args(hint) if typing.get_origin(hint) is tuple else (hint,):
            bare = typing.get_args(part)[0] if typing.get_origin(part) is typing.Annotated else part
            if bare in (int, float):
                yield f"{prefix}{name}", part, len(typing.get_args(hint)) if part is not hint else 0


@pytest.mark.parametrize("cls", [RunConfig, PhantomConfig, PhantomData])
def test_every_number_has_a_range_and_what_lies_out_of_it_is_refused_by_name(cls):
    needed = {"model": "m", "task": "joint"} if cls is RunConfig else {}
    keys = list(numbers(cls))
    assert len(keys) > 2
    for key, hint, places in keys:
        kind, limits = typing.get_args(hint)
        wrong = [limits.low - 1, limits.high + 1 if limits.high < math.inf else -(10**400)]
        wrong += [math.nan, math.inf, -math.inf] if kind is float else []
        wrong += {"low": [limits.low], "high": [limits.high]}.get(limits.open, [])
        for value in wrong:
            override = f"{key}={[value] * places if places else value}".replace("nan", ".nan").replace("inf", ".inf")
            with pytest.raises(ConfigError, match=rf"{key} (is .*; it must be|needs)"):
                build(cls, merge_trees(needed, parse_overrides([override])))


@pytest.mark.parametrize("override", ["optim.batch_size=0", "optim.lr=.nan", "optim.ema=1.5", "segmentation.dice=-1"])
def test_what_cannot_be_trained_with_is_refused(override):
    with pytest.raises(ConfigError, match=override.partition("=")[0]):
        build(RunConfig, merge_trees({"model": "m", "task": "joint"}, parse_overrides([override])))


def test_a_range_is_described_in_words():
    with pytest.raises(ConfigError, match=r"^optim\.ema is 1; it must be at least 0 and below 1$"):
        build(RunConfig, {"model": "m", "task": "joint", "optim": {"ema": 1}})


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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("image_size: 64\nimage_size: 128\n", 2),
        ("optim: {lr: 1.0e-3, epochs: 2, lr: 1.0e-4}\n", 1),
        ("optim:\n  lr: 1.0e-3\nseed: 3\noptim:\n  epochs: 5\n", 4),
        ("joint:\n  pretrained: []\n  'pretrained': []\n", 3),
    ],
)
def test_a_key_that_is_given_twice_is_refused(tmp_path, text, line):
    """YAML forbids it, and PyYAML keeps the last in silence: all values of the first `optim` would be lost."""
    (tmp_path / "run.yaml").write_text(text)
    with pytest.raises(ConfigError, match=rf"run\.yaml: not valid YAML: line {line} gives .* again; keep one of them"):
        read_yaml(tmp_path / "run.yaml")
    with pytest.raises(ConfigError, match="lr again"):
        parse_overrides(["optim={lr: 1, lr: 2}"])


def test_values_that_override_merged_ones_are_no_second_key(tmp_path):
    (tmp_path / "run.yaml").write_text("a: &a {lr: 1}\nb: {c: &c {<<: *a, lr: 2}}\nd: {<<: *c, lr: 3}\ne: *a\n")
    expected = {"a": {"lr": 1}, "b": {"c": {"lr": 2}}, "d": {"lr": 3}, "e": {"lr": 1}}
    assert read_yaml(tmp_path / "run.yaml") == expected == yaml.safe_load((tmp_path / "run.yaml").read_text())
    (tmp_path / "run.yaml").write_text("a: &a {lr: 1}\nb: &b {epochs: 2}\nc:\n  <<: *a\n  <<: *b\n")
    assert read_yaml(tmp_path / "run.yaml")["c"] == {"lr": 1, "epochs": 2}, "nothing of two merged mappings is lost"


def test_a_mistake_in_a_file_names_the_file_and_one_of_the_command_line_does_not(tmp_path, capsys):
    (tmp_path / "good.yaml").write_text("image_size: 64\n")
    (tmp_path / "bad.yaml").write_text("cache: 'yes'\n")
    files = ["-c", str(tmp_path / "good.yaml"), "-c", str(tmp_path / "bad.yaml")]
    command = ["train", "unet", f"--data={tmp_path}", f"--out={tmp_path / 'run'}"]
    assert main([*command, *files]) == 2
    assert f"jointwrist: {tmp_path / 'bad.yaml'}: cache needs true or false, not 'yes'\n" in capsys.readouterr().err
    assert main([*command, *files[:2], "--set", "cache='yes'"]) == 2
    assert "jointwrist: cache needs true or false" in capsys.readouterr().err
    assert main([*command, *files, "--set", "cache=true"]) == 2, "the command line overrides the file"
    assert "cache" not in capsys.readouterr().err
