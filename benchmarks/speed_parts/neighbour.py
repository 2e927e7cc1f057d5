"""Time of a short training run beside one busy process, against the same run alone, in turns.

Threads that spin while they wait for one another compete with the other process for the cores, and all of them wait.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed_parts.measurements import Measurements
from jointwrist.phantom.phantom_dataset import write_phantom

ROOT = Path(__file__).resolve().parent.parent.parent
#: Keeps one core busy until it is killed.
BUSY = "import numpy as np\nx = np.ones(2**16)\nwhile True: x = np.sqrt(x + 1)"
#: Largest ratio of the two times.
MOST = 2.2


def training_seconds(data: Path, out: Path, size: int, epochs: int) -> float:
    """Return the wall-clock time of `jointwrist train` in a fresh process.

    Raises:
        subprocess.CalledProcessError: It fails.
    """
    settings = [f"image_size={size}", f"optim.epochs={epochs}", "optim.batch_size=4"]
    words = ["train", "jointwrist_tiny", "--data", str(data), "-o", str(out), "--set", *settings]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "jointwrist", *words], cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - start


def benchmark_neighbour(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print medians and their ratio; return them as rows for the table of all speeds."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py neighbour", description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="runs of each (default: %(default)s)")
    parser.add_argument("--size", type=int, default=128, help="side of the image in pixels (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a run (default: %(default)s)")
    arguments = parser.parse_args(argv)
    found: dict[str, list[float]] = {"alone": [], "beside a busy process": []}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        write_phantom(data, 24, size=256, seed=3, workers=1)
        for run in range(arguments.runs):
            for name, seconds in found.items():
                neighbour = None if name == "alone" else subprocess.Popen([sys.executable, "-c", BUSY])
                try:
                    out = Path(folder) / f"{name}-{run}"
                    seconds.append(training_seconds(data, out, arguments.size, arguments.epochs))
                finally:
                    if neighbour is not None:
                        neighbour.kill()
                        neighbour.wait()
    measured = Measurements()
    alone, beside = (float(np.median(seconds)) for seconds in found.values())
    measured.add("alone", alone, "s")
    measured.add("beside a busy process", beside, "s")
    measured.add("beside a busy process, to alone", beside / alone, "", bound=MOST)
    return measured.rows
