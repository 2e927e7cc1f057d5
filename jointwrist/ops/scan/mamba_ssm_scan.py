"""Selective scan by mamba-ssm's CUDA kernel, if installed (Gu and Dao, arXiv 2312.00752; the extra `cuda`).

The extension module is imported without its package, which imports much else that may be missing or fail.
"""

from __future__ import annotations

import functools
import importlib
from types import ModuleType

import torch
from torch import Tensor

from jointwrist.ops import derivatives
from jointwrist.ops.scan import blocked
from jointwrist.ops.scan.elementwise import compute_dtype

#: Largest number of states per channel of the kernel.
MAX_STATES = 256
#: Releases after 2.3.2 build the kernel only on request; it must be built against the PyTorch that is installed.
REMEDY = "MAMBA_KEEP_CUDA_BUILD=TRUE pip install --no-build-isolation mamba-ssm"


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return the reason why the kernel cannot run, or None; the Python package can be installed without it."""
    if device.type != "cuda":
        return f"the tensors are on {device}, not on a GPU"
    if dtype == torch.float64:
        return "it computes in float32; for float64 use backend 'torch' or 'reference'"
    return _failure(device)


def limits(states: int, last_gradient: bool) -> str | None:
    """Return why the kernel cannot scan so many states, or pass a gradient by the last state back."""
    if states > MAX_STATES:
        return f"it takes up to {MAX_STATES} states, not {states}"
    return "it cannot backpropagate through the last state" if last_gradient else None


def _kernel() -> ModuleType:
    return importlib.import_module("selective_scan_cuda")


@functools.cache
def _failure(device: torch.device) -> str | None:
    """Try a scan of one step: a kernel may be built for another PyTorch or another GPU."""
    try:
        one = torch.ones(1, 1, 1, device=device)
        _kernel().fwd(one, one, one[0], one[None], one[None], None, None, None, False)
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed; on a machine with a CUDA compiler: {REMEDY}"
    except Exception as error:  # whatever is wrong with it, another backend can scan
        return f"mamba-ssm's kernel does not work here: {type(error).__name__}: {error}"
    return None


class _Scan(torch.autograd.Function):
    """The kernel's two passes; sequences in one dtype, weights in float32, the last dimension of all contiguous."""

    @staticmethod
    def forward(ctx, u, delta, A, B, C, D, z, delta_bias, delta_softplus):
        """Scan; the kernel's states are (decay, state) pairs at the end of every 2048 steps and of the sequence."""
        y, states, *gated = _kernel().fwd(u, delta, A, B, C, D, z, delta_bias, delta_softplus)
        ctx.save_for_backward(u, delta, A, B, C, D, z, delta_bias, states, y if gated else None)
        ctx.delta_softplus = delta_softplus
        last = states[:, :, -1, 1::2].clone()
        ctx.mark_non_differentiable(last)
        return gated[0] if gated else y, last

    @staticmethod
    def backward(ctx, dy, _):
        """Return the gradients; absent inputs have none."""
        *inputs, states, y = ctx.saved_tensors

        def kernel():
            du, ddelta, dA, dB, dC, dD, dbias, *dz = _kernel().bwd(
                *inputs, dy.contiguous(), states, y, None, ctx.delta_softplus, False
            )
            return du, ddelta, dA, dB, dC, dD, dz[0] if dz else None, dbias

        def scan(*inputs):
            return blocked.scan(*inputs, ctx.delta_softplus)

        return *derivatives.gradients(kernel, scan, inputs, (dy, None)), None


def scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Scan with mamba-ssm; arguments and results as described in `dispatch`."""
    kinds = {value.dtype for value in (u, delta, B, C, z) if value is not None}
    kind = u.dtype if len(kinds) == 1 else compute_dtype(u)
    u_, delta, B, C, z = (None if v is None else v.to(kind).contiguous() for v in (u, delta, B, C, z))
    A, D, delta_bias = (None if value is None else value.float().contiguous() for value in (A, D, delta_bias))
    y, last = _Scan.apply(u_, delta, A, B, C, D, z, delta_bias, delta_softplus)
    return y.to(u.dtype), last
