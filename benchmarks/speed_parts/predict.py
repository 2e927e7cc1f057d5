"""`jointwrist predict` in fresh processes: one radiograph, a folder, a whole hand and a rotated wrist; time and memory.

With `--against CHECKOUT`, such as a `git worktree` of an older version, both take turns, and the ratios of the medians
are rows too: how many times as long, and as much memory, the other takes. CPU seconds are summed over all threads; on a
busy machine, only they are meaningful.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.speed_parts.measurements import Measurements
from jointwrist.commands.options import OldName
from jointwrist.data.images import write_image
from jointwrist.phantom import PhantomConfig, make_wrist

ROOT = Path(__file__).resolve().parent.parent.parent
#: Least ratios of time, and of memory, to version 189d199, for which these were set.
LEAST = {"one": (3.0, 2.5), "folder": (3.0, None), "hand": (3.0, None), "rotated": (3.0, None)}


#: Runs a command and prints the resources that it used. On Linux, the peak of the process that starts a command counts
#: as the command's own, so that a small process has to start it.
LAUNCH = """
import json, resource, subprocess, sys, time
start = time.perf_counter()
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
seconds, used = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
scale = 2**20 if sys.platform == "darwin" else 2**10
print(json.dumps([code, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss / scale]))
"""


class Cost(NamedTuple):
    """Resources used by a process: wall-clock seconds, CPU seconds, and megabytes at the peak."""

    seconds: float
    processor: float
    megabytes: float


def cost(checkout: Path, radiographs: Path, out: Path) -> Cost:
    """Predict a file or folder by the package of a checkout.

    Raises:
        RuntimeError: It fails.
    """
    words = [sys.executable, "-m", "jointwrist", "predict", str(radiographs), "-o", str(out), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # a first start compiles the modules, which is not measured
    launch = [sys.executable, "-I", "-S", "-c", LAUNCH, *words]
    done = subprocess.run(launch, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    code, *found = json.loads(done.stdout)
    if code:
        raise RuntimeError(f"{checkout}: predict {radiographs} ended with {code}")
    return Cost(*found)


def write_radiographs(folder: Path, count: int) -> dict[str, Path]:
    """Write the radiographs of every case; names state no side, so that both hands are tried."""
    wrist = make_wrist(0, 0, PhantomConfig(size=700)).image[0]
    hand = make_wrist(0, 1, PhantomConfig(size=900, field_of_view=(210.0, 210.0))).image[0]
    for name, pixels in (("one", wrist), ("hand", hand), ("rotated", np.rot90(wrist))):
        write_image(folder / f"{name}.png", np.ascontiguousarray(pixels))
    (folder / "folder").mkdir()
    for index in range(count):
        write_image(folder / "folder" / f"{index:04d}.png", np.roll(wrist, index % 5, 0))
    return {name: folder / (name if name == "folder" else f"{name}.png") for name in LEAST}


def benchmark_predict(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print medians, and their ratios to another version; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py predict", description=__doc__)
    parser.add_argument("--against", type=Path, metavar="CHECKOUT", help="checkout of another version")
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--radiographs", type=int, default=200, help="radiographs of the folder (default: %(default)s)")
    parser.add_argument("--films", dest="radiographs", type=int, action=OldName, new="--radiographs")
    parser.add_argument("--cases", nargs="+", choices=LEAST, default=list(LEAST), help="default: all")
    arguments = parser.parse_args(argv)
    checkouts = [ROOT, *([arguments.against.resolve()] if arguments.against else [])]
    measured = Measurements()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cases = write_radiographs(folder, arguments.radiographs if "folder" in arguments.cases else 0)
        for case in arguments.cases:
            costs: list[list[Cost]] = [[] for _ in checkouts]
            for run in range(arguments.runs):
                for number, checkout in enumerate(checkouts):
                    costs[number].append(cost(checkout, cases[case], folder / f"out-{case}-{number}-{run}"))
            title = f"predict, folder of {arguments.radiographs}" if case == "folder" else f"predict, {case}"
            medians = [Cost(*map(statistics.median, zip(*some, strict=True))) for some in costs]
            for field, unit in zip(Cost._fields, ("s", "s", "MB"), strict=True):
                measured.add(f"{title}, {field}", getattr(medians[0], field), unit)
                if len(medians) > 1:
                    least = dict(zip(("seconds", "megabytes"), LEAST[case], strict=True)).get(field)
                    ratio = getattr(medians[1], field) / getattr(medians[0], field)
                    measured.add(f"{title}, {field}, ratio", ratio, "", least=least)
    return measured.rows
