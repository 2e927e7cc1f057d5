"""Programs in a process of the fixture `processes`, which has other packages imported already."""

from __future__ import annotations

import os
import runpy
import sys
from collections.abc import Callable, Sequence
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import NamedTuple

import torch

#: Names of our own packages.
OURS = ("jointwrist", "jointwrist_baselines", "baselines", "benchmarks")


class Done(NamedTuple):
    """What became of a process; the names are those of `subprocess`."""

    returncode: int | None
    stdout: str
    stderr: str


def module(processes: BaseContext, folder: Path, name: str, arguments: Sequence[str]) -> Done:
    """Run a module with arguments, as `python -m` does; the folder takes what it prints."""
    return _run(processes, folder, _module, name, list(arguments))


def fresh(processes: BaseContext, folder: Path, code: str, paths: Sequence[Path] = ()) -> Done:
    """Run code to which our packages are new, with further folders in which to find modules."""
    return _run(processes, folder, _fresh, code, [str(path) for path in paths])


def _run(processes: BaseContext, folder: Path, function: Callable[..., None], *arguments: object) -> Done:
    files = folder / "stdout.txt", folder / "stderr.txt"
    process = processes.Process(target=_printing, args=(files, function, *arguments))
    process.start()
    process.join(600)
    process.kill()
    return Done(process.exitcode, *(file.read_text() for file in files))


def _printing(files: tuple[Path, Path], function: Callable[..., None], *arguments: object) -> None:
    for number, file in enumerate(files, 1):
        with file.open("w") as opened:
            os.dup2(opened.fileno(), number)
    sys.stdout, sys.stderr = (os.fdopen(number, "w", buffering=1) for number in (1, 2))
    torch.set_num_threads(1)
    function(*arguments)


def _module(name: str, arguments: list[str]) -> None:
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _fresh(code: str, paths: list[str]) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] in OURS]:
        del sys.modules[name]
    sys.path += paths
    exec(code, {"__name__": "__main__", "sys": sys})
