"""The definition as a plain loop: the oracle of every other backend."""

from __future__ import annotations

import torch
from torch import Tensor

from jointwrist.ops.scan.elementwise import whole_scan


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return None: the loop runs everywhere."""
    return None


def recurrence(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Run h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t, y_t = C_t h_t from h = 0.

    Args:
        u: (B, D, L) input.
        delta: (B, D, L) positive step sizes.
        A: (D, N).
        B: (B, G, N, L), each group shared by D / G channels.
        C: (B, G, N, L).

    Returns:
        y (B, D, L) and the last state (B, D, N).
    """
    repeat = u.shape[1] // B.shape[1]
    inputs, outputs = (m.repeat_interleave(repeat, 1).unbind(-1) for m in (B, C))
    state = u.new_zeros(*u.shape[:2], A.shape[1])
    ys = []
    for u_t, delta_t, b_t, c_t in zip(u.unbind(-1), delta.unbind(-1), inputs, outputs, strict=True):
        state = torch.exp(delta_t[..., None] * A) * state + (delta_t * u_t)[..., None] * b_t
        ys.append((state * c_t).sum(-1))
    return torch.stack(ys, -1), state


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan with the loop; see `dispatch` for what a backend takes and returns."""
    return whole_scan(recurrence, *problem)
