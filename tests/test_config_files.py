"""Schema and commented file of a configuration, held against what `build` reads; completion in a shell."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import subprocess
import sys
import typing
from itertools import pairwise
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft7Validator
from test_config import numbers

from jointwrist.benchmark.protocol import load_protocol, protocol_names
from jointwrist.cli import main
from jointwrist.config import build, read_yaml, to_dict
from jointwrist.engine.config.renamed_keys import RENAMED_KEYS
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.phantom import PhantomConfig
from jointwrist.registry import model_spec

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def schemas():
    from jointwrist.commands.config import schema

    return {kind: schema(kind) for kind in ("run", "node")}


@pytest.fixture(scope="module")
def run_schema(schemas):
    return Draft7Validator(schemas["run"])


@pytest.mark.parametrize("kind", ["run", "node"])
def test_a_schema_is_one(schemas, kind):
    Draft7Validator.check_schema(schemas[kind])


def test_the_command_writes_a_schema_and_replaces_nothing(schemas, tmp_path, capsys):
    assert main(["config", "--schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json.loads(json.dumps(schemas["run"]))
    out = tmp_path / "node.json"
    assert main(["config", "--schema", "node", "-o", str(out)]) == 0
    assert json.loads(out.read_text()) == json.loads(json.dumps(schemas["node"]))
    assert main(["config", "--schema", "-o", str(out)]) == 2
    assert "exists" in capsys.readouterr().err


def test_configurations_of_this_project_are_valid(schemas, run_schema):
    files = [read_yaml(path) for path in (ROOT / "recipes").glob("jointwrist_*.yaml")]
    for name in [*protocol_names(), str(ROOT / "recipes" / "mcp.yaml")]:
        protocol = load_protocol(name)
        files += [protocol.defaults, *protocol.tasks.values(), *protocol.per_model.values()]
    assert len(files) > 10
    for values in files:
        run_schema.validate(values)
    Draft7Validator(schemas["node"]).validate(read_yaml(ROOT / "docs" / "deploy" / "node.yaml"))


@pytest.mark.parametrize("cls, prefix", [(RunConfig, ""), (PhantomConfig, "stream.options.")])
def test_numbers_out_of_range_and_of_another_type_are_refused(run_schema, cls, prefix):
    for key, hint, places in numbers(cls):
        kind, limits = typing.get_args(hint)
        wrong = [limits.low - 1, "many", True, None]
        wrong += [] if limits.high == math.inf else [limits.high + 1]
        wrong += {"low": [limits.low], "high": [limits.high]}.get(limits.open, [])
        wrong += [limits.low + 0.5] if kind is int else []
        for value in wrong:
            values = _nested(f"{prefix}{key}", [value] * places if places else value)
            found = list(run_schema.iter_errors(values))
            optional = value is None and key == "joint.erosion_share"
            assert bool(found) != optional, f"{key}: {value}"
        limit = limits.low if limits.open != "low" else limits.low + 1e-6
        run_schema.validate(_nested(f"{prefix}{key}", [limit] * places if places else limit))


def _nested(key, value):
    for part in reversed(key.split(".")):
        value = {part: value}
    return value


@pytest.mark.parametrize(
    "values",
    [
        {"optim": {"lrr": 1}},
        {"imagesize": 3},
        {"task": "detection"},
        {"optim": 3},
        {"augment": {"zoom": [1.0]}},
        {"radiographs": {"families": [1]}},
        {"stream": {"options": {"prevalance": 0.1}}},
    ],
)
def test_mistakes_are_refused(run_schema, values):
    assert not run_schema.is_valid(values)


def test_what_build_takes_in_a_file_is_accepted(run_schema):
    text = "precision: no\njoint: {erosion_share: null, pretrained: [a, b]}\noptions: {anything: [1, {x: y}]}\n"
    values = yaml.safe_load(f"{text}stream: {{options: {{families: {{all: 1, cyst: 0}}}}}}")
    run_schema.validate(values)
    build(RunConfig, {"model": "m", "task": "joint", **values})


def test_former_names_are_accepted_with_a_warning(run_schema, schemas):
    for old in RENAMED_KEYS:
        section, _, name = old.partition(".")
        if section != "options":
            run_schema.validate(_nested(old, 0.5))
            assert schemas["run"]["properties"][section]["properties"][name]["deprecated"]


def keys(cls):
    """Yield the name of every field, of nested dataclasses too."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        yield field.name
        if dataclasses.is_dataclass(hints[field.name]):
            yield from keys(hints[field.name])


