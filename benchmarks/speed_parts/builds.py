"""This build and another one, side by side: `python benchmarks/speed.py builds CHECKOUT`.

Training steps, scans, SS2D, and the search for wrists on whole hands. Both builds run in fresh processes in turns, with
the same data and with freed memory kept for reuse. Times of one thread are processor times.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed_parts.build_probes import PARTS
from benchmarks.speed_parts.measurements import Measurements
from benchmarks.speed_parts.training import MEMORY, MODELS
from jointwrist.phantom.phantom_dataset import write_phantom

ROOT = Path(__file__).resolve().parent.parent.parent
PROBES = Path(__file__).with_name("build_probes.py").resolve()
#: Prints what `whole_step` returns, in the build in whose folder it is run.
STEP = """
import json, sys
try:
    from benchmarks.speed_parts.training import whole_step
except ModuleNotFoundError:  # builds up to b4bdbc2
    from benchmarks.speed_training import whole_step
print(whole_step(*json.loads(sys.argv[1])))
"""


def step_times(other: Path, rounds: int, precision: str, *arguments: Any) -> dict[str, float]:
    """Median milliseconds of a training step in both builds.

    Args:
        other: Checkout of the other build, such as a `git worktree`.
        rounds: Processes of each build.
        precision: Precision of this build; the other one computes in float32.
        arguments: Arguments of `whole_step`, without `memory` and `precision`.

    Raises:
        subprocess.CalledProcessError: A build cannot take the step.
    """
    theirs, ours = (["-c", STEP, json.dumps(["returned", *arguments, *some])] for some in ([], [precision]))
    return in_turns(other, rounds, ours, theirs)


def in_turns(other: Path, rounds: int, ours: list[str], theirs: list[str] | None = None) -> dict[str, float]:
    """Run Python in both builds in turns; return the median of what each prints last.

    Args:
        other: Checkout of the other build.
        rounds: Processes of each build.
        ours: Arguments of Python.
        theirs: Arguments for the other build, if they differ.

    Raises:
        subprocess.CalledProcessError: It fails in a build.
    """
    builds = {"this build": (ROOT, ours), "other build": (other.resolve(), theirs or ours)}
    found: dict[str, list[float]] = {name: [] for name in builds}
    for _ in range(rounds):
        for name, (folder, arguments) in builds.items():
            environment = {**os.environ, **MEMORY["reused by the environment"], "PYTHONPATH": str(folder)}
            command = [sys.executable, *arguments]
            done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            found[name].append(float(done.stdout.split()[-1]))
    return {name: float(np.median(times)) for name, times in found.items()}


def benchmark_builds(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print times and ratio; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py builds", description=__doc__)
    parser.add_argument("checkout", type=Path, help="folder of the other build, such as a git worktree")
    parser.add_argument("--model", default=MODELS[0], help="registry name (default: %(default)s)")
    parser.add_argument("--size", type=int, default=256, help="side of the image in pixels (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=8, help="images per step (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=3, help="timed steps of each process (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="processes of each build (default: %(default)s)")
    parser.add_argument(
        "--precision",
        choices=("no", "bf16"),
        default="no",
        help="of this build's training step; the other build's is in float32 (default: %(default)s)",
    )
    some = parser.add_mutually_exclusive_group()
    some.add_argument("--no-training", action="store_true", help="leave the training step out, the slowest part")
    some.add_argument("--only-training", action="store_true", help="measure the training step alone")
    arguments = parser.parse_args(argv)
    measured = Measurements()
    for name, (_, least) in ({} if arguments.only_training else PARTS).items():
        times = in_turns(arguments.checkout, arguments.rounds, [str(PROBES), name])
        _add(measured, name, times, "ms", least=least)
    if arguments.no_training:
        return measured.rows
    with tempfile.TemporaryDirectory() as root:
        write_phantom(root, 24, size=256, seed=3, workers=1)
        step = (arguments.model, arguments.size, arguments.batch, root, arguments.steps, arguments.threads)
        times = step_times(arguments.checkout, arguments.rounds, arguments.precision, *step)
    title = f"{arguments.model} {arguments.size} px, batch {arguments.batch}"
    title += "" if arguments.precision == "no" else f", {arguments.precision} to float32"
    _add(measured, title, times, "ms/step")
    return measured.rows


def _add(measured: Measurements, title: str, times: dict[str, float], unit: str, **bounds: float) -> None:
    for name, value in times.items():
        measured.add(f"{title}, {name}", value, unit)
    measured.add(f"{title}, other build to this", times["other build"] / times["this build"], "", **bounds)
