"""The registry of models: registration, names, metadata and construction of every model.

Models of other packages are found through entry points; the baselines are such a package.
"""

from __future__ import annotations

import fnmatch
import importlib
import importlib.util
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn

from jointwrist.errors import DataError

#: Group of the entry points that name modules whose import registers models.
ENTRY_POINTS = "jointwrist.models"
#: Module that registers the models of this package; imported by name, as models import the registry.
_OWN_MODELS = "jointwrist.models.joint"

TASKS = ("joint", "segmentation", "erosion", "foundation")


@dataclass(frozen=True)
class ModelSpec:
    """Metadata of a model.

    Attributes:
        name: Registry name.
        task: One of `TASKS`.
        published_name: Row name in the paper's tables, or None if the model is not in them.
        paper: Citation of the architecture.
        licence: Licence of the original implementation.
        code: Source of this implementation (a library, or a module of this repository).
        parameters: Number of trainable parameters with default options.
        input_size: Published side of the square input in pixels.
        size_dependent: Whether the architecture depends on the image size, given by the option `img_size`.
    """

    name: str
    task: str
    published_name: str | None
    paper: str
    licence: str
    code: str
    parameters: int
    input_size: int
    size_dependent: bool = False


_SPECS: dict[str, ModelSpec] = {}
_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
_RENAMED: dict[str, Mapping[str, str]] = {}
_VERSIONS: dict[str, Mapping[str, tuple[int, int]]] = {}
_filled = False


def register_model(
    spec: ModelSpec,
    renamed_options: Mapping[str, str] | None = None,
    part_versions: Mapping[str, tuple[int, int]] | None = None,
) -> Callable[[Callable[..., nn.Module]], Callable[..., nn.Module]]:
    """Register a builder under `spec.name`.

    Args:
        spec: Metadata of the model.
        renamed_options: Former names of the builder's options and their current names.
        part_versions: Options that give the version of a part of the network: the version of weight files that do not
            state it, as they are older than the option, and the latest, which new networks have.

    Raises:
        ValueError: The name is taken, or the task unknown.
    """

    def enter(builder: Callable[..., nn.Module]) -> Callable[..., nn.Module]:
        if spec.name in _SPECS:
            raise ValueError(f"model {spec.name!r} is registered twice")
        if spec.task not in TASKS:
            raise ValueError(f"model {spec.name!r} has task {spec.task!r}; tasks are {', '.join(TASKS)}")
        _SPECS[spec.name] = spec
        _BUILDERS[spec.name] = builder
        _RENAMED[spec.name] = renamed_options or {}
        _VERSIONS[spec.name] = part_versions or {}
        return builder

    return enter


def _fill() -> None:
    global _filled
    if not _filled:
        importlib.import_module(_OWN_MODELS)
        # ours first, so that a name registered twice is reported for the other package
        for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.dist.name != "jointwrist"):
            try:
                point.load()
            except Exception as error:  # a faulty package must not make the other models unavailable
                warnings.warn(
                    f"the models of {point.value} are missing: {type(error).__name__}: {error}; update or uninstall"
                    f" {point.dist.name}",
                    stacklevel=3,
                )
        _filled = True


def load_plugin(source: str) -> list[str]:
    """Register the models of a module that is not installed as an entry point.

    Args:
        source: Dotted name of a module, such as `my_package.models`, also of the working folder; or a Python file.

    Returns:
        The names of its models.

    Raises:
        DataError: The module cannot be imported, or registers no model.
    """
    _fill()
    before = set(_SPECS)
    path = Path(source)
    try:
        if path.suffix == ".py":
            spec = importlib.util.spec_from_file_location(path.stem, path)
            module = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(path.stem, module)
            spec.loader.exec_module(module)
        else:
            sys.path.insert(0, str(Path.cwd()))
            importlib.import_module(source)
    except Exception as error:  # a module can fail in any way
        raise DataError(
            f"--plugin {source}: cannot be imported ({type(error).__name__}: {error}); correct it, or its name"
        ) from error
    if not (added := sorted(set(_SPECS) - before)):
        raise DataError(f"--plugin {source}: registers no model; see CONTRIBUTING.md for an example")
    return added


def list_models(pattern: str = "*", task: str | None = None) -> list[str]:
    """Return the sorted names of the models that match a shell pattern and, if given, a task."""
    _fill()
    return sorted(
        name for name, spec in _SPECS.items() if fnmatch.fnmatch(name, pattern) and (task is None or spec.task == task)
    )


def model_spec(name: str) -> ModelSpec:
    """Return the metadata of a model.

    Raises:
        ValueError: The name is not registered; the message suggests similar names.
    """
    _fill()
    if name not in _SPECS:
        near = get_close_matches(name, _SPECS)
        unknown = f"unknown model {name!r}; did you mean {', '.join(near)}?" if near else f"unknown model {name!r};"
        raise ValueError(
            f"{unknown} `jointwrist models list` names all; your own model needs its module: `jointwrist --plugin FILE"
            " COMMAND ...`"
        )
    return _SPECS[name]


def create_model(name: str, **options: Any) -> nn.Module:
    """Build a model with random weights.

    Args:
        name: A name of `list_models()`.
        **options: Passed to the builder, except those that are None, for which the builder's defaults hold.

    Raises:
        ValueError: The name is not in the registry, or an option is given by its former and its current name.
        TypeError: The model does not take one of the options.
    """
    model_spec(name)
    for old in options.keys() & _RENAMED[name].keys():
        new = _RENAMED[name][old]
        warnings.warn(f"the option {old} of {name} is now called {new}", FutureWarning, stacklevel=2)
    given = {**latest_versions(name), **current_options(name, options)}
    return _BUILDERS[name](**{key: value for key, value in given.items() if value is not None})


def current_options(name: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a model by their current names, for options that were stored under former ones.

    Raises:
        ValueError: The model is not in the registry, or an option is given by both names.
    """
    model_spec(name)
    current = {_RENAMED[name].get(key, key): value for key, value in options.items()}
    if len(current) < len(options):
        twice = next(key for key in options if key in _RENAMED[name] and _RENAMED[name][key] in options)
        raise ValueError(f"{twice} and {_RENAMED[name][twice]} are the same option of {name}; give the latter alone")
    return current


def latest_versions(name: str) -> dict[str, int]:
    """Return the options of a model that state the versions of its parts, with the latest versions."""
    _fill()
    return {option: latest for option, (_, latest) in _VERSIONS.get(name, {}).items()}


def unstated_versions(name: str) -> dict[str, int]:
    """Return the same options with the versions of weight files that do not state them."""
    _fill()
    return {option: first for option, (first, _) in _VERSIONS.get(name, {}).items()}