@pytest.mark.parametrize("model", ["jointwrist_tiny", "unetpp", "mobilenet"])
def test_a_written_configuration_holds_every_key_with_a_comment_and_is_the_default(model, run_schema, tmp_path):
    path = tmp_path / "run.yaml"
    assert main(["config", "--init", model, "-o", str(path)]) == 0
    values = read_yaml(path)
    run_schema.validate(values)
    default = RunConfig(model=model, task=model_spec(model).task)
    assert values == to_dict(default) and build(RunConfig, values) == default
    lines = [line.strip() for line in path.read_text().splitlines()]
    assert lines[0] == "# yaml-language-server: $schema=run.schema.json"
    assert all(before[:2] == "# " for before, line in pairwise(lines) if line and line[0] != "#")
    written = [line.partition(":")[0] for line in lines if line and line[0] != "#"]
    assert sorted(written) == sorted(keys(RunConfig))


def test_the_settings_of_the_phantom_are_written_too(tmp_path):
    path = tmp_path / "phantom.yaml"
    assert main(["config", "--init", "phantom", "-o", str(path)]) == 0
    assert build(PhantomConfig, read_yaml(path)) == PhantomConfig() and read_yaml(path).keys() == set(
        keys(PhantomConfig)
    )


def test_comments_say_what_limits_and_special_values_mean(capsys):
    assert main(["config", "--init", "unetpp"]) == 0
    text = " ".join(line.strip(" #") for line in capsys.readouterr().out.splitlines())
    assert "Epochs without improvement before the run stops; at least 0; 0 never stops early. patience: 10" in text
    assert "in every step; at least 0, or null; None keeps that factor. erosion_share: null" in text
    assert "Whether the cosine schedule is updated every step or every epoch; one of step, epoch. schedule:" in text


def test_an_unknown_model_is_one_line(capsys):
    assert main(["config", "--init", "jointwrist_tny"]) == 2
    assert "jointwrist_tiny" in capsys.readouterr().err


def test_a_configuration_of_another_model_is_refused(phantom_root, tmp_path, capsys):
    path = tmp_path / "run.yaml"
    assert main(["config", "--init", "unetpp", "-o", str(path)]) == 0
    run = ["--data", str(phantom_root), "-o", str(tmp_path / "run"), "-c", str(path)]
    assert main(["train", "jointwrist_tiny", *run]) == 2
    assert "model is unetpp" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_code_of_a_shell_is_one_that_the_shell_reads(shell, capsys):
    assert main(["completion", shell]) == 0
    code = capsys.readouterr().out
    assert "jointwrist" in code
    if program := shutil.which(shell):
        subprocess.run([program, "-n"], input=code, text=True, check=True, timeout=60)


@pytest.mark.parametrize(
    "line, wanted",
    [
        ("jointwrist pred", {"predict "}),
        ("jointwrist completion ", {"bash", "zsh", "fish", "-h", "--help"}),
        ("jointwrist config --sch", {"--schema "}),
        ("jointwrist predict --engine ", {"auto", "torch", "onnx"}),
    ],
)
def test_a_shell_is_told_what_may_follow(line, wanted, tmp_path):
    answer = tmp_path / "answer"
    asked = {"_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)), "_ARGCOMPLETE_IFS": "\n"}
    asked |= {"_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_SHELL": "bash"}
    environment = {**os.environ, **asked}
    subprocess.run([sys.executable, "-m", "jointwrist"], env=environment, capture_output=True, timeout=60)
    assert {name.strip() for name in answer.read_text().splitlines()} == {name.strip() for name in wanted}
