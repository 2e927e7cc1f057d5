"""Protocols: YAML files with the models, seeds and settings of a benchmark table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from jointwrist.config import ConfigError, Count, Range, Seed, build, merge_trees, read_yaml
from jointwrist.engine.config.renamed_keys import current_keys
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.registry import list_models, model_spec

LOG = logging.getLogger(__name__)
FOLDER = Path(__file__).parent / "protocols"


@dataclass(frozen=True)
class PhantomData:
    """Phantom dataset for runs without a real one.

    Attributes:
        wrists: Number of radiographs.
        size: Side in pixels.
        seed: Seed.
        options: Further fields of the phantom's configuration.
    """

    wrists: Count = 160
    size: Annotated[int, Range(32)] = 600
    seed: Seed = 0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """Models, seeds and settings of a table.

    Attributes:
        name: Name in tables and folders.
        summary: One line that says what it is for.
        models: Registry names or patterns, in the order in which they run.
        seeds: Seeds of every model.
        precision: Autocast type of all runs; a group of processes has one.
        phantom: Phantom dataset.
        defaults: Values of every run.
        tasks: Values by task.
        per_model: Values by model.
    """

    name: str
    summary: str
    models: tuple[str, ...]
    seeds: tuple[int, ...] = (3407,)
    precision: Literal["no", "fp16", "bf16"] = "no"
    phantom: PhantomData = field(default_factory=PhantomData)
    defaults: dict[str, Any] = field(default_factory=dict)
    tasks: dict[str, dict[str, Any]] = field(default_factory=dict)
    per_model: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run_config(self, model: str, seed: int, overrides: dict[str, Any] | None = None) -> RunConfig:
        """Resolve one run: defaults <- task <- model <- overrides."""
        task = model_spec(model).task
        values = merge_trees(
            self.defaults,
            self.tasks.get(task, {}),
            self.per_model.get(model, {}),
            {"precision": self.precision},
            overrides or {},
        )
        return build(RunConfig, {**values, "model": model, "task": task, "protocol": self.name, "seed": seed})


def protocol_names() -> list[str]:
    """List the names of the protocols that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_protocol(name_or_path: str) -> Protocol:
    """Read a protocol by its name, or from a YAML file.

    Raises:
        ConfigError: No such protocol, or one with unknown keys.
    """
    path = Path(name_or_path) if name_or_path.endswith((".yaml", ".yml")) else FOLDER / f"{name_or_path}.yaml"
    if not path.is_file() and path.parts[-3:-1] == ("benchmarks", "protocols") and (FOLDER / path.name).is_file():
        LOG.warning("%s: the protocols moved to %s; give the name %s", path, FOLDER, path.stem)
        path = FOLDER / path.name
    if not path.is_file():
        raise ConfigError(f"no protocol {name_or_path!r}; choose one of {', '.join(protocol_names())}, or a YAML file")
    protocol, source = build(Protocol, read_yaml(path)), str(path)
    return replace(
        protocol,
        defaults=current_keys(protocol.defaults, source),
        tasks={task: current_keys(values, source) for task, values in protocol.tasks.items()},
        per_model={model: current_keys(values, source) for model, values in protocol.per_model.items()},
    )


def expand_models(patterns: Sequence[str]) -> list[str]:
    """List the registry names that match names or shell patterns, in the order given, without repeats.

    Foundation models need gigabytes of weights, so patterns do not match them; their full names do.

    Raises:
        ConfigError: A pattern matches no model.
    """
    chosen: list[str] = []
    for pattern in patterns:
        names = [name for name in list_models(pattern) if name == pattern or model_spec(name).task != "foundation"]
        if not names:
            raise ConfigError(f"no model to run matches {pattern!r}; `jointwrist models list` names all")
        chosen += [name for name in names if name not in chosen]
    return chosen
