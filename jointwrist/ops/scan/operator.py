"""The scan as one PyTorch operator, a single node for autograd, `torch.compile` and `torch.export`.

The kernels are modules with

- `forward(*inputs, delta_softplus, keep_states) -> (y, last_state, states)`,
- `backward(dy, dlast, states, *inputs, delta_softplus) -> gradients`, one for each input, empty for an absent input;
  both take `reverse=True` too if the module has `REVERSES`,
- `states_shape(u_shape, states) -> shape`: float32 states at chunk ends, kept for the backward pass,

where the inputs are u, delta, A, B, C, D, z and delta_bias as a backend's `scan` gets them.
"""

from __future__ import annotations

import importlib

import torch
from torch import Tensor

from jointwrist.ops import derivatives
from jointwrist.ops.scan import blocked
from jointwrist.ops.scan.elementwise import backwards


def _kernel(name: str):
    return importlib.import_module(f"jointwrist.ops.scan.{name}")


def _direction(reverse: bool) -> dict[str, bool]:
    return {"reverse": True} if reverse else {}


@torch.library.custom_op("jointwrist::selective_scan", mutates_args=())
def forward_operator(
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    keep_states: bool,
    kernel: str,
    reverse: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """Scan with the module `kernel` of this package; the states are empty unless `keep_states`."""
    return _kernel(kernel).forward(
        u, delta, A, B, C, D, z, delta_bias, delta_softplus, keep_states, **_direction(reverse)
    )


@forward_operator.register_fake
def _(u, delta, A, B, C, D, z, delta_bias, delta_softplus, keep_states, kernel, reverse=False):
    states = _kernel(kernel).states_shape(u.shape, A.shape[1]) if keep_states else (0,)
    last = u.new_empty(*u.shape[:2], A.shape[1], dtype=torch.float32)
    return torch.empty_like(u), last, u.new_empty(states, dtype=torch.float32)


@torch.library.custom_op("jointwrist::selective_scan_backward", mutates_args=())
def backward_operator(
    dy: Tensor,
    dlast: Tensor | None,
    states: Tensor,
    u: Tensor,
    delta: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None,
    z: Tensor | None,
    delta_bias: Tensor | None,
    delta_softplus: bool,
    kernel: str,
    reverse: bool = False,
) -> list[Tensor]:
    """Gradients of u, delta, A, B, C, D, z and delta_bias; those of absent inputs are empty."""
    return _kernel(kernel).backward(
        dy, dlast, states, u, delta, A, B, C, D, z, delta_bias, delta_softplus, **_direction(reverse)
    )


@backward_operator.register_fake
def _(dy, dlast, states, u, delta, A, B, C, D, z, delta_bias, delta_softplus, kernel, reverse=False):
    return [
        u.new_empty(0) if value is None else torch.empty_like(value) for value in (u, delta, A, B, C, D, z, delta_bias)
    ]


def _setup(ctx, inputs, output):
    *tensors, ctx.delta_softplus, _, ctx.kernel, ctx.reverse = inputs
    ctx.save_for_backward(*tensors, output[2])
    ctx.mark_non_differentiable(output[2])
    ctx.set_materialize_grads(False)


def _gradients(ctx, dy, dlast, _):
    *inputs, states = ctx.saved_tensors
    if dy is None:
        dy = torch.zeros_like(inputs[0])

    def kernel():
        found = backward_operator(dy, dlast, states, *inputs, ctx.delta_softplus, ctx.kernel, ctx.reverse)
        return [None if value is None else gradient for value, gradient in zip(inputs, found, strict=True)]

    def scan(*inputs):
        problem = *inputs, ctx.delta_softplus
        return backwards(blocked.scan, *problem) if ctx.reverse else blocked.scan(*problem)

    return *derivatives.gradients(kernel, scan, inputs, (dy, dlast)), None, None, None, None


forward_operator.register_autograd(_gradients, setup_context=_setup)


def scan(kernel: str, *problem, reverse: bool = False) -> tuple[Tensor, Tensor]:
    """Scan with a kernel module of this package; other arguments and results as for a backend's `scan`."""
    *inputs, delta_softplus = problem
    keep = torch.is_grad_enabled() and any(value is not None and value.requires_grad for value in inputs)
    y, last, _ = forward_operator(*inputs, delta_softplus, keep, kernel, reverse)
    return y, last
