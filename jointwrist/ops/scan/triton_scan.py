"""GPU kernel in Triton, which comes with PyTorch on Linux: forward and backward fused, linear memory.

A program scans some channels of one group of one image, step by step, with their states in registers. The forward pass
keeps the state at the end of every chunk; the backward pass goes through the chunks from the last, repeats the chunk's
states into a scratch buffer of its length, and walks it backwards. Arrays are channel last, so that a step's loads lie
side by side.
"""

from __future__ import annotations

import torch
from torch import Tensor

from jointwrist.ops.scan import operator
from jointwrist.ops.scan.triton_kernels import scan_backward, scan_forward, triton

#: Steps between the states that are kept.
CHUNK = 64
#: Channels of a program: few, so that small batches fill a GPU too.
CHANNELS = 16


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why the kernel cannot run, or None."""
    if device.type != "cuda" and not triton.knobs.runtime.interpret:
        return f"the tensors are on {device}, not on a GPU (TRITON_INTERPRET=1 emulates one)"
    if dtype == torch.float64:
        return "it computes in float32; for float64 use backend 'torch' or 'reference'"
    return None


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan with the Triton kernel; see `dispatch` for what a backend takes and returns."""
    return operator.scan("triton_scan", *problem)


def states_shape(u_shape: torch.Size, states: int) -> tuple[int, ...]:
    """States at the end of every chunk: (B, chunks, D, N)."""
    batch, channels, length = u_shape
    return batch, -(-length // CHUNK), channels, states


class _Plan:
    """Grid and constants of a problem: one program for every block of channels of a group of an image."""

    def __init__(self, u: Tensor, A: Tensor, B: Tensor, delta_softplus: bool, z: Tensor | None):
        batch, channels, length = u.shape
        groups, self.states = B.shape[1], A.shape[1]
        self.group_channels = channels // groups
        self.blocks = -(-self.group_channels // CHANNELS)
        self.grid = (batch, groups * self.blocks)
        self.sizes = (channels, groups, length, self.states, self.group_channels, self.blocks)
        self.constants = {
            "SOFTPLUS": delta_softplus,
            "GATED": z is not None,
            "CHUNK": CHUNK,
            "BLOCK_D": CHANNELS,
            "BLOCK_N": triton.next_power_of_2(self.states),
        }


def _channel_last(u, delta, B, C, z) -> list[Tensor | None]:
    """(B, L, D) sequences and (B, G, L, N) inputs and outputs, contiguous, in their own dtypes."""
    u, delta, z = (None if value is None else value.transpose(1, 2).contiguous() for value in (u, delta, z))
    B, C = (value.transpose(2, 3).contiguous() for value in (B, C))
    return [u, delta, B, C, z]


def _weights(A: Tensor, D: Tensor | None, delta_bias: Tensor | None) -> list[Tensor]:
    """Float32 weights; those that are absent are zeros."""
    zeros = A.new_zeros(len(A), dtype=torch.float32)
    return [
        A.float().contiguous(),
        *(zeros if value is None else value.float().contiguous() for value in (D, delta_bias)),
    ]


def forward(u, delta, A, B, C, D, z, delta_bias, delta_softplus, keep_states) -> tuple[Tensor, Tensor, Tensor]:
    """Scan; see `operator`."""
    plan = _Plan(u, A, B, delta_softplus, z)
    x, step, inputs, outputs, gate = _channel_last(u, delta, B, C, z)
    y = torch.empty_like(x)
    last = u.new_zeros(*u.shape[:2], A.shape[1], dtype=torch.float32)
    states = u.new_empty(states_shape(u.shape, A.shape[1]) if keep_states else (0,), dtype=torch.float32)
    if u.numel():
        rates, skip, bias = _weights(A, D, delta_bias)
        with torch.cuda.device_of(u):
            scan_forward[plan.grid](
                x, step, rates, inputs, outputs, skip, x if gate is None else gate, bias, y, last, states,
                *plan.sizes, KEEP=keep_states, **plan.constants, num_warps=1,
            )  # fmt: skip
    return y.transpose(1, 2).contiguous(), last, states


def backward(dy, dlast, states, u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> list[Tensor]:
    """Gradients of the inputs; see `operator`."""
    plan = _Plan(u, A, B, delta_softplus, z)
    x, step, inputs, outputs, gate = _channel_last(u, delta, B, C, z)
    batch, length, channels = x.shape
    programs = plan.grid[1]
    new = {"device": u.device, "dtype": torch.float32}
    du, ddelta, dz = (torch.zeros(batch, length, channels, **new) for _ in range(3))
    dA = torch.zeros(batch, channels, plan.states, **new)
    dD, dbias = (torch.zeros(batch, channels, **new) for _ in range(2))
    dB, dC = (torch.zeros(batch, programs, length, plan.states, **new) for _ in range(2))
    if u.numel():
        scratch = torch.empty(batch, programs, CHUNK, CHANNELS, plan.constants["BLOCK_N"], **new)
        rates, skip, bias = _weights(A, D, delta_bias)
        dlast = torch.zeros_like(dA) if dlast is None else dlast.float().contiguous()
        incoming = dy.transpose(1, 2).contiguous()
        with torch.cuda.device_of(u):
            scan_backward[plan.grid](
                x, step, rates, inputs, outputs, skip, x if gate is None else gate, bias, states, incoming, dlast,
                scratch, du, ddelta, dA, dB, dC, dD, dz, dbias,
                *plan.sizes, **plan.constants, num_warps=1,
            )  # fmt: skip
    groups = B.shape[1]
    dB, dC = (part.unflatten(1, (groups, plan.blocks)).sum(2).transpose(2, 3) for part in (dB, dC))
    du, ddelta, dz = (part.transpose(1, 2) for part in (du, ddelta, dz))
    gradients = [du, ddelta, dA.sum(0), dB, dC, dD.sum(0), dz, dbias.sum(0)]
    return [
        u.new_empty(0) if value is None else torch.empty_like(value).copy_(gradient)
        for value, gradient in zip((u, delta, A, B, C, D, z, delta_bias), gradients, strict=True)
    ]
