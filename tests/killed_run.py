"""What the processes of test_kill.py and test_faults.py run; imported once, before any of them starts."""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from benchmarks import run_all


def run(arguments: list[str], output: Path | None = None) -> None:
    """Run the benchmark as a process of its own, with what it prints in a file."""
    torch.set_num_threads(1)
    if output is not None:
        sys.stdout = output.open("w")
    sys.exit(run_all.main(arguments))
