"""What the processes of test_kill.py and test_faults.py run; imported once, before any of them starts."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

import torch

from benchmarks import run_all


def run(arguments: list[str], output: Path | None = None, largest_file: int | None = None) -> None:
    """Run the benchmark as a process of its own.

    Args:
        arguments: Command line.
        output: File for what it prints; None leaves that where it goes.
        largest_file: Bytes beyond which no file grows, as on a disk that is full; None sets no limit.
    """
    torch.set_num_threads(1)
    if output is not None:
        sys.stdout = sys.stderr = output.open("w", buffering=1)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    sys.exit(run_all.main(arguments))
