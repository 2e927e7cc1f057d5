"""The selective scan as a plain loop, the reference for tests of all other backends."""

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
    u, delta, A = (value.unflatten(dim, (B.shape[1], -1)) for value, dim in ((u, 1), (delta, 1), (A, 0)))
    state = u.new_zeros(*u.shape[:-1], A.shape[-1])
    ys = []
    for u_t, delta_t, b_t, c_t in zip(*(sequence.unbind(-1) for sequence in (u, delta, B, C)), strict=True):
        state = torch.exp(delta_t[..., None] * A) * state + (delta_t * u_t)[..., None] * b_t[:, :, None]
        ys.append((state * c_t[:, :, None]).sum(-1))
    return torch.stack(ys, -1).flatten(1, 2), state.flatten(1, 2)


def scan(*problem) -> tuple[Tensor, Tensor]:
    """Scan with the loop; arguments and results as described in `dispatch`."""
    return whole_scan(recurrence, *problem)
