"""Start-up time of the command line in fresh processes: help, and the overlay of one picture.

Bounds apply to two CPU threads, imports included; the exit code is 1 if one is exceeded.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jointwrist.data.images import write_image
from jointwrist.phantom import PhantomConfig, make_wrist

ROOT = Path(__file__).resolve().parent.parent.parent
THREADS = 2
#: Seconds that must not be exceeded.
BOUNDS = {"help": 1.0, "predict": 10.0}


def seconds(arguments: Sequence[str], folder: str, runs: int) -> float:
    """Return the median time of `jointwrist` with these arguments; the first of several runs does not count.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "OMP_NUM_THREADS": str(THREADS), "PYTHONPATH": path}
    times = []
    for _ in range(runs + 1):
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, "-m", "jointwrist", *arguments],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
        )
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:] or times)


def benchmark_start(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print medians beside their bounds; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py start", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="timings of each (default: %(default)s)")
    parser.add_argument("--size", type=int, default=700, help="side of the picture in pixels (default: %(default)s)")
    arguments = parser.parse_args(argv)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        # its name states no side, so that both are tried
        write_image(Path(folder) / "wrist.png", make_wrist(0, 0, PhantomConfig(size=arguments.size)).image[0])
        for name, words in (("help", ["--help"]), ("predict", ["predict", "wrist.png", "--device", "cpu"])):
            value = seconds(words, folder, arguments.runs)
            title = name if name == "help" else f"{name} {arguments.size} px"
            print(f"{title:20} {value:6.2f} s, bound {BOUNDS[name]:g}, median of {arguments.runs}", flush=True)
            rows.append({"name": title, "value": value, "unit": "s", "bound": BOUNDS[name]})
        if not (Path(folder) / "predictions" / "wrist_overlay.png").is_file():
            raise RuntimeError("predict wrote no overlay")
    return rows
