"""Helpers of the speed benchmarks: measured rows, interleaved timings, numbers of threads."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


class Measurements:
    """Rows of one part of the speed benchmarks; each is printed as it comes.

    Attributes:
        rows: Name, value and unit, with a `bound` or `least` where there is one.
    """

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(self, name: str, value: float, unit: str, **bounds: float | None) -> None:
        """Add a row.

        Args:
            name: Name of the measurement.
            value: Result.
            unit: Its unit; empty for a ratio.
            bounds: `bound`, which the value must not exceed, or `least`, which it must reach.
        """
        bounds = {key: bound for key, bound in bounds.items() if bound is not None}
        self.rows.append({"name": name, "value": value, "unit": unit, **bounds})
        limits = "".join(f", {key} {bound:g}" for key, bound in bounds.items())
        print(f"{name:72} {value:10.4g} {unit}{limits}", flush=True)


def times_in_turns(
    functions: dict[str, Callable[[], Any]], repeats: int, seconds: float = math.inf, warm_up: bool = False
) -> dict[str, float]:
    """Median milliseconds of each function. They alternate, so that other load slows all of them alike.

    Args:
        functions: Functions by name.
        repeats: Timings of each.
        seconds: Total time after which a function is not timed again.
        warm_up: Call each once before.
    """
    if warm_up:
        for function in functions.values():
            function()
    times: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(repeats):
        for name, function in functions.items():
            if sum(times[name]) <= 1000 * seconds:
                times[name].append(1000 * seconds_of(function))
    return {name: float(np.median(values)) for name, values in times.items()}


def seconds_of(function: Callable[[], Any]) -> float:
    """Seconds of one call, with the work that it leaves to a GPU."""
    _wait()
    start = time.perf_counter()
    function()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Run a block with a number of PyTorch threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
