"""Speed of the wrist phantom: radiographs made on one core, and written in the released layout on all of them."""

from __future__ import annotations

import argparse
import tempfile
import time
from typing import Any

import numba
import numpy as np
import torch

from jointwrist.commands.options import seed_number
from jointwrist.phantom import PhantomConfig, make_wrist
from jointwrist.phantom.phantom_dataset import write_phantom


def benchmark_phantom(argv: list[str] | None = None) -> list[dict[str, Any]]:
    """Print wrists per second and core for each size, median over wrists, and files written a second; return rows."""
    parser = argparse.ArgumentParser(prog="benchmarks/speed.py phantom", description=__doc__)
    parser.add_argument("--wrists", type=int, default=24, help="wrists of each size (default: %(default)s)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 600], help="sides in pixels")
    parser.add_argument("--seed", type=seed_number, default=0, help="seed of the cohort (default: %(default)s)")
    arguments = parser.parse_args(argv)

    numba_threads, torch_threads = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    rows = []
    configs = {f"{size} px": PhantomConfig(size=size) for size in arguments.sizes}
    last = arguments.sizes[-1]
    configs[f"{last} px, all families"] = PhantomConfig(size=last, families={"all": 1.0}, look_alikes=0.3)
    for title, config in configs.items():
        seconds = []
        for index in range(-1, arguments.wrists):
            start = time.perf_counter()
            make_wrist(arguments.seed, index % arguments.wrists, config)
            seconds.append(time.perf_counter() - start)
        rate = 1 / float(np.median(seconds[1:]))
        print(f"{title}: {rate:6.2f} wrists per second and core, median of {arguments.wrists}")
        rows.append({"name": f"make {title}", "value": rate, "unit": "wrists/s/core"})
    numba.set_num_threads(numba_threads)
    torch.set_num_threads(torch_threads)

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        write_phantom(folder, arguments.wrists, last, arguments.seed)
        rate = arguments.wrists / (time.perf_counter() - start)
    print(f"{last:4} px: {rate:6.2f} wrists per second written in the released layout, start of the processes included")
    rows.append({"name": f"write {last} px", "value": rate, "unit": "wrists/s"})
    return rows
