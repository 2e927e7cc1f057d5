"""Measure the peak memory of a piece of work in a separate process. Linux only."""

from __future__ import annotations

import ctypes
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch


class Peak(NamedTuple):
    """Peak memory in megabytes.

    Attributes:
        total: Peak resident memory of the process, with libraries, weights and data.
        extra: The part that the work added to the memory in use before it.
    """

    total: float
    extra: float


def peak_memory(setup: Callable[..., Callable[[], object]], *arguments: Any, threads: int = 1) -> Peak:
    """Measure a piece of work in a fresh process.

    Args:
        setup: Importable function that returns the work as a callable. What it loads is in use before the work.
        arguments: Arguments of `setup`.
        threads: Threads of PyTorch.

    Raises:
        OSError: The system has no peak memory in /proc.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_measure, setup, arguments, threads).result()


def _measure(setup: Callable[..., Callable[[], object]], arguments: tuple, threads: int) -> Peak:
    torch.set_num_threads(threads)
    return peak_of(setup(*arguments))


def peak_of(work: Callable[[], object]) -> Peak:
    """Measure a piece of work in this process.

    Raises:
        OSError: The system has no peak memory in /proc.
    """
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here
    before = _status("VmRSS")
    work()
    peak = _status("VmHWM")
    return Peak(peak / 1e6, (peak - before) / 1e6)


def _status(field: str) -> int:
    """Bytes of a field of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))
