"""One call for every backend."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from jointwrist.ops.scan import chunked, reference

_BACKENDS = {"reference": reference.scan, "torch": chunked.scan}


def available_backends() -> tuple[str, ...]:
    """Names of the backends that can run here."""
    return tuple(_BACKENDS)


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,  # noqa: N803
    B: Tensor,  # noqa: N803
    C: Tensor,  # noqa: N803
    D: Tensor | None = None,  # noqa: N803
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    return_last_state: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, Tensor]:
    """Selective scan with the shapes and semantics of mamba-ssm's `selective_scan_fn`; float32 inside.

    Args:
        u: (B, D, L) input.
        delta: (B, D, L) step sizes before bias and softplus.
        A: (D, N), real.
        B: (B, N, L), or (B, G, N, L) with G groups of channels.
        C: As B.
        D: (D,) skip weights.
        z: (B, D, L) gate; the output is multiplied by SiLU(z).
        delta_bias: (D,) added to delta.
        delta_softplus: Apply softplus to delta.
        return_last_state: Return the last state (B, D, N) as well.
        backend: A name of `available_backends()`, or "auto".

    Returns:
        (B, D, L) in the dtype of u, and the last state if asked for.

    Raises:
        ValueError: The backend is unknown or cannot run here.
    """
    name = "torch" if backend == "auto" else backend
    if name not in _BACKENDS:
        raise ValueError(f"scan backend {backend!r} is not available here; choose one of {', '.join(_BACKENDS)}")
    with torch.autocast(u.device.type, enabled=False):
        kind = torch.promote_types(u.dtype, torch.float32)
        x, step = u.to(kind), delta.to(kind)
        if delta_bias is not None:
            step = step + delta_bias.to(kind)[:, None]
        if delta_softplus:
            step = F.softplus(step)
        inputs, outputs = (m.to(kind)[:, None] if m.ndim == 3 else m.to(kind) for m in (B, C))
        y, last = _BACKENDS[name](x, step, A.to(kind), inputs, outputs)
        if D is not None:
            y = y + D.to(kind)[:, None] * x
        if z is not None:
            y = y * F.silu(z.to(kind))
    y = y.to(u.dtype)
    return (y, last) if return_last_state else y
