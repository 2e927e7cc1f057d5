"""Compiling the CPU kernel at its first use, once for each user, compiler and kind of processor."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("scan_cpu.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-ffp-contract=fast", "-fopenmp", "-fPIC", "-shared", "-w")
COMPILERS = ("c++", "g++", "clang++")

logger = logging.getLogger("jointwrist")


class BuildError(RuntimeError):
    """The CPU kernel cannot be compiled here; the message says why, in one line."""


def cache_folder() -> Path:
    """Return the folder of this user for compiled kernels, by the custom of the platform."""
    if "XDG_CACHE_HOME" in os.environ:
        return Path(os.environ["XDG_CACHE_HOME"]) / "jointwrist"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "jointwrist"


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=300).stdout
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines() or [f"exit status {error.returncode}"]
        raise BuildError(f"{command[0]} failed: {lines[0]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{command[0]} could not be run: {error}") from error


def _compiler() -> str:
    named = os.environ.get("CXX")
    found = next(filter(None, map(shutil.which, [named] if named else COMPILERS)), None)
    if found is None:
        raise BuildError(f"no C++ compiler found ({named or ', '.join(COMPILERS)})")
    return found


def build() -> Path:
    """Return the compiled kernel, from the cache or fresh.

    The name holds a hash of source, flags, compiler version and instruction set, so that a home shared by different
    machines serves each its own. The file appears complete or not at all, whoever else builds at the same time. Where
    the cache cannot be written, a private temporary folder serves.

    Raises:
        BuildError: There is no compiler, or it fails.
    """
    compiler = _compiler()
    target = _run([compiler, *FLAGS, "-dM", "-E", "-x", "c++", os.devnull])
    key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), " ".join(FLAGS).encode(), target])).hexdigest()[:16]
    library = cache_folder() / f"scan_cpu_{key}.so"
    if library.is_file():
        return library
    try:
        library.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=library.parent, suffix=".so")
    except OSError:
        library = Path(tempfile.mkdtemp(prefix="jointwrist-")) / library.name
        handle, temporary = tempfile.mkstemp(dir=library.parent, suffix=".so")
    os.close(handle)
    try:
        _run([compiler, *FLAGS, str(SOURCE), "-o", temporary])
        os.replace(temporary, library)
    finally:
        Path(temporary).unlink(missing_ok=True)
    return library


@cache
def load() -> ctypes.CDLL | str:
    """Return the loaded kernel, or why there is none; the latter is logged once."""
    try:
        return ctypes.CDLL(str(build()))
    except (BuildError, OSError) as error:
        logger.warning("No compiled scan on this CPU, the slower PyTorch one is used: %s", error)
        return f"the kernel could not be built: {error}"
