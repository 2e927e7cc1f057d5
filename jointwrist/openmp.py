"""Waiting policy and number of the OpenMP threads that PyTorch and the scan kernel use on a CPU."""

from __future__ import annotations

import os


def share_cores() -> None:
    """Let waiting threads sleep; to be called before PyTorch is imported, which reads the environment only once.

    By default they spin for milliseconds. Beside another busy program, they then keep the core from the very thread
    that they wait for. An `OMP_WAIT_POLICY` set by the user takes precedence.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def stated_threads() -> int:
    """Return the number of threads that `OMP_NUM_THREADS` states, 0 if it states none.

    Of a list, which has a number for each level of nested loops, the first one counts.
    """
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdecimal() else 0
