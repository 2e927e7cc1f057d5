"""Speed and memory of the selective scan: every backend, the definition, mambapy, compiled `associative_scan`.

All run alternately on the same tensors, so that other load slows all of them alike. The machine's limits are measured
in the same run: a scan cannot read its inputs and write its outputs faster than memory allows, and it computes one
exponential for every step, channel and state, at the speed of `torch.exp`. A backend with a faster exponential can beat
that bound: the compiled one does, as its shorter polynomial suffices for the range of decays.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from benchmarks.speed_parts.measurements import Measurements, seconds_of, threads, times_in_turns
from benchmarks.speed_parts.scan_peers import ASSOCIATIVE, PEERS, scan_of_peer, why_not_compiled
from jointwrist.benchmark.peak_memory import peak_of
from jointwrist.engine.processes.session import keep_freed_memory
from jointwrist.files import atomic
from jointwrist.ops.scan import available_backends, selective_scan

LOOP = "reference"
PASSES = ("forward", "forward+backward")
FLOAT = 4
PLOT = Path(__file__).resolve().parent.parent.parent / "docs" / "pictures" / "speed-scan.png"


class Problem(NamedTuple):
    """Sizes of a scan, of B sequences with D channels, N states per channel and L steps."""

    batch: int
    channels: int
    states: int
    length: int

    def __str__(self) -> str:
        """Name in the table."""
        return f"N={self.states} L={self.length}"

    def bytes(self, which: str) -> int:
        """Least traffic: u, delta, B, C read and y written; backward dy read too and four gradients written."""
        wide, narrow = (8, 6) if which == PASSES[1] else (3, 2)
        return FLOAT * self.batch * self.length * (wide * self.channels + narrow * self.states)

    def exponentials(self, which: str) -> int:
        """One for every step, channel and state; again in the backward pass, as storing them costs more."""
        return (1 + PASSES.index(which)) * self.batch * self.channels * self.states * self.length


def tensors(problem: Problem, channel_last: bool, device: str = "cpu") -> dict[str, Tensor]:
    """Inputs of a scan as a Mamba block has them, with gradients."""
    batch, channels, states, length = problem
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    def sequence(width: int) -> Tensor:
        return normal(batch, length, width).mT if channel_last else normal(batch, width, length)

    values = {
        "u": sequence(channels),
        "delta": sequence(channels),
        "A": -torch.arange(1.0, states + 1).repeat(channels, 1),
        "B": sequence(states),
        "C": sequence(states),
        "D": torch.ones(channels),
        "delta_bias": normal(channels) - 4,
    }
    return {name: value.to(device).requires_grad_() for name, value in values.items()}


def scan(name: str, u, delta, A, B, C, D, delta_bias) -> Tensor:
    """Scan with a backend, or with a peer."""
    if name in PEERS:
        return scan_of_peer(name, u, delta, A, B, C, D, delta_bias)
    return selective_scan(u, delta, A, B, C, D=D, delta_bias=delta_bias, delta_softplus=True, backend=name)


def run(name: str, which: str, values: dict[str, Tensor]) -> Tensor | tuple[Tensor, ...]:
    """One pass: the output, or the gradients."""
    if which == PASSES[0]:
        with torch.no_grad():
            return scan(name, **values)
    return torch.autograd.grad(scan(name, **values), list(values.values()), values["u"].detach())


def machine_limits(device: str) -> tuple[float, float]:
    """Bytes per second that copying moves (read and written), and exponentials per second within the cache."""
    large, small = torch.ones(1 << 26, device=device), torch.full((1 << 17,), -0.5, device=device)
    target, result = torch.empty_like(large), torch.empty_like(small)
    target.copy_(large)
    exponentials = 200
    best = {
        "copy": min(seconds_of(lambda: target.copy_(large)) for _ in range(5)),
        "exp": min(seconds_of(lambda: [torch.exp(small, out=result) for _ in range(exponentials)]) for _ in range(5)),
    }
    return 2 * FLOAT * large.numel() / best["copy"], exponentials * small.numel() / best["exp"]


def extra_memory(name: str, problems: list[Problem], channel_last: bool, threads: int) -> list[float]:
    """Megabytes that a forward and backward pass adds at its peak, gradients included; on Linux, in a fresh process."""
    torch.set_num_threads(threads)
    run(name, PASSES[1], tensors(problems[0]._replace(length=64), channel_last))
    found = []
    for problem in problems:
        work = partial(run, name, PASSES[1], tensors(problem, channel_last))
        found.append(peak_of(work).extra)
    return found


def extra_gpu_memory(name: str, problem: Problem, channel_last: bool, device: str) -> float:
    """Megabytes that a forward and backward pass adds at its peak on a GPU, gradients included."""
    values = tensors(problem, channel_last, device)
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run(name, PASSES[1], values)
    return (torch.cuda.max_memory_allocated() - before) / 1e6


def _memory(
    names: list[str], problems: list[Problem], channel_last: bool, threads: int, device: str
) -> dict[str, list[float]]:
    if device != "cpu":
        return {name: [extra_gpu_memory(name, problem, channel_last, device) for problem in problems] for name in names}
    if sys.platform != "linux":
        return {}
    spawn = multiprocessing.get_context("spawn")
    found = {}
    for name in names:
        with ProcessPoolExecutor(1, mp_context=spawn) as pool:
            found[name] = pool.submit(extra_memory, name, problems, channel_last, threads).result()
    return found


def plot(path: Path, lengths: list[int], times: dict[tuple[str, int, str], list[float]], limits: dict) -> None:
    """Draw time over length, a panel for each pass and number of states, with the bound of the machine."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    states = sorted({key[1] for key in times})
    figure, axes = plt.subplots(
        len(PASSES), len(states), figsize=(4 * len(states), 6), squeeze=False, sharex=True, layout="constrained"
    )
    for row, which in zip(axes, PASSES, strict=True):
        for axis, count in zip(row, states, strict=True):
            for (name, own, passes), values in times.items():
                if (own, passes) == (count, which):
                    axis.plot(lengths, values, marker="o", label="loop" if name == LOOP else name)
            axis.plot(lengths, limits[count, which], "k--", label="bound of the machine")
            axis.set(xscale="log", yscale="log", title=f"{which}, N = {count}", ylabel="ms")
            axis.set_xticks(lengths, [str(length) for length in lengths])
            axis.minorticks_off()
            axis.grid(alpha=0.3)
    for axis in axes[-1]:
        axis.set_xlabel("length L")
    axes[0, 0].legend(frameon=False, fontsize="small")
    with atomic(path) as temporary:
        figure.savefig(temporary, format="png", dpi=110)
    plt.close(figure)


