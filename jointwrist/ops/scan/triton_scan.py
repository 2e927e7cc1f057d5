"""Selective scan by a Triton GPU kernel, which comes with PyTorch on Linux: fused passes, linear memory.

A program scans some channels of one group of one image in chunks of steps: a parallel scan composes the steps of a
chunk, and the state is carried from chunk to chunk. The forward pass stores the state at the end of every chunk; the
backward pass processes the chunks from the last and scans each again, forwards for its states and backwards for their
gradients. No two programs write to the same memory, so that results are deterministic.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import torch
from torch import Tensor

from jointwrist.ops.scan import operator
from jointwrist.ops.scan.triton_kernels import scan_backward, scan_forward, triton


class Tile(NamedTuple):
    """Tile of a program: channels, steps, and the warps that share them."""

    channels: int
    steps: int
    warps: int


def tile(states: int) -> Tile:
    """Choose the tile for a number of states, the fastest of those measured on an H100.

    With few channels per program, small batches fill a GPU too, but each program stores its gradients of B and C. A
    tile of 2,048 numbers fits into the registers of four warps.
    """
    width = triton.next_power_of_2(states)
    channels = max(min(4, 2048 // (16 * width)), 1)
    return Tile(channels, max(2048 // (channels * width), 16), 4)


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return the reason why the kernel cannot run, or None."""
    if device.type != "cuda" and not triton.knobs.runtime.interpret:
        return f"the tensors are on {device}, not on a GPU (TRITON_INTERPRET=1 emulates one)"
    if dtype == torch.float64:
        return "it computes in float32; for float64 use backend 'torch' or 'reference'"
    return _failure(device) if device.type == "cuda" else None


@functools.cache
def _failure(device: torch.device) -> str | None:
    """Try a scan of one step: Triton needs a C compiler, a writable cache and a supported GPU."""
    try:
        one = torch.ones(1, 1, 1, device=device)
        forward(one, one, one[0], one[None], one[None], None, None, None, False, False)
    except Exception as error:  # another backend can scan, whatever is missing
        return f"Triton does not work here: {type(error).__name__}: {error}"
    return None


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan with the Triton kernel; arguments and results as described in `dispatch`."""
    return operator.scan("triton_scan", *problem)


def states_shape(u_shape: torch.Size, states: int) -> tuple[int, ...]:
    """Shape of the states at the end of every chunk: (B, chunks, D, N)."""
    batch, channels, length = u_shape
    return batch, -(-length // tile(states).steps), channels, states


class _Plan:
    """Grid and constants of a launch: one program for each block of channels of a group of an image."""

    def __init__(self, u: Tensor, A: Tensor, B: Tensor, delta_softplus: bool, z: Tensor | None):
        batch, channels, length = u.shape
        groups, states = B.shape[1], A.shape[1]
        size = tile(states)
        group_channels = channels // groups
        self.blocks = -(-group_channels // size.channels)
        self.grid = (batch, groups * self.blocks)
        self.sizes = (channels, groups, length, states, group_channels, self.blocks)
        self.constants = {
            "SOFTPLUS": delta_softplus,
            "GATED": z is not None,
            "CHUNK": size.steps,
            "BLOCK_D": size.channels,
            "BLOCK_N": triton.next_power_of_2(states),
            "num_warps": size.warps,
        }


def _sequences(*values: Tensor | None) -> list[Tensor | None]:
    """Make sequences contiguous, with time last, in their own dtypes."""
    return [None if value is None else value.contiguous() for value in values]


def _weights(A: Tensor, D: Tensor | None, delta_bias: Tensor | None) -> list[Tensor]:
    """Convert weights to float32; absent ones become zeros."""
    zeros = A.new_zeros(len(A), dtype=torch.float32)
    return [
        A.float().contiguous(),
        *(zeros if value is None else value.float().contiguous() for value in (D, delta_bias)),
    ]


def forward(u, delta, A, B, C, D, z, delta_bias, delta_softplus, keep_states) -> tuple[Tensor, Tensor, Tensor]:
    """Scan; see `operator`."""
    plan = _Plan(u, A, B, delta_softplus, z)
    x, step, inputs, outputs, gate = _sequences(u, delta, B, C, z)
    y = torch.empty_like(x)
    last = u.new_zeros(*u.shape[:2], A.shape[1], dtype=torch.float32)
    states = u.new_empty(states_shape(u.shape, A.shape[1]) if keep_states else (0,), dtype=torch.float32)
    if u.numel():
        rates, skip, bias = _weights(A, D, delta_bias)
        with torch.cuda.device_of(u):
            scan_forward[plan.grid](
                x, step, rates, inputs, outputs, skip, x if gate is None else gate, bias, y, last, states,
                *plan.sizes, KEEP=keep_states, **plan.constants,
            )  # fmt: skip
    return _as(u, y), last, states


def backward(dy, dlast, states, u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> list[Tensor]:
    """Gradients of the inputs; see `operator`."""
    plan = _Plan(u, A, B, delta_softplus, z)
    x, step, inputs, outputs, gate, incoming = _sequences(u, delta, B, C, z, dy)
    batch, channels, length = u.shape
    programs, count = plan.grid[1], A.shape[1]
    new = {"device": u.device, "dtype": torch.float32}
    du, ddelta = (torch.empty(batch, channels, length, **new) for _ in range(2))
    dz = du if z is None else torch.empty_like(du)
    dB, dC = (torch.empty(batch, programs, count, length, **new) for _ in range(2))
    # zeros, as nothing is written where there are no steps
    dA, dD, dbias = (torch.zeros(batch, channels, *rest, **new) for rest in ((count,), (), ()))
    if u.numel():
        rates, skip, bias = _weights(A, D, delta_bias)
        dlast = torch.zeros_like(dA) if dlast is None else dlast.float().contiguous()
        with torch.cuda.device_of(u):
            scan_backward[plan.grid](
                x, step, rates, inputs, outputs, skip, x if gate is None else gate, bias, states, incoming, dlast,
                du, ddelta, dA, dB, dC, dD, dz, dbias, *plan.sizes, **plan.constants,
            )  # fmt: skip
    dB, dC = (part.unflatten(1, (B.shape[1], plan.blocks)).sum(2) for part in (dB, dC))
    gradients = [du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dz, dbias.sum(0)]
    return [
        u.new_empty(0) if value is None else _as(value, gradient)
        for value, gradient in zip((u, delta, A, B, C, D, z, delta_bias), gradients, strict=True)
    ]


def _as(like: Tensor, values: Tensor) -> Tensor:
    """Convert values to dtype and memory layout of `like`, as the operator's fake implementation states."""
    same = values.dtype == like.dtype and values.stride() == like.stride()
    return values if same else torch.empty_like(like).copy_(values)
