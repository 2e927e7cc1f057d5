"""mamba-ssm's CUDA kernel, where it is built (Gu and Dao, arXiv 2312.00752; the extra `cuda`)."""

from __future__ import annotations

import importlib
from importlib.util import find_spec

import torch
from torch import Tensor

#: States a channel that the kernel holds in registers.
MAX_STATES = 256


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why the kernel cannot run, or None; the Python package alone does not mean that it was built."""
    if find_spec("selective_scan_cuda") is None:
        return "selective_scan_cuda is not installed; pip install 'jointwrist[cuda]' builds it on a machine with CUDA"
    if device.type != "cuda":
        return f"the tensors are on {device}, not on a GPU"
    if dtype == torch.float64:
        return "it computes in float32; for float64 use backend 'torch' or 'reference'"
    return None


def scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> tuple[Tensor, Tensor]:
    """Scan with mamba-ssm; see `dispatch` for what a backend takes and returns.

    Raises:
        ValueError: There are more states than the kernel holds.
    """
    if A.shape[1] > MAX_STATES:
        raise ValueError(
            f"mamba_ssm takes up to {MAX_STATES} states, not {A.shape[1]}; use backend 'triton' or 'torch'"
        )
    interface = importlib.import_module("mamba_ssm.ops.selective_scan_interface")
    # the kernel wants the sequences in one dtype, weights in float32, and the last dimension contiguous
    delta, B, C = (value.to(u.dtype) for value in (delta, B, C))
    A, D, delta_bias = (None if value is None else value.float() for value in (A, D, delta_bias))
    z = None if z is None else z.to(u.dtype)
    u, delta, B, C, z = (None if value is None else value.contiguous() for value in (u, delta, B, C, z))
    y, last = interface.selective_scan_fn(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus=delta_softplus, return_last_state=True
    )
    return y, last
