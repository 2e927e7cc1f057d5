"""Selective scan by a compiled CPU kernel: fused forward and backward pass, linear memory, PyTorch's threads."""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from jointwrist.ops.scan import operator
from jointwrist.ops.scan.build import load, made_by_amd

#: The kernel scans from the last step to the first too, at the speed of the other direction where channels are last.
REVERSES = True
#: Steps between stored states; a multiple of the SIMD lanes of every machine, by which gradients are summed. On an
#: Intel Xeon the backward pass is fastest where a chunk fits into the first-level cache; on an AMD EPYC, whose
#: second-level cache is nearly as fast, long chunks take 15 to 25 % less time.
CHUNK = 128 if made_by_amd() else 16


class _View(ctypes.Structure):
    _fields_ = (("data", ctypes.c_void_p), ("stride", ctypes.c_int64 * 4))


class _Sizes(ctypes.Structure):
    _fields_ = tuple(
        (name, ctypes.c_int64)
        for name in ("batch", "groups", "channels", "states", "length", "chunk", "slices", "threads", "softplus")
    )


def _view(tensor: Tensor | None, reverse: bool = False) -> _View:
    """Return pointer and strides of a tensor, which must outlive them; if `reverse`, its last dimension runs back."""
    if tensor is None:
        return _View()
    *strides, last = tensor.stride()
    start = tensor.data_ptr()
    if reverse and tensor.numel():
        start, last = start + (tensor.shape[-1] - 1) * last * tensor.element_size(), -last
    return _View(start, (ctypes.c_int64 * 4)(*strides, last))


def _views(values: list[Tensor | None], reverse: bool) -> ctypes.Array:
    """Views of u, delta, A, B, C, D, z, delta_bias or of their gradients; if `reverse`, the sequences run back."""
    return (_View * len(values))(*(_view(value, reverse and at in _SEQUENCES) for at, value in enumerate(values)))


#: Those of the eight inputs that have a time.
_SEQUENCES = (0, 1, 3, 4, 6)


def _sizes(u: Tensor, A: Tensor, B: Tensor, delta_softplus: bool, slack: float) -> _Sizes:
    """Split the channels of each group into the fewest slices that leave at most `slack` of the threads idle."""
    batch, channels, length = u.shape
    groups, threads = B.shape[1], torch.get_num_threads()
    blocks = -(-channels // groups // load().jointwrist_lanes())

    def idle(slices: int) -> float:
        tasks = batch * groups * slices
        return 1 - tasks / max(-(-tasks // threads) * threads, 1)

    candidates = range(1, max(blocks, 1) + 1)
    slices = next((s for s in candidates if idle(s) <= slack), min(candidates, key=idle))
    return _Sizes(batch, groups, channels // groups, A.shape[1], length, CHUNK, slices, threads, delta_softplus)


def _plain(inputs: list[Tensor | None]) -> list[Tensor | None]:
    """Convert inputs to float32 without gradients, parameters to contiguous memory."""
    u, delta, A, B, C, D, z, delta_bias = (None if value is None else value.detach().float() for value in inputs)
    A, D, delta_bias = (None if value is None else value.contiguous() for value in (A, D, delta_bias))
    return [u, delta, A, B, C, D, z, delta_bias]


def states_shape(u_shape: torch.Size, states: int) -> tuple[int, ...]:
    """Shape of the states at the end of every chunk but the last: (B, chunks - 1, N, D)."""
    batch, channels, length = u_shape
    return batch, max(-(-length // CHUNK) - 1, 0), states, channels


def forward(
    u, delta, A, B, C, D, z, delta_bias, delta_softplus, keep_states, reverse=False
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan; see `operator`."""
    inputs = _plain([u, delta, A, B, C, D, z, delta_bias])
    y = torch.empty_like(inputs[0])
    last = y.new_zeros(*u.shape[:2], A.shape[1])
    states = y.new_empty(states_shape(u.shape, A.shape[1]) if keep_states else (0,))
    sizes = _sizes(inputs[0], A, B, delta_softplus, slack=0.05)
    views = _views(inputs, reverse), _view(y, reverse), _view(last), _view(states if keep_states else None)
    load().jointwrist_scan_forward(ctypes.byref(sizes), views[0], *map(ctypes.byref, views[1:]))
    return y.to(u.dtype), last, states


def backward(dy, dlast, states, u, delta, A, B, C, D, z, delta_bias, delta_softplus, reverse=False) -> list[Tensor]:
    """Gradients of the inputs; see `operator`."""
    given = [u, delta, A, B, C, D, z, delta_bias]
    inputs = _plain(given)
    sizes = _sizes(inputs[0], A, B, delta_softplus, slack=0.2)
    du, ddelta, dz = (None if given[i] is None else torch.empty_like(inputs[i]) for i in (0, 1, 6))
    dA, dD, dbias = (du.new_empty(len(u), *shape) for shape in (A.shape, A.shape[:1], A.shape[:1]))
    dB, dC = (du.new_empty(sizes.slices, *B.shape) for _ in range(2))
    dy, dlast = (None if value is None else value.float() for value in (dy, dlast))
    outgoing = _views([du, ddelta, dA, dB.flatten(0, 1), dC.flatten(0, 1), dD, dz, dbias], reverse)
    others = _view(states), _view(dy, reverse), _view(dlast)
    load().jointwrist_scan_backward(ctypes.byref(sizes), _views(inputs, reverse), *map(ctypes.byref, others), outgoing)
    gradients = [du, ddelta, _total(dA, A), _total(dB, B), _total(dC, C), _total(dD, D), dz, _total(dbias, delta_bias)]
    return [
        u.new_empty(0) if value is None else gradient.to(value.dtype)
        for value, gradient in zip(given, gradients, strict=True)
    ]


def _total(parts: Tensor, like: Tensor | None) -> Tensor | None:
    """Sum over the first dimension, in the memory format of `like`."""
    return None if like is None else torch.sum(parts, 0, out=torch.empty_like(like, dtype=torch.float32))


def why_not(device: torch.device, dtype: torch.dtype) -> str | None:
    """Return the reason why the kernel cannot run, or None; builds it if necessary."""
    if device.type != "cpu":
        return f"the tensors are on {device}, not on the CPU"
    if dtype == torch.float64:
        return "it computes in float32; for float64 use backend 'torch' or 'reference'"
    library = load()
    return library if isinstance(library, str) else None


def scan(*problem, reverse: bool = False) -> tuple[Tensor, Tensor]:
    """Scan with the compiled kernel; arguments and results as described in `dispatch`."""
    return operator.scan("cpu", *problem, reverse=reverse)
