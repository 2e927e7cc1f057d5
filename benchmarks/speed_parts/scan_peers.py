"""Other implementations of the selective scan: mambapy's parallel scan, and PyTorch's associative scan, compiled."""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from jointwrist.ops.scan.elementwise import whole_scan

MAMBAPY, ASSOCIATIVE = "mambapy", "associative_scan"
PEERS = (MAMBAPY, ASSOCIATIVE)


def scan_of_peer(name: str, u, delta, A, B, C, D, delta_bias) -> Tensor:
    """Scan with a peer, with bias, softplus and skip as a block of Mamba has them."""
    if name == MAMBAPY:
        return _whole(_mambapy, u, delta, A, B, C, D, delta_bias)
    return _compiled()(_associative, u, delta, A, B, C, D, delta_bias)


@cache
def why_not_compiled() -> str | None:
    """Return why the compiler cannot be used here, found by a scan of two steps forward and backward, or None."""
    one = torch.ones(1, 1, 2)
    try:
        values = [value.requires_grad_() for value in (one, one.clone(), torch.ones(1, 1), one.clone(), one.clone())]
        y = scan_of_peer(ASSOCIATIVE, *values, torch.ones(1), torch.ones(1))
        torch.autograd.grad(y.sum(), values)
    except Exception as error:  # any failure of the compiler is named in the row of the table
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return None


def _whole(core, u, delta, A, B, C, D, delta_bias) -> Tensor:
    return whole_scan(core, u, delta, A, B[:, None], C[:, None], D, None, delta_bias, True)[0]


@cache
def _compiled():
    torch._dynamo.config.cache_size_limit = max(torch._dynamo.config.cache_size_limit, 64)  # one for each problem
    return torch.compile(_whole, dynamic=False)


def _mambapy(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence by mambapy's parallel scan, which expects (B, L, D, N)."""
    from mambapy.pscan import pscan

    u, delta, B, C = u.mT, delta.mT, B[:, 0].mT, C[:, 0].mT
    states = pscan(torch.exp(delta[..., None] * A), (delta * u)[..., None] * B[:, :, None])
    return (states @ C[..., None])[..., 0].mT, states[:, -1]


def _associative(u: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """The recurrence as a composition of the steps h -> a h + b, along the last axis of (B, D, N, L)."""
    from torch._higher_order_ops.associative_scan import associative_scan

    steps = torch.exp(delta[:, :, None] * A[..., None]), (delta * u)[:, :, None] * B
    _, states = associative_scan(_compose, steps, dim=-1, combine_mode="generic")
    return (states * C).sum(2), states[..., -1]


def _compose(first: tuple[Tensor, Tensor], then: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    return then[0] * first[0], then[0] * first[1] + then[1]
