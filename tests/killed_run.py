"""What the killed processes of test_kill.py run; imported once, before any of them starts."""

from __future__ import annotations

import sys

import torch

from benchmarks import run_all


def run(arguments: list[str]) -> None:
    """Run the benchmark as a process of its own."""
    torch.set_num_threads(1)
    sys.exit(run_all.main(arguments))
