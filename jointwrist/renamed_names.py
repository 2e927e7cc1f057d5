"""Former names of functions, classes, arguments and attributes: they still work, with a warning.

Former modules are in `jointwrist.renamed_modules`, former keys of configurations in
`jointwrist.engine.config.renamed_keys`.
"""

from __future__ import annotations

import functools
import sys
import warnings
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])


def former_names(module: str, **names: str) -> Callable[[str], Any]:
    """Make the `__getattr__` of a module whose functions or classes were renamed.

    Args:
        module: Name of the module.
        names: Present name by former name.
    """

    def present(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        _warn(f"{module}.{name} is now {names[name]}")
        return getattr(sys.modules[module], names[name])

    return present


def former_arguments(**names: str) -> Callable[[Function], Function]:
    """Decorate a function whose keyword arguments were renamed.

    Args:
        names: Present name by former name.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Any:
            for old in names.keys() & kwargs.keys():
                if names[old] in kwargs:
                    raise TypeError(f"{function.__qualname__}() got {names[old]!r} and its former name {old!r}")
                _warn(f"{function.__qualname__}: the argument {old!r} is now {names[old]!r}")
                kwargs[names[old]] = kwargs.pop(old)
            return function(*args, **kwargs)

        return renamed  # type: ignore[return-value]

    return decorate


def former_attribute(old: str, new: str) -> property:
    """Make a property that returns the attribute `new` under its former name `old`."""

    def value(instance: Any) -> Any:
        _warn(f"{type(instance).__name__}.{old} is now {new}")
        return getattr(instance, new)

    return property(value, doc=f"Return `{new}`, whose former name this is.")


def _warn(message: str) -> None:
    """Warn of a former name where the caller of the caller used it."""
    warnings.warn(message, FutureWarning, stacklevel=3)
