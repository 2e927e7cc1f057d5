"""Estimate the cost of a protocol, models x seeds, in GPU hours from counted operations.

    python benchmarks/cost.py                        table of protocol official on an A100
    python benchmarks/cost.py --protocol clean --gpu H100 --utilisation 0.3
    python benchmarks/cost.py --write                put the tables of official and clean into docs/scaling.md

A training batch of the protocol's size passes through every model as tensors without values, so nothing is computed.
The floating-point operations of each operator, and the values that it reads and writes, are counted. The time of an
operator is the longest of three: its operations at a share of the GPU's peak, the transfer of its values (16 bits
each), and the launch of a kernel. A training step takes as long as three forward passes, as the backward pass has twice
the operations.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry, register_flop_formula, sdpa_flop_count

from jointwrist.benchmark.pages import fill_blocks
from jointwrist.benchmark.protocol import load_protocol
from jointwrist.benchmark.tables.table import markdown_lines
from jointwrist.engine.config.run_config import RunConfig
from jointwrist.engine.loop.build import model_options
from jointwrist.files import write_text
from jointwrist.ops.scan import operator  # registers the operator that is counted  # noqa: F401
from jointwrist.registry import create_model, model_spec

PAGE = Path(__file__).resolve().parent.parent / "docs" / "scaling.md"
#: Training and validation items of RAM-W600; an estimate for the joint set, which depends on the overlap of the tasks.
ITEMS = {"segmentation": (425, 69), "erosion": (559 * 6, 81 * 6), "joint": (750, 120)}
#: Columns of the table.
HEADS = (
    "model", "pixels", "batch", "epochs", "GFLOPs per image", "ms per step", "hours per run", "hours, all seeds",
)  # fmt: skip
BYTES = 2
KERNEL_SECONDS = 5e-6
BACKWARD = 2


@dataclass(frozen=True)
class Gpu:
    """Data sheet of a GPU: 16-bit operations per second without sparsity, and bytes per second."""

    operations: float
    bandwidth: float


GPUS = {"A100": Gpu(312e12, 2.0e12), "H100": Gpu(989e12, 3.35e12)}


class Operation(NamedTuple):
    """Floating point operations of one operator, and numbers read and written."""

    flops: int
    numbers: int


@register_flop_formula(torch.ops.jointwrist.selective_scan)
def scan_flops(u_shape: Sequence[int], delta_shape: Sequence[int], a_shape: Sequence[int], *_: Any, **__: Any) -> int:
    """Nine operations for every sequence, step, channel and state, as VMamba counts them."""
    batch, channels, length = u_shape
    return 9 * batch * channels * length * a_shape[1]


# PyTorch counts attention on GPUs only
@register_flop_formula(torch.ops.aten._scaled_dot_product_flash_attention_for_cpu)
def attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: Any, **__: Any) -> int:
    """Two matrix products for every head."""
    return sdpa_flop_count(query, key, value)


class Count(TorchDispatchMode):
    """List the operators of a computation; views cost nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.operations: list[Operation] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operator and count it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if not func.is_view:
            formula = flop_registry.get(func._overloadpacket)
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            flops = formula(*args, **kwargs, out_val=out) if formula else 0
            self.operations.append(Operation(int(flops), sum(tensor.numel() for tensor in tensors)))
        return out


def count_forward(config: RunConfig) -> list[Operation]:
    """List the operators of a forward pass over a training batch of a run."""
    with torch.device("meta"):
        model = create_model(config.model, **model_options(config))
    size = config.erosion.crop_size if config.task == "erosion" else config.image_size
    # on the CPU every scan is one operator, whether or not its kernel can be built here
    one_operator = patch("jointwrist.ops.scan.dispatch.choose_backend", return_value="cpu")
    with FakeTensorMode(allow_non_fake_inputs=True), one_operator, torch.no_grad():
        tensors = {
            name: torch.empty_like(value, device="cpu")
            for name, value in (*model.named_parameters(), *model.named_buffers())
        }
        sides = [size, config.detail_size or size] if config.task == "joint" else [size]
        images = [torch.empty(config.optim.batch_size, 1, side, side) for side in sides]
        with Count() as counted:
            functional_call(model, tensors, tuple(images))
    return counted.operations