def benchmark_scan(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print times, memory, ratios and shares of the bound; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py scan", description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[1024, 4096, 16384], help="steps")
    parser.add_argument("--states", type=int, nargs="+", default=[1, 16], help="states per channel")
    parser.add_argument("--batch", type=int, default=2, help="sequences (default: %(default)s)")
    parser.add_argument("--channels", type=int, default=192, help="channels (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="threads (default: %(default)s)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: %(default)s)")
    parser.add_argument(
        "--layout", choices=("channel-last", "channel-first"), help="default: the faster, last on a CPU, first on a GPU"
    )
    parser.add_argument("--repeats", type=int, default=15, help="timings of each at most (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=4.0, help="after which a slow one is not timed again")
    parser.add_argument("--quick", action="store_true", help="two timings, lengths up to 4096")
    parser.add_argument("--plot", type=Path, default=PLOT, help="(default: the picture in the documentation)")
    arguments = parser.parse_args(argv)
    repeats = 2 if arguments.quick else arguments.repeats
    lengths = sorted(n for n in arguments.lengths if n <= 4096 or not arguments.quick)
    device = arguments.device
    layout = arguments.layout or ("channel-last" if device == "cpu" else "channel-first")
    channel_last = layout == "channel-last"

    measured = Measurements()
    missing = why_not_compiled()
    names = [*available_backends(device), *(peer for peer in PEERS if peer != ASSOCIATIVE or missing is None)]
    if missing is not None:
        measured.add(f"{ASSOCIATIVE} cannot be compiled here ({missing})", float("nan"), "ms")
    problems = [Problem(arguments.batch, arguments.channels, n, length) for n in arguments.states for length in lengths]
    # compilation would count as memory of the compiled one
    memory = _memory([name for name in names if name != ASSOCIATIVE], problems, channel_last, arguments.threads, device)
    times: dict[tuple[str, int, str], list[float]] = {}
    bounds: dict[tuple[int, str], list[float]] = {}

    keep_freed_memory()  # as training does
    with threads(arguments.threads):
        bandwidth, exponentials = machine_limits(device)
        measured.add("memory bandwidth", bandwidth / 1e9, "GB/s")
        measured.add("exponentials", exponentials / 1e9, "1e9/s")
        for at, problem in enumerate(problems):
            values = tensors(problem, channel_last, device)
            warm = tensors(problem._replace(length=64), channel_last, device)
            for which in PASSES:
                for name in names:
                    run(name, which, values if name == ASSOCIATIVE else warm)  # which is compiled for its sizes
                calls = {name: partial(run, name, which, values) for name in names}
                taken = times_in_turns(calls, repeats, arguments.seconds)
                bound = 1000 * max(problem.bytes(which) / bandwidth, problem.exponentials(which) / exponentials)
                bounds.setdefault((problem.states, which), []).append(bound)
                measured.add(f"bound {problem} {which}", bound, "ms")
                for name in names:
                    times.setdefault((name, problem.states, which), []).append(taken[name])
                    measured.add(f"{name} {problem} {which}", taken[name], "ms")
                    measured.add(f"{name} {problem} {which}, bound to time", bound / taken[name], "")
                    for other in (LOOP, *PEERS):
                        if other in taken and name not in (LOOP, *PEERS):
                            measured.add(f"{other} to {name} {problem} {which}", taken[other] / taken[name], "")
            for name in memory:
                measured.add(f"{name} {problem} extra memory", memory[name][at], "MB")
            if problem.length == lengths[0]:
                exact = run(LOOP, PASSES[0], {key: value.double() for key, value in values.items()})
                for name in names:
                    difference = (run(name, PASSES[0], values) - exact).norm() / exact.norm()
                    measured.add(f"{name} {problem} relative error", float(difference), "")
    plot(arguments.plot, lengths, times, bounds)
    print(f"time over length is drawn in {arguments.plot}")
    return measured.rows
