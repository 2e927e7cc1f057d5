"""One call for every backend.

A backend is a module, imported when first asked for, with two functions:

- `why_not(device, dtype) -> str | None`: why it cannot scan tensors of this device and dtype here, or None if it can;
- `scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> (y, last_state)`: the whole scan, differentiable.

`scan` gets what `selective_scan` was given, in its dtypes, with B and C always (B, G, N, L), D, z and delta_bias a
tensor or None, and autocast off. It computes in float32 (float64 if u is float64), and returns y in the dtype of u and
the last state in the dtype of the computation.
"""

from __future__ import annotations

import importlib
import os

import torch
from torch import Tensor

_MODULES = {
    "reference": "jointwrist.ops.scan.reference",
    "torch": "jointwrist.ops.scan.chunked",
    "cpu": "jointwrist.ops.scan.cpu",
    "triton": "jointwrist.ops.scan.triton_scan",
    "mamba_ssm": "jointwrist.ops.scan.mamba_ssm_scan",
}
#: What "auto" tries on a device before "torch", best first.
_PREFERRED = {"cpu": ("cpu",), "cuda": ("mamba_ssm", "triton")}


def why_not(name: str, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32) -> str | None:
    """Return why a backend cannot scan tensors of this device and dtype here, or None if it can."""
    if name not in _MODULES:
        return f"there is no such backend; the backends are {', '.join(_MODULES)}"
    try:
        module = importlib.import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        return f"the module {error.name} is not installed"
    return module.why_not(torch.device(device), dtype)


def available_backends(device: torch.device | str | None = None, dtype: torch.dtype = torch.float32) -> tuple[str, ...]:
    """Names of the backends that can run on a device; without one, on the CPU or a GPU of this machine."""
    devices = [device] if device is not None else ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return tuple(name for name in _MODULES if any(why_not(name, place, dtype) is None for place in devices))


def choose_backend(backend: str, device: torch.device, dtype: torch.dtype) -> str:
    """Resolve "auto" and make sure that the backend can run.

    The environment variable JOINTWRIST_SCAN, where set, takes the place of "auto".

    Raises:
        ValueError: The backend is unknown or cannot run here; the message says why.
    """
    if torch.compiler.is_exporting():
        return "torch"  # an exported program must run without the kernels of this package
    if backend == "auto":
        backend = os.environ.get("JOINTWRIST_SCAN", "auto")
    if backend == "auto":
        preferred = _PREFERRED.get(device.type, ())
        return next((name for name in preferred if why_not(name, device, dtype) is None), "torch")
    if reason := why_not(backend, device, dtype):
        raise ValueError(f"scan backend {backend!r} is not available here: {reason}")
    return backend


def selective_scan(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
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
        backend: A name of `available_backends()`, or "auto": the fastest that runs on the device and dtype of u.

    Returns:
        (B, D, L) in the dtype of u, and the last state if asked for.

    Raises:
        ValueError: The backend is unknown or cannot run here.
    """
    name = choose_backend(backend, u.device, u.dtype)
    inputs, outputs = (m[:, None] if m.ndim == 3 else m for m in (B, C))
    with torch.autocast(u.device.type, enabled=False):
        module = importlib.import_module(_MODULES[name])
        y, last = module.scan(u, delta, A, inputs, outputs, D, z, delta_bias, delta_softplus)
    return (y, last) if return_last_state else y