def step_seconds(operations: Sequence[Operation], gpu: Gpu, utilisation: float) -> float:
    """Seconds of a forward pass."""
    return sum(
        max(o.flops / (gpu.operations * utilisation), o.numbers * BYTES / gpu.bandwidth, KERNEL_SECONDS)
        for o in operations
    )


@dataclass(frozen=True)
class Cost:
    """Cost of one run.

    Attributes:
        config: The run.
        gflops: GFLOPs of the forward pass of one image or crop.
        step: Seconds of a training step.
        hours: GPU hours of all epochs with their validation.
    """

    config: RunConfig
    gflops: float
    step: float
    hours: float


def run_cost(config: RunConfig, gpu: Gpu, utilisation: float) -> Cost:
    """Estimate a run that uses all its epochs."""
    operations = count_forward(config)
    forward = step_seconds(operations, gpu, utilisation)
    batch = config.optim.batch_size
    train, val = ITEMS[config.task]
    step = forward * (1 + BACKWARD)
    seconds = config.optim.epochs * (train / batch * step + val / batch * forward)
    return Cost(config, sum(o.flops for o in operations) / batch / 1e9, step, seconds / 3600)


def table(name: str, gpu: str, utilisation: float, models: Sequence[str] | None = None) -> str:
    """Markdown table of a protocol, with its totals."""
    protocol = load_protocol(name)
    models = models or [model for model in protocol.models if model_spec(model).task != "foundation"]
    costs = [run_cost(protocol.run_config(model, 0), GPUS[gpu], utilisation) for model in models]
    seeds = len(protocol.seeds)
    rows = []
    for cost in costs:
        config = cost.config
        size = config.erosion.crop_size if config.task == "erosion" else config.image_size
        per_run = [f"{cost.gflops:.2f}", f"{1000 * cost.step:.0f}", f"{cost.hours:.2f}", f"{seeds * cost.hours:.1f}"]
        rows.append([f"`{config.model}`", str(size), str(config.optim.batch_size), str(config.optim.epochs), *per_run])
    total = sum(cost.hours for cost in costs)
    rows.append(["all", "", "", "", "", "", f"{total:.1f}", f"{seeds * total:.0f}"])
    caption = (
        f"Protocol `{name}`, one {gpu}, {100 * utilisation:.0f} % of its peak where an operator is bound by it;"
        f" {seeds} seeds; all epochs, without early stopping."
    )
    return "\n".join([caption, "", *markdown_lines(HEADS, rows)])


def filled(page: str, gpu: str, utilisation: float) -> str:
    """Return a page with new tables between its markers."""
    return fill_blocks(page, "cost", lambda name: table(name, gpu, utilisation))


def main(argv: list[str] | None = None) -> int:
    """Print a table, or write those of the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--protocol", default="official", help="name or YAML file (default: %(default)s)")
    parser.add_argument("--models", nargs="+", metavar="NAME", help="registry names instead of the protocol's")
    parser.add_argument("--gpu", choices=GPUS, default="A100", help="default: %(default)s")
    parser.add_argument(
        "--utilisation", type=float, default=0.35, help="share of the peak that matrix products reach (%(default)s)"
    )
    parser.add_argument("--write", action="store_true", help="write the tables of docs/scaling.md")
    arguments = parser.parse_args(argv)
    if arguments.write:
        write_text(PAGE, filled(PAGE.read_text(encoding="utf-8"), arguments.gpu, arguments.utilisation))
        return 0
    print(table(arguments.protocol, arguments.gpu, arguments.utilisation, arguments.models))
    return 0


if __name__ == "__main__":
    sys.exit(main())
