"""Compilation of the CPU kernel on first use, once per user and processor type."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import re
import shutil
import stat
import subprocess
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

from jointwrist.files import cache_folder

SOURCE = Path(__file__).with_name("scan_cpu.cpp")
FLAGS = ("-O3", "-march=native", "-std=c++17", "-ffp-contract=fast", "-fopenmp", "-fPIC", "-shared", "-w")
COMPILERS = ("c++", "g++", "clang++")

logger = logging.getLogger("jointwrist")


class BuildError(RuntimeError):
    """A failed compilation of the CPU kernel; the message is one line."""


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0  # as `stat` says on Windows


def spare_folder() -> Path:
    """Return the user's folder below the system's temporary folder."""
    return Path(tempfile.gettempdir()) / f"jointwrist-{_user()}"


def _usable(folder: Path) -> bool:
    """Return whether only this user can write to a folder; anyone can create folders below the temporary folder."""
    if folder != spare_folder():
        return True
    found = folder.lstat()
    return stat.S_ISDIR(found.st_mode) and found.st_uid == _user() and not found.st_mode & 0o022


def processor() -> str:
    """Return the instruction set flags of the processor, or the machine's name where they are not available."""
    found = re.findall(r"^(?:flags|Features)\s*:\s*(.*)$", _processor_information(), re.MULTILINE)
    return " ".join(sorted(set(found))) or platform.node()


def made_by_amd() -> bool:
    """Return whether AMD made the processor; False where that is not known."""
    return re.search(r"^vendor_id\s*:\s*AuthenticAMD$", _processor_information(), re.MULTILINE) is not None


def _processor_information() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return ""


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


def name() -> str:
    """Return the file name of the compiled kernel.

    It contains a hash of source, flags, `CXX`, C library and instruction set, so that machines with a shared home
    folder get their own kernels. None of these needs a compiler, so that a built kernel is found without one.
    """
    kind = (*FLAGS, os.environ.get("CXX", ""), platform.machine(), *platform.libc_ver(), processor())
    key = hashlib.sha256(b"\0".join([SOURCE.read_bytes(), *map(os.fsencode, kind)])).hexdigest()[:16]
    return f"scan_cpu_{key}.so"


def build() -> Path:
    """Return the path of the kernel, from the user's cache or newly compiled; `spare_folder` if that is not writable.

    The file is moved into place when it is complete, so that several processes can build at the same time.

    Raises:
        BuildError: There is no compiler, it fails, or no folder is writable.
    """
    folders = [spare_folder()]
    with suppress(RuntimeError):
        folders.insert(0, cache_folder())
    for folder in folders:
        library = folder / name()
        if os.path.isfile(library) and _usable(folder):  # False also where the folder may not be entered
            return library
    compiler = _compiler()
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _usable(folder):
                continue
            handle, unfinished = tempfile.mkstemp(dir=folder, suffix=".so")
        except OSError:
            continue
        os.close(handle)
        try:
            _run([compiler, *FLAGS, str(SOURCE), "-o", unfinished])
            os.replace(unfinished, folder / name())
        finally:
            Path(unfinished).unlink(missing_ok=True)
        return folder / name()
    raise BuildError(f"none of these folders can be written to by this user alone: {', '.join(map(str, folders))}")


@cache
def load() -> ctypes.CDLL | str:
    """Return the loaded kernel, or the reason why there is none, which is logged once."""
    try:
        return ctypes.CDLL(str(build()))
    except (BuildError, OSError) as error:
        logger.warning("No compiled scan on this CPU, the slower PyTorch one is used: %s", error)
        return f"the kernel could not be built: {error}"
