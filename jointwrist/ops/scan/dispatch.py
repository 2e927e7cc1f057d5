"""`selective_scan`, and the choice of its backend: CPU kernel, Triton, mamba-ssm or PyTorch.

A backend is a module, imported on first use, with the functions

- `why_not(device, dtype) -> str | None`: the reason why it cannot scan tensors of this device and dtype, or None;
- `limits(states, last_gradient) -> str | None`, optional: the reason why it cannot scan that many states, or cannot
  backpropagate from the last state;
- `scan(u, delta, A, B, C, D, z, delta_bias, delta_softplus) -> (y, last_state)`: the whole scan, differentiable;
- `REVERSES`, optional: True if `scan` takes `reverse=True`; for other modules the sequences are reversed in memory.

`scan` receives the arguments of `selective_scan` in their own dtypes, with shapes checked, B and C always (B, G, N, L),
D, z and delta_bias a tensor or None, and autocast off. It computes in float32 (float64 if u is float64), and returns y
in the dtype of u and the last state in the dtype of the computation.
"""

from __future__ import annotations

import importlib
import os
from functools import partial
from types import ModuleType

import torch
from torch import Tensor

from jointwrist.ops.derivatives import operators_needed
from jointwrist.ops.scan import blocked
from jointwrist.ops.scan.elementwise import backwards

_MODULES = {
    "reference": "jointwrist.ops.scan.reference",
    "torch": "jointwrist.ops.scan.chunked",
    "cpu": "jointwrist.ops.scan.cpu",
    "triton": "jointwrist.ops.scan.triton_scan",
    "mamba_ssm": "jointwrist.ops.scan.mamba_ssm_scan",
}
#: Backends that "auto" tries on a device before "torch", fastest first.
_PREFERRED = {"cpu": ("cpu",), "cuda": ("mamba_ssm", "triton")}


_imported: dict[str, ModuleType] = {}


def _module(name: str) -> ModuleType:
    if name not in _imported:
        _imported[name] = importlib.import_module(_MODULES[name])
    return _imported[name]


def why_not(
    name: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    states: int = 1,
    last_gradient: bool = False,
) -> str | None:
    """Return the reason why a backend cannot scan here, or None.

    Args:
        name: Name of the backend.
        device: Device of the tensors.
        dtype: Dtype of u.
        states: States per channel.
        last_gradient: Whether the last state needs a gradient.
    """
    if name not in _MODULES:
        return f"there is no such backend; the backends are {', '.join(_MODULES)}"
    try:
        module = _module(name)
    except ModuleNotFoundError as error:
        return f"the module {error.name} is not installed"
    reason = module.why_not(torch.device(device), dtype)
    return reason or (module.limits(states, last_gradient) if hasattr(module, "limits") else None)


def available_backends(device: torch.device | str | None = None, dtype: torch.dtype = torch.float32) -> tuple[str, ...]:
    """Return the names of the backends that run on a device, or on any device of this machine."""
    devices = [device] if device is not None else ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    return tuple(name for name in _MODULES if any(why_not(name, place, dtype) is None for place in devices))


def choose_backend(
    backend: str, device: torch.device, dtype: torch.dtype, states: int = 1, last_gradient: bool = False
) -> str:
    """Resolve "auto" and check that the backend can run; arguments as for `why_not`.

    The environment variable JOINTWRIST_SCAN, if set, replaces "auto".

    Raises:
        ValueError: The backend is unknown or cannot run here; the message says why.
    """
    if torch.compiler.is_exporting():
        return "torch"
    if backend == "auto":
        backend = os.environ.get("JOINTWRIST_SCAN", "auto")
    problem = (device, dtype, states, last_gradient)
    if backend == "auto":
        preferred = _PREFERRED.get(device.type, ())
        return next((name for name in preferred if why_not(name, *problem) is None), "torch")
    if reason := why_not(backend, *problem):
        raise ValueError(f"scan backend {backend!r} is not available here: {reason}")
    return backend


# as torch.compiler.assume_constant_result does, without importing torch._dynamo, which takes seconds
choose_backend._dynamo_marked_constant = True


def _checked(u, delta, A, B, C, D, z, delta_bias) -> tuple[Tensor, Tensor]:
    """Check all shapes, as kernels would read beyond the end of a small tensor; return B and C as (B, G, N, L).

    Raises:
        ValueError: A shape, device or dtype is wrong; the message names the argument.
    """
    if u.ndim != 3:
        raise ValueError(f"u must have the shape (B, D, L), not {tuple(u.shape)}")
    batch, channels, length = u.shape
    states = A.shape[-1:]
    for name, value, shape in (
        ("u", u, u.shape),
        ("delta", delta, u.shape),
        ("A", A, (channels, *states)),
        ("B", B, (batch, *B.shape[1:-2][:1], *states, length)),
        ("C", C, (batch, *C.shape[1:-2][:1], *states, length)),
        ("D", D, (channels,)),
        ("z", z, u.shape),
        ("delta_bias", delta_bias, (channels,)),
    ):
        if value is None:
            continue
        if value.shape != shape:
            raise ValueError(f"{name} must have the shape {tuple(shape)} like the others, not {tuple(value.shape)}")
        if value.device != u.device:
            raise ValueError(f"{name} is on {value.device}, u on {u.device}")
        if not value.is_floating_point():
            raise ValueError(f"{name} must be real and floating point, not {value.dtype}")
    B, C = (value[:, None] if value.ndim == 3 else value for value in (B, C))
    groups = B.shape[1]
    if C.shape[1] != groups:
        raise ValueError(f"C has {C.shape[1]} groups, B {groups}")
    if not groups or channels % groups:
        raise ValueError(f"B has {groups} groups, which {channels} channels cannot be shared among")
    return B, C


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
    reverse: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """Selective scan with the shapes and semantics of mamba-ssm's `selective_scan_fn`, computed in float32.

    Args:
        u: (B, D, L) input.
        delta: (B, D, L) step sizes before bias and softplus.
        A: (D, N), real-valued.
        B: (B, N, L), or (B, G, N, L) with G groups of channels.
        C: As B.
        D: (D,) skip weights.
        z: (B, D, L) gate; the output is multiplied by SiLU(z).
        delta_bias: (D,) added to delta.
        delta_softplus: Apply softplus to delta.
        return_last_state: Also return the last state (B, D, N).
        backend: A name of `available_backends()`, or "auto": the fastest that runs on the device and dtype of u.
        reverse: Scan from the last step to the first; the last state is then that after the first step.

    Returns:
        (B, D, L) in the dtype of u, and the last state if `return_last_state`.

    Raises:
        ValueError: The backend is unknown or cannot run here, or an argument does not fit the others.
    """
    inputs, outputs = _checked(u, delta, A, B, C, D, z, delta_bias)
    given = (u, delta, A, B, C, D, z, delta_bias)
    differentiated = torch.is_grad_enabled() and any(value is not None and value.requires_grad for value in given)
    last_gradient = return_last_state and differentiated
    name = choose_backend(backend, u.device, u.dtype, int(A.shape[1]), last_gradient)
    # an exported program must not need the kernels of this package, and a loop over the steps would make it huge
    plain = torch.compiler.is_exporting() or (name != "reference" and operators_needed(*given))
    with torch.autocast(u.device.type, enabled=False):
        scan = blocked.scan if plain else _module(name).scan
        if reverse:
            native = not plain and getattr(_module(name), "REVERSES", False)
            scan = partial(scan, reverse=True) if native else partial(backwards, scan)
        y, last = scan(u, delta, A, inputs, outputs, D, z, delta_bias, delta_softplus)
    return (y, last) if return_last_state else y
